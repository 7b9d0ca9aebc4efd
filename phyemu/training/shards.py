"""Shards: parts of a batch, each with its own draws and its own batch statistics.

How a model is trained depends on how many shards there are and not on who computes them: one
process computes them one after another, several processes side by side. A shard normalises by its
own statistics; running statistics become the mean of those of all shards.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from phyemu.datasets import Batch
from phyemu.errors import ConfigError

from .distributed import Processes

__all__ = ["ShardedTask", "Shards", "shards_of_each"]


class ShardedTask(Protocol):
    """What of a task the shards need; see `trainer.Task`."""

    generator: torch.Generator

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the loss terms of a batch; `total` is minimised."""


def shards_of_each(count: int, processes: Processes) -> int:
    """Return how many of `count` shards each process computes.

    Raises:
        ConfigError: The processes cannot share so many equally.
    """
    if count < 1 or count % processes.count:
        raise ConfigError(
            f"{count} shards cannot be shared equally by {processes.count} processes; start "
            f"{count} of them, or a divisor of {count}"
        )
    return count // processes.count


class Shards:
    """The shards that this process computes.

    Args:
        task: Its generator becomes that of the first shard.
        count: Shards of a batch, >= 1.
        processes: Who shares them.

    Raises:
        ConfigError: The processes cannot share so many equally.
    """

    def __init__(self, task: ShardedTask, count: int, processes: Processes) -> None:
        each = shards_of_each(count, processes)
        self.count = count
        self.own = range(processes.rank * each, (processes.rank + 1) * each)
        self.generators = [task.generator, *(_generator(task, k) for k in range(1, count))]
        self._processes = processes

    def backward(
        self, task: ShardedTask, batch: Batch, *, epoch: int, step: int, num_steps: int
    ) -> dict[int, dict[str, Tensor]]:
        """Give the model the gradient of the mean loss of the batch; return the terms by shard.

        Args:
            task: Its gradients are clear.
            batch: The whole batch, the same in every process.
            epoch: As `Task.losses` takes it.
            step: As `Task.losses` takes it.
            num_steps: As `Task.losses` takes it.

        Raises:
            ConfigError: A shard would have less than two images.
            DistributedError: Another process ended.
        """
        if self.count == 1:
            task.generator = self.generators[0]
            terms = task.losses(batch, epoch=epoch, step=step, num_steps=num_steps)
            terms["total"].backward()  # type: ignore[no-untyped-call]
            return {0: terms}
        if len(batch) < 2 * self.count:
            raise ConfigError(
                f"a batch of {len(batch)} images has no two for each of {self.count} shards"
            )
        images = batch.images.tensor_split(self.count)
        labels = batch.labels.tensor_split(self.count)
        statistics = _Statistics(task.model)
        by_shard = {}
        for shard in self.own:
            task.generator = self.generators[shard]
            part = Batch(images[shard], labels[shard])
            share = len(part) / len(batch)
            with statistics.of_a_shard():
                terms = task.losses(part, epoch=epoch, step=step, num_steps=num_steps)
                (share * terms["total"]).backward()  # type: ignore[no-untyped-call]
            by_shard[shard] = terms
        statistics.set_mean(self.count, self._processes)
        self._processes.add_up([p.grad for p in task.model.parameters() if p.grad is not None])
        return by_shard


class _Statistics:
    """The running statistics of a model's batch norms while a batch is computed in shards."""

    def __init__(self, model: nn.Module) -> None:
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        buffers = [b for m in norms for b in m.buffers(recurse=False)]
        self._values = [b for b in buffers if b.is_floating_point()]
        self._before = [(b, b.clone()) for b in buffers]
        self._sums: list[Tensor] = []

    @contextmanager
    def of_a_shard(self) -> Iterator[None]:
        """Begin with the statistics from before the batch, and add up what comes of them."""
        for buffer, before in self._before:
            buffer.copy_(before)
        yield
        if self._sums:
            for total, value in zip(self._sums, self._values, strict=True):
                total.add_(value)
        else:
            self._sums = [value.clone() for value in self._values]

    def set_mean(self, count: int, processes: Processes) -> None:
        """Give the model the mean over all shards."""
        processes.add_up(self._sums)
        for value, total in zip(self._values, self._sums, strict=True):
            value.copy_(total / count)


def _generator(task: ShardedTask, shard: int) -> torch.Generator:
    digest = hashlib.sha256(f"{task.generator.initial_seed()}/{shard}".encode()).digest()
    seed = int.from_bytes(digest[:4], "little") >> 1
    return torch.Generator(task.generator.device).manual_seed(seed)
