"""How far a training has come, and the checkpoint of it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from phyemu.errors import CheckpointError

from .checkpoint import read_checkpoint, write_checkpoint
from .distributed import Processes
from .history import EpochRecord
from .optimizer_state import optimizer_state, restore_optimizer
from .seeds import SeedUse, derived_seed
from .shards import Shards
from .validation import LinkScore

__all__ = ["Best", "StoredTask", "TrainingState", "load_state", "save_state"]

_LOG = logging.getLogger(__name__)


class StoredTask(Protocol):
    """What of a task a checkpoint needs; see `trainer.Task`."""

    optimizer: torch.optim.Optimizer

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    @property
    def stage(self) -> str:
        """The part of the schedule that the model is in."""

    def restore_stage(self, stage: str) -> None:
        """Give the model the shape it has in `stage`."""


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
    step: int = 0  # optimiser steps since the start
    done: int = 0  # of them, in this epoch
    sums: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Of the epoch's losses, float64, by shard; only those that this process computes."""
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    data_state: Tensor | None = None  # of the data generator when the epoch began


def save_state(
    path: Path,
    task: StoredTask,
    state: TrainingState,
    shards: Shards,
    data_generator: torch.Generator,
    fingerprint: Mapping[str, Any],
    processes: Processes,
) -> None:
    """Write a checkpoint: every process takes part, the first writes.

    Args:
        path: File.
        task: What is trained.
        state: How far it has come.
        shards: Their generators are kept.
        data_generator: Of order and augmentation.
        fingerprint: What must be equal for the checkpoint to be continued; JSON values.
        processes: Who trains.

    Raises:
        CheckpointError: The file cannot be written.
        DistributedError: Another process ended.
    """
    sums = gathered_sums(state, processes)
    generators = _gathered_generators(shards, processes)
    if not processes.first:
        return
    slots, plain = optimizer_state(task.optimizer)
    mid_epoch = state.data_state is not None
    data_state = state.data_state if mid_epoch else data_generator.get_state()
    tensors = {f"model/{name}": value for name, value in task.model.state_dict().items()}
    tensors |= {f"optimizer/{name}": value for name, value in slots.items()}
    for stage, best in state.best.items():
        tensors |= {f"best/{stage}/{name}": value for name, value in best.tensors.items()}
    tensors["generator/data"] = data_state if data_state is not None else torch.empty(0)
    tensors |= {f"generator/link/{shard}": value for shard, value in generators.items()}
    record = {
        "fingerprint": dict(fingerprint),
        "device": shards.generators[0].device.type,
        "stage": task.stage,
        "epoch": state.epoch,
        "step": state.step,
        "done": state.done,
        "mid_epoch": mid_epoch,
        "sums": {str(shard): terms for shard, terms in sums.items()},
        "optimizer": plain,
        "history": [entry.to_dict() for entry in state.history],
        "best": {
            stage: {"epoch": best.epoch, "accuracy": best.accuracy, "loss": best.loss}
            for stage, best in state.best.items()
        },
    }
    write_checkpoint(path, tensors, record)


def load_state(
    path: Path,
    task: StoredTask,
    shards: Shards,
    data_generator: torch.Generator,
    fingerprint: Mapping[str, Any],
) -> TrainingState:
    """Return how far a training had come, and give task and generators the state they had.

    How many processes computed the shards does not matter. On another kind of device than the one
    that wrote it, whose generators know other states, the draws of the link begin anew.

    Raises:
        CheckpointError: The checkpoint belongs to another run, or is damaged.
    """
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
        device = shards.generators[0].device
        written_on = record.get("device", device.type)  # earlier versions did not say
        if written_on != device.type and 0 in shards.own:  # one process says so
            _LOG.warning(
                "%s: was written on %s and goes on on %s, with other draws of the link: not the "
                "result, bit for bit, of a training on one of them",
                path,
                written_on,
                device.type,
            )
        for shard, generator in enumerate(shards.generators):
            if written_on == device.type:
                generator.set_state(tensors[f"generator/link/{shard}"])
            else:
                seed = derived_seed(generator.initial_seed(), SeedUse.LINK, record["step"])
                generator.manual_seed(seed)
        data_generator.set_state(tensors["generator/data"])
        return TrainingState(
            epoch=record["epoch"],
            step=record["step"],
            done=record["done"],
            sums={
                shard: {
                    name: torch.tensor(value, dtype=torch.float64, device=device)
                    for name, value in record["sums"][str(shard)].items()
                }
                for shard in shards.own
                if str(shard) in record["sums"]
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


def gathered_sums(state: TrainingState, processes: Processes) -> dict[int, dict[str, float]]:
    """Return the sums of the epoch's losses of every shard, in order."""
    own = [
        [shard, {name: float(value) for name, value in terms.items()}]
        for shard, terms in state.sums.items()
    ]
    return dict(entry for entries in processes.gathered(own) for entry in entries)


def _gathered_generators(shards: Shards, processes: Processes) -> dict[int, Tensor]:
    own = [[shard, shards.generators[shard].get_state().tolist()] for shard in shards.own]
    gathered = [entry for entries in processes.gathered(own) for entry in entries]
    return {shard: torch.tensor(state, dtype=torch.uint8) for shard, state in gathered}
