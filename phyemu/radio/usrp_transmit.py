"""The transmitting half of a USRP: one timed burst, sent from its own thread."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.radio.sc16 import to_sc16
from phyemu.radio.stream import TransmitReport

__all__ = ["UsrpTransmission"]

# The device's answer to the end of a burst may take this long after its last sample [s].
_ACKNOWLEDGE_S = 0.5
# Samples handed over at once: tens of packets.
_PIECE_SAMPLES = 1 << 16


@dataclass(slots=True)
class _Counts:
    num_samples: int = 0
    clipped: int = 0
    events: dict[str, int] = field(default_factory=dict)


class UsrpTransmission:
    """One burst under way."""

    def __init__(
        self,
        uhd: Any,
        streamer: Any,
        blocks: Iterable[NDArray[np.complex64]],
        *,
        sample_rate_hz: float,
        delay_s: float,
        time_now: Callable[[], Any],
        index_of: Callable[[Any], int | None],
        stall_s: float,
        after: "UsrpTransmission | None",
    ) -> None:
        """Start the thread that sends.

        Args:
            uhd: The driver.
            streamer: Its transmit streamer, sc16 at the host's side.
            blocks: (channels, num_samples), complex64, not empty.
            sample_rate_hz: Rate of the device [Hz].
            delay_s: Time from now, or from the end of `after`, to the first sample [s].
            time_now: Returns the device's time.
            index_of: Position of a device time on the receive timeline.
            stall_s: Time without a sample taken after which the device counts as gone [s].
            after: The transmission that has to end first.
        """
        self._uhd = uhd
        self._streamer = streamer
        self._blocks = blocks
        self._sample_rate_hz = sample_rate_hz
        self._delay_s = delay_s
        self._time_now = time_now
        self._index_of = index_of
        self._stall_s = stall_s
        self._counts = _Counts()
        self._first: Any = None
        self._start_index: int | None = None
        self._detail = ""
        self._stop = threading.Event()
        pool = ThreadPoolExecutor(1, thread_name_prefix="phyemu-transmit")
        self._future: Future[None] = pool.submit(
            self._run, None if after is None else after._future
        )
        pool.shutdown(wait=False)

    @property
    def num_samples(self) -> int:
        """Return the samples per channel that the device took so far."""
        return self._counts.num_samples

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
        if self._start_index is None and self._first is not None:
            # Nothing may have been received when the burst ended, and something since.
            self._start_index = self._index_of(self._first)
        events = self._counts.events
        return TransmitReport(
            num_samples=self._counts.num_samples,
            start_index=self._start_index,
            underflows=events.get("underflow", 0) + events.get("underflow_in_packet", 0),
            sequence_errors=events.get("seq_error", 0) + events.get("seq_error_in_packet", 0),
            late=events.get("time_error", 0),
            clipped=self._counts.clipped,
            acknowledged="burst_ack" in events,
            detail=self._detail,
        )

    def stop(self) -> None:
        """End the burst with the samples that the driver already has."""
        self._stop.set()

    def close(self) -> None:
        """End the burst and return when its thread has ended."""
        self.stop()
        wait([self._future])

    def _run(self, before: "Future[None] | None") -> None:
        if before is not None:
            wait([before])
        try:
            self._send_burst()
        except RuntimeError as exc:
            self._detail = f"the device is gone: {exc}"
        finally:
            if self._first is not None:
                self._start_index = self._index_of(self._first)
            # The device can be opened again only when nobody holds on to it, and callers may keep
            # this transmission for its report.
            del self._streamer, self._time_now, self._blocks

    def _send_burst(self) -> None:
        metadata = self._uhd.types.TXMetadata()
        metadata.start_of_burst = True
        metadata.has_time_spec = True
        started = time.monotonic()
        delay = self._uhd.types.TimeSpec(self._delay_s)
        self._first = metadata.time_spec = self._time_now() + delay
        # One piece is held back, because the last one must carry the end of the burst: an empty
        # end of burst would send a zero sample.
        held: NDArray[np.uint32] | None = None
        for words in self._pieces():
            if held is not None and not self._send(held, metadata):
                return
            held = words
            self._count_events(0.0)
        if held is None:
            return
        metadata.end_of_burst = True
        if self._send(held, metadata):
            lasts_s = self._delay_s + self._counts.num_samples / self._sample_rate_hz
            self._await_acknowledgement(max(time.monotonic(), started + lasts_s) + _ACKNOWLEDGE_S)

    def _pieces(self) -> Iterator[NDArray[np.uint32]]:
        for block in self._blocks:
            for begin in range(0, block.shape[1], _PIECE_SAMPLES):
                if self._stop.is_set():
                    return
                words, clipped = to_sc16(block[:, begin : begin + _PIECE_SAMPLES])
                self._counts.clipped += clipped
                yield words

    def _send(self, words: NDArray[np.uint32], metadata: Any) -> bool:
        """Send one piece; return whether the device took all of it."""
        position = 0
        taken_at = time.monotonic()
        while position < words.shape[1]:
            rest = np.ascontiguousarray(words[:, position:])
            accepted = self._streamer.send(rest, metadata, 0.5)
            now = time.monotonic()
            if accepted:
                taken_at = now
                position += accepted
                self._counts.num_samples += accepted
                metadata.start_of_burst = False
                metadata.has_time_spec = False
            elif now - taken_at > self._stall_s:
                self._detail = f"the device took no sample for {self._stall_s:g} s"
                return False
            elif self._stop.is_set():
                self._detail = "stopped while the device took no sample"
                return False
        return True

    def _count_events(self, timeout_s: float) -> None:
        message = self._uhd.types.TXAsyncMetadata()
        while self._streamer.recv_async_msg(message, timeout_s):
            name = str(message.event_code.name)
            self._counts.events[name] = self._counts.events.get(name, 0) + 1
            timeout_s = 0.0

    def _await_acknowledgement(self, deadline: float) -> None:
        while "burst_ack" not in self._counts.events and time.monotonic() < deadline:
            self._count_events(0.1)
