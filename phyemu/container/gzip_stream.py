"""Gzip, compressed by several threads: the same bytes whatever their number.

The input is cut into blocks of 1 MiB, and each is deflated with the 32 KiB before it as dictionary,
as pigz does; together they are one gzip member without a time or a name.
"""

import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO

__all__ = ["GzipStream"]

_BLOCK = 1 << 20
_WINDOW = 1 << 15
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"  # deflate, no flags, no time, Unix


class GzipStream:
    """Takes bytes and writes them compressed to another file, which stays open."""

    def __init__(self, file: BinaryIO, *, level: int, threads: int | None = None) -> None:
        """Begin.

        Args:
            file: Where the compressed bytes go.
            level: Of zlib, 1 (fast) to 9 (small).
            threads: How many compress; None: one for each CPU.
        """
        self._file = file
        self._level = level
        workers = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="gzip")
        self._waiting: deque[Future[bytes]] = deque()
        self._most_waiting = 2 * workers
        self._pending = bytearray()
        self._dictionary = b""
        self._crc = 0
        self.num_bytes = 0
        file.write(_HEADER)

    def write(self, data: bytes) -> int:
        """Take more bytes; blocks until no more than a few blocks wait."""
        self._crc = zlib.crc32(data, self._crc)
        self.num_bytes += len(data)
        self._pending += data
        while len(self._pending) > _BLOCK:
            self._submit(bytes(self._pending[:_BLOCK]), last=False)
            del self._pending[:_BLOCK]
        return len(data)

    def close(self) -> None:
        """Write what is left, and the check sum."""
        self._submit(bytes(self._pending), last=True)
        self._pending.clear()
        while self._waiting:
            self._file.write(self._waiting.popleft().result())
        self._file.write(struct.pack("<LL", self._crc, self.num_bytes & 0xFFFFFFFF))
        self._pool.shutdown()

    def __enter__(self) -> "GzipStream":
        """Return itself; it is closed at the end, or given up where that is an error."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish; after an error, only let the threads end."""
        if kind is None:
            self.close()
        else:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self, block: bytes, *, last: bool) -> None:
        while len(self._waiting) >= self._most_waiting:
            self._file.write(self._waiting.popleft().result())
        self._waiting.append(
            self._pool.submit(_deflate, block, self._dictionary, self._level, last)
        )
        self._dictionary = block[-_WINDOW:]


def _deflate(block: bytes, dictionary: bytes, level: int, last: bool) -> bytes:
    # Raw deflate; blocks that are not the last one end on a byte.
    if dictionary:
        deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=dictionary)
    else:
        deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(block) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
