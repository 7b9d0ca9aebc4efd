"""Samples through standard input and output, and through named pipes."""

import errno
import fcntl
import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.iq.sample_format import SampleFormat
from phyemu.live.sample_bytes import SampleFramer, encode
from phyemu.live.transport import InputCounts

__all__ = ["PipeSink", "PipeSource", "ensure_fifo", "without_blocking"]

_READ_BYTES = 1 << 20
# So much goes into a pipe that has room for anything at all, even if it would block.
_SAFE_WRITE_BYTES = 4096
_RETRY_S = 0.02
_STANDARD_INPUT, _STANDARD_OUTPUT = 0, 1


class PipeSource:
    """Reads samples from a file descriptor until it ends."""

    def __init__(self, descriptor: int, sample_format: SampleFormat, *, name: str) -> None:
        """Take a descriptor over; it is closed with the source, unless it is standard input."""
        self.counts = InputCounts()
        self._descriptor: int | None = descriptor
        self._name = name
        self._framer = SampleFramer(sample_format, self.counts)
        _widen(descriptor)
        self._poll = select.poll()
        # A pipe that nobody has opened for writing yet is neither readable nor hung up.
        self._poll.register(descriptor, select.POLLIN)

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return the samples that came; at the end of the pipe None."""
        if self._descriptor is None or not self._poll.poll(timeout_s * 1e3):
            return np.zeros(0, np.complex64)
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return np.zeros(0, np.complex64)
        except OSError as exc:
            raise TransportError(f"{self._name}: cannot be read: {exc.strerror}") from exc
        if not data:
            self._framer.end()
            return None
        return self._framer.push(data)

    def close(self) -> None:
        """Close the descriptor."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor not in (None, _STANDARD_INPUT):
            os.close(descriptor)


class PipeSink:
    """Writes samples to a file descriptor."""

    def __init__(self, descriptor: int | Path, sample_format: SampleFormat, *, name: str) -> None:
        """Take a descriptor over, or the path of a named pipe, which is opened for the first send.

        A descriptor is closed with the sink, unless it is standard output.
        """
        self.num_clipped = 0
        self.num_ignored = 0
        self._format = sample_format
        self._name = name
        self._path = descriptor if isinstance(descriptor, Path) else None
        self._descriptor = None if isinstance(descriptor, Path) else descriptor
        self._rest = memoryview(b"")
        self._poll = select.poll()
        if self._descriptor is not None:
            self._prepare(self._descriptor)

    def send(self, iq: NDArray[np.complex64], timeout_s: float) -> int:
        """Return the number of samples taken: all, once those before them are in the pipe."""
        deadline_s = time.monotonic() + timeout_s
        if not self._opened(deadline_s) or not self._write_rest(deadline_s):
            return 0
        self._rest, num_clipped = encode(iq, self._format)
        self.num_clipped += num_clipped
        self._write_rest(deadline_s)
        return len(iq)

    def mark_gap(self, lost_messages: int) -> None:
        """Do nothing: there is no place for it among the samples."""

    def finish(self, timeout_s: float) -> bool:
        """Return whether everything is in the pipe."""
        return self._descriptor is None or self._write_rest(time.monotonic() + timeout_s)

    def close(self) -> None:
        """Close the descriptor."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor not in (None, _STANDARD_OUTPUT):
            os.close(descriptor)

    def _prepare(self, descriptor: int) -> None:
        _widen(descriptor)
        self._poll.register(descriptor, select.POLLOUT)
        mode = os.fstat(descriptor).st_mode
        blocking = os.get_blocking(descriptor) and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
        self._most = _SAFE_WRITE_BYTES if blocking else 1 << 30

    def _opened(self, deadline_s: float) -> bool:
        """Return whether the named pipe has a reader, without whom it cannot be opened."""
        while self._descriptor is None and self._path is not None:
            try:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as exc:
                if exc.errno != errno.ENXIO:
                    raise TransportError(f"{self._name}: {exc.strerror}") from exc
                if time.monotonic() >= deadline_s:
                    return False
                time.sleep(_RETRY_S)
            else:
                self._prepare(self._descriptor)
        return True

    def _write_rest(self, deadline_s: float) -> bool:
        while self._rest and self._descriptor is not None:
            left_s = max(0.0, deadline_s - time.monotonic())
            if not self._poll.poll(left_s * 1e3):
                return False
            try:
                written = os.write(self._descriptor, self._rest[: self._most])
            except BlockingIOError:
                # Less room than a pipe promises for one write.
                written = 0
            except BrokenPipeError:
                raise
            except OSError as exc:
                raise TransportError(f"{self._name}: cannot be written: {exc.strerror}") from exc
            self._rest = self._rest[written:]
        return True


def ensure_fifo(path: Path, *, name: str) -> bool:
    """Return whether a named pipe had to be made at `path`, for this user only.

    Raises:
        TransportError: Something else is there, or it cannot be made.
    """
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError as exc:
        if not path.is_fifo():
            raise TransportError(
                f"{name}: is there, and is no named pipe; for a file use - with < or >"
            ) from exc
        return False
    except OSError as exc:
        raise TransportError(f"{name}: cannot be made: {exc.strerror}") from exc
    return True


def without_blocking(descriptor: int) -> int:
    """Return a descriptor of the same pipe that does not block; of anything else, itself.

    Standard output is shared with other programs, so that its own flags are to be left alone.
    """
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with suppress(OSError):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    return descriptor


def _widen(descriptor: int) -> None:
    """Let a pipe hold 1 MiB, where the system has such a setting and allows it."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _READ_BYTES)
