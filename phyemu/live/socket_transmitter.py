"""The transmitting half of a socket radio: bursts, each a connection, from a thread of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from phyemu.live.endpoint import Endpoint
from phyemu.live.zeromq import ZmqSink
from phyemu.radio.stream import TransmitEnd, TransmitReport, TransmitSource, transmit_blocks

__all__ = ["SocketTransmission", "SocketTransmitter"]

# Samples leave in messages of this length [s], so that little waits in queues.
_MESSAGE_S = 5e-3
_MESSAGE_SAMPLES = 1 << 16
_MIN_MESSAGE_SAMPLES = 1 << 10
# The thread looks this often whether it should end [s].
_POLL_S = 0.05
# What is on its way when a burst ends may take so long to be taken [s]; after `stop`; after
# `close`, which waits no longer than that, and a little, for a source that does not return.
_LINGER_S = 10.0
_STOPPED_LINGER_S = 5.0
_CLOSED_LINGER_S = 1.0
_CLOSE_S = 2.0


class SocketTransmission:
    """A transmission under way."""

    def __init__(
        self, blocks: Iterator[NDArray[np.complex64]], *, silence: int, at_index: int | None
    ) -> None:
        """Get ready.

        Args:
            blocks: (1, num_samples), complex64, not empty.
            silence: Samples of silence before the first one.
            at_index: Where the first one belongs instead, by the samples sent.
        """
        self.blocks = blocks
        self.silence = silence
        self.at_index = at_index
        self.start_s: float | None = None
        self.clipped = 0
        self.acknowledged = False
        self.ended_by = TransmitEnd.COMPLETE
        self.detail = ""
        self.stopped = threading.Event()
        self.future: Future[None] | None = None
        self._num_samples = 0

    @property
    def num_samples(self) -> int:
        """Return the samples that the other side took so far, or that are on their way to it."""
        return self._num_samples

    def count(self, num_samples: int) -> None:
        """Note that samples have left."""
        self._num_samples += num_samples

    def end(self, ended_by: TransmitEnd, detail: str) -> None:
        """Note why it ended early."""
        self.ended_by, self.detail = ended_by, detail

    def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
        """Return the report once it has ended; None after `timeout_s` [s].

        Raises:
            PhyemuError: What the source of the samples raised, or the socket cannot be opened.
        """
        if self.future is None or not wait([self.future], timeout_s).done:
            return None
        self.future.result()
        return TransmitReport(
            num_samples=self._num_samples,
            start_time_s=self.start_s,
            clipped=self.clipped,
            late=int(self.ended_by is TransmitEnd.LATE),
            acknowledged=self.acknowledged,
            ended_by=self.ended_by,
            detail=self.detail,
        )

    def stop(self) -> None:
        """End it with the samples that are on their way."""
        self.stopped.set()


class SocketTransmitter:
    """Sends transmissions one after the other; those that wait for each other are one burst.

    Attributes:
        endpoint: Where the samples go.
        num_sent: Samples sent so far, silence included; at the start of a burst at least as many
            as have been received.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        sample_rate_hz: float,
        stall_s: float,
        num_received: Callable[[], int],
    ) -> None:
        """Get ready; the thread starts with the first transmission.

        Args:
            endpoint: Where the samples go.
            sample_rate_hz: Their rate [Hz].
            stall_s: Time without a sample taken after which the other side counts as gone [s].
            num_received: Samples that the radio has received so far.
        """
        self.endpoint = endpoint
        self.num_sent = 0
        self._sample_rate_hz = sample_rate_hz
        self._stall_s = stall_s
        self._num_received = num_received
        self._message_samples = min(
            _MESSAGE_SAMPLES, max(_MIN_MESSAGE_SAMPLES, round(_MESSAGE_S * sample_rate_hz))
        )
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="phyemu-socket-transmit")
        self._transmissions: list[SocketTransmission] = []
        self._closed = threading.Event()
        self._sink: ZmqSink | None = None
        self._gone = False

    def add(
        self, source: TransmitSource, *, delay_s: float, at_s: float | None
    ) -> SocketTransmission:
        """Queue a transmission, and return it."""
        transmission = SocketTransmission(
            iter(transmit_blocks(source, 1)),
            silence=round(delay_s * self._sample_rate_hz),
            at_index=None if at_s is None else round(at_s * self._sample_rate_hz),
        )
        self._transmissions = [*self._under_way(), transmission]
        transmission.future = self._pool.submit(self._run, transmission)
        return transmission

    @property
    def is_busy(self) -> bool:
        """Whether a transmission is under way."""
        return bool(self._under_way())

    def _under_way(self) -> list[SocketTransmission]:
        return [
            item for item in self._transmissions if item.future is None or not item.future.done()
        ]

    def close(self) -> None:
        """Stop everything, and wait for the thread, unless a source of samples keeps it."""
        self._closed.set()
        for transmission in self._transmissions:
            transmission.stop()
        wait([item.future for item in self._transmissions if item.future is not None], _CLOSE_S)
        self._pool.shutdown(wait=False)

    def _run(self, transmission: SocketTransmission) -> None:
        try:
            whole = self._send(transmission)
            transmission.acknowledged = whole
        finally:
            # The one that was added last is this one: nothing follows.
            if self._transmissions[-1] is transmission or self._gone:
                taken = self._end_burst(transmission)
                transmission.acknowledged = transmission.acknowledged and taken

    def _send(self, transmission: SocketTransmission) -> bool:
        """Return whether all of it was sent."""
        # The source may be slow to begin: the air would wait for it.
        block = next(transmission.blocks, None)
        sink = self._ready_sink(transmission)
        if sink is None or not self._send_silence(sink, transmission):
            return False
        while block is not None:
            if transmission.start_s is None:
                transmission.start_s = self.num_sent / self._sample_rate_hz
            for begin in range(0, block.shape[1], self._message_samples):
                piece, clipped = _limited(block[0, begin : begin + self._message_samples])
                sent = self._put(sink, piece, transmission)
                transmission.count(sent)
                if sent < len(piece):
                    return False
                transmission.clipped += clipped
            block = next(transmission.blocks, None)
        return True

    def _ready_sink(self, transmission: SocketTransmission) -> ZmqSink | None:
        """Return the socket of the burst once somebody is there; None: it cannot start."""
        if self._gone:
            transmission.end(TransmitEnd.DISCONNECTED, "the other side had gone before")
            return None
        if transmission.stopped.is_set():
            transmission.end(TransmitEnd.STOPPED, "before its first sample")
            return None
        if self._sink is not None:
            return self._sink
        self._sink = ZmqSink(self.endpoint)
        deadline = time.monotonic() + self._stall_s
        while not self._sink.num_peers():
            if transmission.stopped.wait(_POLL_S / 10):
                transmission.end(TransmitEnd.STOPPED, "before its first sample")
                return None
            if time.monotonic() > deadline:
                transmission.end(
                    TransmitEnd.STALLED,
                    f"nobody was at {self.endpoint.text} for {self._stall_s:g} s",
                )
                return None
        self.num_sent = max(self.num_sent, self._num_received())
        return self._sink

    def _send_silence(self, sink: ZmqSink, transmission: SocketTransmission) -> bool:
        left = transmission.silence
        if transmission.at_index is not None:
            left = transmission.at_index - self.num_sent
            if left < 0:
                transmission.end(TransmitEnd.LATE, "its start had passed; start it later")
                return False
        zeros = np.zeros(self._message_samples, np.complex64)
        while left > 0:
            wanted = min(left, len(zeros))
            if self._put(sink, zeros[:wanted], transmission) < wanted:
                return False
            left -= wanted
        return True

    def _put(
        self, sink: ZmqSink, piece: NDArray[np.complex64], transmission: SocketTransmission
    ) -> int:
        """Return how many samples were taken before the transmission ended; usually all."""
        taken_at = time.monotonic()
        position = 0
        while position < len(piece):
            if transmission.stopped.is_set():
                transmission.end(TransmitEnd.STOPPED, "")
                break
            if not sink.num_peers():
                self._gone = True
                transmission.end(
                    TransmitEnd.DISCONNECTED, "the other side has closed the connection"
                )
                break
            sent = sink.send(piece[position:], _POLL_S)
            position += sent
            now = time.monotonic()
            if sent:
                taken_at = now
            elif now - taken_at > self._stall_s:
                self._gone = True
                transmission.end(TransmitEnd.STALLED, f"it took no sample for {self._stall_s:g} s")
                break
        self.num_sent += position
        return position

    def _end_burst(self, transmission: SocketTransmission) -> bool:
        """Close the connection; return whether everything has been taken."""
        sink, self._sink = self._sink, None
        if sink is None:
            return True
        linger_s = _LINGER_S
        if self._gone:
            linger_s = 0.0
        elif self._closed.is_set():
            linger_s = _CLOSED_LINGER_S
        elif transmission.stopped.is_set():
            linger_s = _STOPPED_LINGER_S
        started = time.monotonic()
        sink.close(linger_s)
        return time.monotonic() - started < linger_s


def _limited(iq: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], int]:
    """Return samples whose I and Q are limited to full scale, and how many were not."""
    parts = np.ascontiguousarray(iq).view(np.float32)
    if parts.max() <= 1 and parts.min() >= -1:
        return iq, 0
    beyond = np.abs(parts) > 1
    clipped = int((beyond[0::2] | beyond[1::2]).sum())
    return np.clip(parts, -1, 1).view(np.complex64), clipped
