"""The loop that every training shares: epochs, steps, validation, checkpoints, interruption."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from phyemu.datasets import Augmentation, Batch, ImageSet, num_shuffled_batches, shuffled_batches
from phyemu.errors import TrainingError
from phyemu.progress import ProgressCallback, no_progress

from .distributed import ALONE, Processes
from .history import EpochRecord, TensorBoardLog
from .interrupt import deferred_interrupt
from .optimizer_state import optimizer_state
from .shards import Shards
from .state import Best, TrainingState, gathered_sums, load_state, save_state
from .validation import LinkScore

__all__ = ["Best", "Task", "TrainingData", "TrainingState", "run_training"]


class Task(Protocol):
    """What is trained: a model, its losses, its schedule."""

    name: str
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    num_epochs: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    @property
    def stage(self) -> str:
        """The part of the schedule that the model is in; the best epoch of each is kept."""

    @property
    def order(self) -> int | None:
        """M, where there is one."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for `epoch` (from 0); may replace `model`. Called again with the same epoch
        after a resume, and must then change nothing more."""

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Set the schedule for this step and return the loss terms; `total` is minimised."""

    def settings(self) -> dict[str, float]:
        """What the schedule stands at, for the logs."""

    def validate(self) -> LinkScore:
        """Score the model on the validation images."""

    def restore_stage(self, stage: str) -> None:
        """Give the model the shape it has in `stage`, before its tensors are loaded."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class TrainingData:
    """Where batches come from."""

    images: ImageSet
    batch_size: int
    augmentation: Augmentation | None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return num_shuffled_batches(len(self.images), self.batch_size)

    def epoch(self, generator: torch.Generator, *, skip: int) -> Iterator[Batch]:
        """Yield the batches of an epoch but for the first `skip`."""
        batches = shuffled_batches(
            self.images, self.batch_size, generator=generator, augmentation=self.augmentation
        )
        for index, batch in enumerate(batches):
            if index >= skip:
                yield batch


def run_training(
    task: Task,
    data: TrainingData,
    *,
    data_generator: torch.Generator,
    fingerprint: Mapping[str, Any],
    checkpoint: Path | None,
    resume: bool,
    checkpoint_interval_s: float,
    tensorboard: Path | None,
    progress: ProgressCallback,
    num_shards: int = 1,
    processes: Processes = ALONE,
    early_stopping: int | None = None,
    stage_ends: Sequence[int] = (),
) -> TrainingState:
    """Train until the schedule's end and return how it went.

    Of several processes, which all call this with the same arguments, the first validates and
    writes.

    Args:
        task: Changed in place; holds the last weights afterwards.
        data: Training images.
        data_generator: CPU source of order and augmentation.
        fingerprint: What must be equal for a checkpoint to be continued; JSON values.
        checkpoint: File; None keeps none.
        resume: Continue from `checkpoint` where it exists.
        checkpoint_interval_s: Longest time between two checkpoints [s].
        tensorboard: Folder of the curves; None: none.
        progress: Told of each step.
        num_shards: Parts of a batch that are computed apart, a multiple of the processes.
        processes: Who trains.
        early_stopping: Epochs without a better score after which a stage ends; None: never.
        stage_ends: The epoch behind each stage, rising; none: a single stage.

    Raises:
        CheckpointError: The checkpoint belongs to another run, or is damaged.
        ConfigError: The processes cannot share the shards.
        DistributedError: Another process ended.
        TrainingError: Losses or weights are no longer finite; the last checkpoint is of before.
        KeyboardInterrupt: Ctrl-C, after the step was finished and the state saved.
    """
    state = TrainingState()
    shards = Shards(task, num_shards, processes)
    if resume and checkpoint is not None and checkpoint.is_file():
        state = load_state(checkpoint, task, shards, data_generator, fingerprint)
    steps = data.steps_per_epoch
    if not processes.first:
        tensorboard, progress = None, no_progress
    log = TensorBoardLog(tensorboard, task=task.name, step=state.step)
    saved_at = time.monotonic()

    def save() -> None:
        nonlocal saved_at
        if checkpoint is not None:
            save_state(checkpoint, task, state, shards, data_generator, fingerprint, processes)
        saved_at = time.monotonic()

    def report() -> None:
        progress(task.name, state.epoch * steps + state.done, task.num_epochs * steps, note)

    note = _note(state)
    report()
    try:
        with deferred_interrupt(insistent=processes.count == 1) as requested:
            while state.epoch < task.num_epochs:
                task.begin_epoch(state.epoch)
                # Counts of symbols may round otherwise on another GPU, so a removal may, too.
                moments, _ = optimizer_state(task.optimizer)
                processes.follow_first([*task.model.state_dict().values(), *moments.values()])
                if state.done == 0 or state.data_state is None:
                    state.data_state, state.sums = data_generator.get_state(), {}
                for index, batch in enumerate(
                    data.epoch(data_generator, skip=state.done), state.done
                ):
                    _train_step(task, batch, state, shards, index=index, num_steps=steps)
                    report()
                    if state.done == steps:
                        break
                    overdue = time.monotonic() - saved_at >= checkpoint_interval_s
                    interrupted, due = processes.any(requested(), overdue)
                    if interrupted or due:
                        _check_finite(task, state, steps, processes)
                        save()
                    if interrupted:
                        raise KeyboardInterrupt
                log.epoch(_finish_epoch(task, state, steps, processes))  # finite, or it raises
                if early_stopping is not None:
                    _end_stage_early(state, early_stopping, (*stage_ends, task.num_epochs))
                note = _note(state)
                report()
                save()
                if processes.any(requested())[0]:
                    raise KeyboardInterrupt
    finally:
        log.close()
    return state


def _train_step(
    task: Task, batch: Batch, state: TrainingState, shards: Shards, *, index: int, num_steps: int
) -> None:
    task.model.train()
    task.optimizer.zero_grad(set_to_none=True)
    by_shard = shards.backward(task, batch, epoch=state.epoch, step=index, num_steps=num_steps)
    task.optimizer.step()
    state.step += 1
    state.done += 1
    for shard, terms in by_shard.items():
        sums = state.sums.setdefault(shard, {})
        for name, value in terms.items():
            value = value.detach().double()
            sums[name] = sums[name] + value if name in sums else value


def _finish_epoch(
    task: Task, state: TrainingState, steps: int, processes: Processes
) -> EpochRecord:
    _check_finite(task, state, steps, processes)
    sums = list(gathered_sums(state, processes).values())
    score = _validate(task, processes)
    record = EpochRecord(
        task=task.name,
        epoch=state.epoch + 1,
        step=state.step,
        order=task.order,
        losses={name: sum(terms[name] for terms in sums) / len(sums) / steps for name in sums[0]},
        settings=task.settings(),
        validation_loss=score.loss,
        validation_accuracy=score.accuracy,
        validation_ser=score.ser,
    )
    best = state.best.get(task.stage)
    if best is None or best.beaten_by(score):
        tensors = {name: value.clone() for name, value in task.model.state_dict().items()}
        state.best[task.stage] = Best(record.epoch, score.accuracy, score.loss, tensors)
    state.history.append(record)
    state.epoch += 1
    state.done, state.data_state, state.sums = 0, None, {}
    return record


def _check_finite(task: Task, state: TrainingState, steps: int, processes: Processes) -> None:
    """Raise TrainingError where losses of the epoch so far, weights or buffers are not finite.

    Called where the device is waited for anyway, and before anything is kept of them.
    """
    totals = [terms["total"] for terms in gathered_sums(state, processes).values()]
    held = [value for value in task.model.state_dict().values() if value.is_floating_point()]
    finite = torch.stack([value.isfinite().all() for value in held])
    if not all(map(math.isfinite, totals)) or not bool(finite.all()):
        raise TrainingError(
            f"{task.name}: losses or weights are no longer finite in epoch {state.epoch + 1}, by "
            f"its step {state.done} of {steps}; begin anew with lower learning rates, in another "
            "folder"
        )


def _validate(task: Task, processes: Processes) -> LinkScore:
    """Return the score that the first process finds."""
    own = asdict(task.validate()) if processes.first else None
    return LinkScore(**processes.gathered(own)[0])


def _end_stage_early(state: TrainingState, patience: int, ends: Sequence[int]) -> None:
    """Go on to the next stage where the last `patience` epochs of this one were no better."""
    finished = state.epoch
    begin = max((end for end in ends if end < finished), default=0)
    end = min(end for end in ends if end >= finished)
    best = max(best.epoch for best in state.best.values() if best.epoch > begin)
    if finished - best >= patience:
        state.epoch = end


def _note(state: TrainingState) -> str:
    if not state.history:
        return ""
    last = state.history[-1]
    return f"loss {last.losses['total']:.3f}, validation {last.validation_accuracy:.1f} %"
