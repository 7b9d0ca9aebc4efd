"""Several processes that train one model, as `torchrun` starts them.

Each computes shards of every batch; sums of gradients keep the models equal. Collectives on numbers
of the host go through gloo, those on a GPU's tensors through NCCL.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from phyemu.errors import ConfigError, DistributedError, PhyemuError

__all__ = ["ALONE", "Processes", "joined", "num_started_processes"]

_SPOKEN = "phyemu/spoken"
# The others wait while the first one validates and exports, however long; one that ended is noticed
# by its closed connection, not by the clock.
_LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Processes:
    """Who trains, and where this process stands among them.

    Attributes:
        rank: Of this process, from 0.
        count: How many there are.
        device: Where this process computes.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Return whether this is the process that writes, validates and reports."""
        return self.rank == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one collective.

        Args:
            tensors: Of one dtype, on one device, the same shapes in every process.

        Raises:
            DistributedError: Another process ended.
        """
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _peers():
            distributed.all_reduce(flat)
        begin = 0
        for tensor in tensors:
            end = begin + tensor.numel()
            tensor.copy_(flat[begin:end].view(tensor.shape))
            begin = end

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return of each flag whether it is set in any process; never waits for a GPU.

        Raises:
            DistributedError: Another process ended.
        """
        if self.count == 1:
            return flags
        values = torch.tensor(flags, dtype=torch.int32)
        with _peers():
            distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return tuple(bool(value) for value in values)

    def gathered(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank.

        Args:
            value: JSON; floats come back bit for bit.

        Raises:
            DistributedError: Another process ended.
        """
        if self.count == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        with _peers():
            distributed.all_gather(lengths, torch.tensor([len(text)]))
            longest = max(int(length) for length in lengths)
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(text)] = text
            texts = [torch.zeros_like(padded) for _ in range(self.count)]
            distributed.all_gather(texts, padded)
        return [
            json.loads(bytes(found[: int(length)].tolist()))
            for found, length in zip(texts, lengths, strict=True)
        ]

    def follow_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of the first process.

        Raises:
            DistributedError: Another process ended.
        """
        if self.count == 1:
            return
        with _peers():
            for tensor in tensors:
                sent = tensor.contiguous()
                distributed.broadcast(sent, 0)
                tensor.copy_(sent)


ALONE = Processes()


def num_started_processes() -> int:
    """Return how many processes `torchrun` started; 1 where it did not."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "MASTER_ADDR" in os.environ else 1


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, and leave them again.

    Of an error or an interruption one process speaks; the others exit with status 1, without a
    word, whether they met it too or lost that process.

    Args:
        device: Of the computation; `cuda` without a number becomes the GPU of this process.

    Raises:
        ConfigError: There are more processes on this machine than GPUs.
    """
    count = num_started_processes()
    if count == 1:
        yield Processes(device=device)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        device = torch.device("cuda", local if device.index is None else device.index)
    with _peers():
        store, rank, count = next(rendezvous("env://"))
    try:
        if device.type == "cuda":
            if local >= torch.cuda.device_count():
                raise ConfigError(
                    f"process {local} of this machine has no GPU: there are "
                    f"{torch.cuda.device_count()}; start no more processes (--nproc-per-node)"
                )
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with _peers():
            distributed.init_process_group(
                backend,
                store=PrefixStore("phyemu", store),
                rank=rank,
                world_size=count,
                timeout=_LONGEST_WAIT,
            )
        yield Processes(rank, count, device)
    except (PhyemuError, KeyboardInterrupt) as exc:
        if _speaks(store, rank):
            raise
        raise SystemExit(1) from exc
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _speaks(store: Store, rank: int) -> bool:
    """Return whether no other process has spoken yet."""
    try:
        return bool(store.compare_set(_SPOKEN, "", str(rank)) == str(rank).encode())
    except RuntimeError:  # the store is gone with the process that held it
        return True


@contextmanager
def _peers() -> Iterator[None]:
    try:
        yield
    except RuntimeError as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise DistributedError(f"another process of this training ended ({reason})") from exc
