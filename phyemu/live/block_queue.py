"""The bounded queue between two threads of the emulator."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockQueue", "LiveBlock"]

# Of tiny blocks, so many may wait: a peer that sends single samples shall not fill the memory
# with what surrounds them.
_MAX_BLOCKS = 1024


@dataclass(frozen=True, slots=True)
class LiveBlock:
    """Samples on their way, and when the first of them arrived (`time.monotonic`)."""

    iq: NDArray[np.complex64]
    arrival_s: float


class BlockQueue:
    """Blocks in order, bounded by samples and by number, between one writer and one reader.

    A block larger than the whole queue is taken when the queue is empty.
    """

    def __init__(self, capacity_samples: int) -> None:
        self._capacity = capacity_samples
        self._blocks: deque[LiveBlock] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.num_samples = 0

    def put(self, block: LiveBlock, timeout_s: float) -> bool:
        """Return whether there was room within the time."""
        size = len(block.iq)
        with self._changed:
            room = self._changed.wait_for(lambda: self._has_room(size), timeout_s)
            if room:
                self._blocks.append(block)
                self.num_samples += size
                self._changed.notify_all()
            return room

    def take(self, max_samples: int, timeout_s: float) -> list[LiveBlock] | None:
        """Return the blocks that wait, `max_samples` at most or one; None: closed and empty.

        Within the time nothing came: an empty list.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._blocks or self._closed, timeout_s)
            if not self._blocks:
                return None if self._closed else []
            taken = [self._blocks.popleft()]
            total = len(taken[0].iq)
            while self._blocks and total + len(self._blocks[0].iq) <= max_samples:
                taken.append(self._blocks.popleft())
                total += len(taken[-1].iq)
            self.num_samples -= total
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        if not self._blocks:
            return True
        return len(self._blocks) < _MAX_BLOCKS and self.num_samples + size <= self._capacity
