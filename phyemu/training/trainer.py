"""The loop that every training shares: epochs, steps, validation, checkpoints, interruption."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from phyemu.datasets import Augmentation, Batch, ImageSet, num_shuffled_batches, shuffled_batches
from phyemu.errors import CheckpointError
from phyemu.progress import ProgressCallback

from .checkpoint import read_checkpoint, write_checkpoint
from .history import EpochRecord, TensorBoardLog
from .interrupt import deferred_interrupt
from .optimizer_state import optimizer_state, restore_optimizer
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


@dataclass(frozen=True, eq=False, slots=True)
class Best:
    """The best epoch of a stage, by accuracy, then loss, on the validation images."""

    epoch: int
    accuracy: float
    loss: float
    tensors: dict[str, Tensor]

    def beaten_by(self, score: LinkScore) -> bool:
        """Return whether `score` is better."""
        return (score.accuracy, -score.loss) > (self.accuracy, -self.loss)


@dataclass(eq=False, slots=True)
class TrainingState:
    """How far a training has come; with model, optimiser and generators all that a resume needs."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the epoch's losses, float64
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    data_state: Tensor | None = None  # of the data generator when the epoch began


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
) -> TrainingState:
    """Train until the schedule's end and return how it went.

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

    Raises:
        CheckpointError: The checkpoint belongs to another run, or is damaged.
        KeyboardInterrupt: Ctrl-C, after the step was finished and the state saved.
    """
    state = TrainingState()
    if resume and checkpoint is not None and checkpoint.is_file():
        state = _load(checkpoint, task, data_generator, fingerprint)
    steps = data.steps_per_epoch
    log = TensorBoardLog(tensorboard, task=task.name, step=state.step)
    saved_at = time.monotonic()

    def save() -> None:
        nonlocal saved_at
        if checkpoint is not None:
            _save(checkpoint, task, state, data_generator, fingerprint)
        saved_at = time.monotonic()

    total = task.num_epochs * steps
    note = _note(state)
    progress(task.name, state.step, total, note)
    try:
        with deferred_interrupt() as interrupted:
            while state.epoch < task.num_epochs:
                task.begin_epoch(state.epoch)
                done = state.step - state.epoch * steps
                if done == 0 or state.data_state is None:
                    state.data_state, state.sums = data_generator.get_state(), {}
                for index, batch in enumerate(data.epoch(data_generator, skip=done), done):
                    _train_step(task, batch, state, index=index, num_steps=steps)
                    progress(task.name, state.step, total, note)
                    last = state.step == (state.epoch + 1) * steps
                    due = time.monotonic() - saved_at >= checkpoint_interval_s
                    if not last and (due or interrupted()):
                        save()
                        if interrupted():
                            raise KeyboardInterrupt
                log.epoch(_finish_epoch(task, state, steps))
                note = _note(state)
                progress(task.name, state.step, total, note)
                save()
                if interrupted():
                    raise KeyboardInterrupt
    finally:
        log.close()
    return state


def _train_step(
    task: Task, batch: Batch, state: TrainingState, *, index: int, num_steps: int
) -> None:
    task.model.train()
    terms = task.losses(batch, epoch=state.epoch, step=index, num_steps=num_steps)
    task.optimizer.zero_grad(set_to_none=True)
    terms["total"].backward()  # type: ignore[no-untyped-call]
    task.optimizer.step()
    state.step += 1
    for name, value in terms.items():
        value = value.detach().double()
        state.sums[name] = state.sums[name] + value if name in state.sums else value


def _finish_epoch(task: Task, state: TrainingState, steps: int) -> EpochRecord:
    score = task.validate()
    record = EpochRecord(
        task=task.name,
        epoch=state.epoch + 1,
        step=state.step,
        order=task.order,
        losses={name: float(value) / steps for name, value in state.sums.items()},
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
    state.data_state, state.sums = None, {}
    return record


def _note(state: TrainingState) -> str:
    if not state.history:
        return ""
    last = state.history[-1]
    return f"loss {last.losses['total']:.3f}, validation {last.validation_accuracy:.1f} %"


def _save(
    path: Path,
    task: Task,
    state: TrainingState,
    data_generator: torch.Generator,
    fingerprint: Mapping[str, Any],
) -> None:
    slots, plain = optimizer_state(task.optimizer)
    mid_epoch = state.data_state is not None
    data_state = state.data_state if mid_epoch else data_generator.get_state()
    tensors = {f"model/{name}": value for name, value in task.model.state_dict().items()}
    tensors |= {f"optimizer/{name}": value for name, value in slots.items()}
    for stage, best in state.best.items():
        tensors |= {f"best/{stage}/{name}": value for name, value in best.tensors.items()}
    tensors["generator/data"] = data_state if data_state is not None else torch.empty(0)
    tensors["generator/link"] = task.generator.get_state()
    record = {
        "fingerprint": dict(fingerprint),
        "stage": task.stage,
        "epoch": state.epoch,
        "step": state.step,
        "mid_epoch": mid_epoch,
        "sums": {name: float(value) for name, value in state.sums.items()},
        "optimizer": plain,
        "history": [entry.to_dict() for entry in state.history],
        "best": {
            stage: {"epoch": best.epoch, "accuracy": best.accuracy, "loss": best.loss}
            for stage, best in state.best.items()
        },
    }
    write_checkpoint(path, tensors, record)


def _load(
    path: Path, task: Task, data_generator: torch.Generator, fingerprint: Mapping[str, Any]
) -> TrainingState:
    tensors, record = read_checkpoint(path)
    for key, value in fingerprint.items():
        found = record.get("fingerprint", {}).get(key)
        if found != value:
            raise CheckpointError(
                f"{path}: belongs to a run with {key} {found!r}, but this one has {value!r}; "
                "start it anew in another folder"
            )

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }

    try:
        task.restore_stage(record["stage"])
        task.model.load_state_dict(part("model/"))
        restore_optimizer(task.optimizer, part("optimizer/"), record["optimizer"])
        task.generator.set_state(tensors["generator/link"])
        data_generator.set_state(tensors["generator/data"])
        return TrainingState(
            epoch=record["epoch"],
            step=record["step"],
            sums={
                name: torch.tensor(value, dtype=torch.float64, device=task.generator.device)
                for name, value in record["sums"].items()
            },
            history=[EpochRecord.from_dict(entry) for entry in record["history"]],
            best={
                stage: Best(
                    entry["epoch"], entry["accuracy"], entry["loss"], part(f"best/{stage}/")
                )
                for stage, entry in record["best"].items()
            },
            data_state=tensors["generator/data"] if record["mid_epoch"] else None,
        )
    except (KeyError, RuntimeError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{path}: does not fit this run ({exc}); start it anew") from exc
