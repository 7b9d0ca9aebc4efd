"""The transmitting half of a USRP: one timed burst, sent from its own thread."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.radio.sc16 import to_sc16
from phyemu.radio.stream import TransmitEnd, TransmitReport
from phyemu.radio.usrp_driver import DRIVER_ERRORS, driver_message

__all__ = ["UsrpTransmission"]

# The device's answer to the end of a burst may take this long after its last sample [s].
_ACKNOWLEDGE_S = 0.5
# Samples are handed over no sooner than this before the first one is due [s]: a device that holds
# them cannot be told to forget them.
_HOLD_S = 1.0
_CLOCKS_DIFFER = 1e-4
# Samples handed over at once: tens of packets.
_PIECE_SAMPLES = 1 << 16
# How long one call may wait for room in the device [s].
_SEND_S = 0.5

# What each asynchronous message counts as; the binding of UHD 4.3 calls seq_error_in_burst
# seq_error_in_packet.
_UNDERFLOWS = ("underflow", "underflow_in_packet")
_SEQUENCE_ERRORS = ("seq_error", "seq_error_in_packet", "seq_error_in_burst")
_LATE = "time_error"
_ACKNOWLEDGED = "burst_ack"


@dataclass(frozen=True, slots=True)
class _Piece:
    iq: NDArray[np.complex64]
    words: NDArray[np.uint32]
    clipped: int


class _DeviceGone(Exception):
    """The driver raised; the message is its own."""


class UsrpTransmission:
    """One burst under way."""

    def __init__(
        self,
        uhd: Any,
        streamer: Any,
        blocks: Iterable[NDArray[np.complex64]],
        *,
        sample_rate_hz: float,
        num_channels: int,
        start_time: Callable[[Any], Any],
        time_now: Callable[[], Any],
        index_of: Callable[[Any], int | None],
        stall_s: float,
        after: "Sequence[UsrpTransmission]" = (),
    ) -> None:
        """Start the thread that sends.

        Args:
            uhd: The driver.
            streamer: Its transmit streamer, sc16 at the host's side.
            blocks: (channels, num_samples), complex64, not empty.
            sample_rate_hz: Rate of the device [Hz].
            num_channels: Channels of the streamer, each of which confirms the end of a burst.
            start_time: Returns the device time of the first sample, given the device's time when
                the burst could begin: now, or the end of `after`.
            time_now: Returns the device's time.
            index_of: Position of a device time on the receive timeline.
            stall_s: Time without a sample taken after which the device counts as gone [s].
            after: The transmissions that have to end first.
        """
        self._uhd = uhd
        self._streamer = streamer
        self._blocks = blocks
        self._sample_rate_hz = sample_rate_hz
        self._num_channels = num_channels
        self._schedule = start_time
        self._time_now = time_now
        self._index_of = index_of
        self._stall_s = stall_s
        self._after = after
        self._num_samples = 0
        self._clipped = 0
        self._events: Counter[str] = Counter()
        self._metadata: Any = None
        self._start_time: Any = None
        self._start_index: int | None = None
        # Host's time at which the first sample is due.
        self._due = 0.0
        self._ended_by = TransmitEnd.COMPLETE
        self._detail = ""
        self._stop = threading.Event()
        pool = ThreadPoolExecutor(1, thread_name_prefix="phyemu-transmit")
        self._future: Future[None] = pool.submit(self._run)
        pool.shutdown(wait=False)

    @property
    def num_samples(self) -> int:
        """Return the samples per channel that the device took so far."""
        return self._num_samples

    @property
    def start_time(self) -> Any:
        """Return the device time of the first sample, as UHD keeps times; None: not yet known.

        A burst that was late or never began has none.
        """
        known = self._num_samples and _LATE not in self._events
        return self._start_time if known else None

    def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
        """Return the report once the burst has ended; None after `timeout_s` [s].

        Raises:
            PhyemuError: What the source of the samples raised.
        """
        try:
            self._future.result(timeout_s)
        except TimeoutError:
            if not self._future.done():
                return None
            raise
        return self._report()

    def _report(self) -> TransmitReport:
        if self._events[_LATE]:
            self._end(TransmitEnd.LATE, "the device got it after its start; start it later")
        start = self.start_time
        if self._start_index is None and start is not None:
            # Nothing may have been received when the burst ended, and something since.
            self._start_index = self._index_of(start)
        return TransmitReport(
            num_samples=self._num_samples,
            start_index=None if start is None else self._start_index,
            start_time_s=None if start is None else float(start.get_real_secs()),
            underflows=sum(self._events[name] for name in _UNDERFLOWS),
            sequence_errors=sum(self._events[name] for name in _SEQUENCE_ERRORS),
            late=self._events[_LATE],
            clipped=self._clipped,
            acknowledged=self._acknowledged,
            events=dict(sorted(self._events.items())),
            ended_by=self._ended_by,
            detail=self._detail,
        )

    def stop(self) -> None:
        """End the burst with the samples that the driver already has."""
        self._stop.set()

    @property
    def done(self) -> bool:
        """Return whether it has ended."""
        return self._future.done()

    def close(self) -> None:
        """End the burst and return when its thread has ended."""
        self.stop()
        wait([self._future])

    @property
    def _acknowledged(self) -> bool:
        return self._events[_ACKNOWLEDGED] >= self._num_channels

    def _run(self) -> None:
        try:
            if self._await_turn():
                self._send_burst()
        except _DeviceGone as exc:
            self._end(TransmitEnd.DISCONNECTED, str(exc))
        finally:
            if self._start_time is not None:
                self._start_index = self._index_of(self._start_time)
            # The device can be opened again only when nobody holds on to it, and callers may keep
            # this transmission for its report.
            del self._streamer, self._time_now, self._blocks, self._schedule

    def _end(self, ended_by: TransmitEnd, detail: str) -> None:
        self._ended_by, self._detail = ended_by, detail

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the driver's answer; what it raises, of any type, means that it is gone."""
        try:
            return function(*arguments)
        except DRIVER_ERRORS as exc:
            raise _DeviceGone(driver_message(exc)) from exc

    def _await_turn(self) -> bool:
        """Wait for the transmission before this one; return False if stopped in the meantime."""
        before, self._after = [transmission._future for transmission in self._after], ()
        while wait(before, timeout=0.05).not_done and not self._stop.is_set():
            pass
        if self._stop.is_set():
            self._end(TransmitEnd.STOPPED, "before its first sample")
            return False
        return True

    def _send_burst(self) -> None:
        pieces = self._pieces()
        # One piece is held back, because the last one must carry the end of the burst: an empty
        # end of burst would send a zero sample. The source may be slow to begin, so its first
        # pieces are read before the clock.
        held = next(pieces, None)
        while held is not None:
            try:
                ahead = next(pieces, None)
            except BaseException:
                # What was read goes out, and ends in order, before the source's error is told.
                self._send(held, last=True)
                raise
            if not self._send(held, last=ahead is None):
                return
            held = ahead

    def _pieces(self) -> Iterator[_Piece]:
        for block in self._blocks:
            for begin in range(0, block.shape[1], _PIECE_SAMPLES):
                if self._stop.is_set() or _LATE in self._events:
                    # When a late burst goes out nobody can tell, so it is not gone on with.
                    self._end(TransmitEnd.STOPPED, "")
                    return
                iq = block[:, begin : begin + _PIECE_SAMPLES]
                yield _Piece(iq, *to_sc16(iq))

    def _await_start(self) -> bool:
        """Decide when the burst starts, and wait until that is near; False: it cannot start."""
        # Messages about bursts before this one must not be taken for its own.
        self._count_events(0.0)
        self._events.clear()
        now = self._call(self._time_now)
        start = self._schedule(now)
        remaining_s = (start - now).get_real_secs()
        self._due = time.monotonic() + remaining_s
        if remaining_s <= 0:
            late = f"second {start.get_real_secs():.6f} of the device's clock had passed"
            self._end(TransmitEnd.LATE, f"{late}; start it later")
            return False
        # The host's clock may be this much faster than the device's.
        waiting_s = remaining_s - max(_HOLD_S, _CLOCKS_DIFFER * remaining_s)
        if waiting_s > 0 and self._stop.wait(waiting_s):
            self._end(TransmitEnd.STOPPED, "before its first sample")
            return False
        self._start_time = start
        return True

    def _send(self, piece: _Piece, *, last: bool) -> bool:
        """Send one piece, the first one when it is time; return whether all of it was taken."""
        if self._metadata is None:
            if not self._await_start():
                return False
            self._metadata = self._uhd.types.TXMetadata()
            self._metadata.start_of_burst = self._metadata.has_time_spec = True
            self._metadata.time_spec = self._start_time
        self._metadata.end_of_burst = last
        before = self._num_samples
        whole = False
        try:
            whole = self._hand_over(piece.words)
        finally:
            taken = piece.iq[:, : self._num_samples - before]
            self._clipped += piece.clipped if whole else to_sc16(taken)[1]
        if whole and last:
            self._await_acknowledgement()
        return whole

    def _hand_over(self, words: NDArray[np.uint32]) -> bool:
        position = 0
        taken_at = max(time.monotonic(), self._due)
        while position < words.shape[1]:
            rest = np.ascontiguousarray(words[:, position:])
            accepted = self._call(self._streamer.send, rest, self._metadata, _SEND_S)
            now = time.monotonic()
            if accepted:
                taken_at = max(now, self._due)
                position += accepted
                self._num_samples += accepted
                self._metadata.start_of_burst = self._metadata.has_time_spec = False
            elif now - taken_at > self._stall_s:
                self._end(TransmitEnd.STALLED, f"it took no sample for {self._stall_s:g} s")
                return False
            elif self._stop.is_set() and now - taken_at > _SEND_S:
                self._end(TransmitEnd.STOPPED, "while the device took no sample")
                return False
            self._count_events(0.0)
        return True

    def _await_acknowledgement(self) -> None:
        sent_s = self._num_samples / self._sample_rate_hz
        deadline = max(time.monotonic(), self._due + sent_s) + _ACKNOWLEDGE_S
        while not self._acknowledged and time.monotonic() < deadline:
            self._count_events(0.1)

    def _count_events(self, timeout_s: float) -> None:
        message = self._uhd.types.TXAsyncMetadata()
        while self._call(self._streamer.recv_async_msg, message, timeout_s):
            self._events[str(message.event_code.name)] += 1
            timeout_s = 0.0
