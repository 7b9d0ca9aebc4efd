"""A radio whose antenna is two ZeroMQ sockets: what stands for a USRP where the air is a program.

It keeps the promises of `Radio`, so a node of a batch job cannot tell it from a USRP, except that
nothing is ever lost for want of time: a slow receiver holds the air up, and a slow air the
transmitter. Samples are plain complex floats, as everywhere in `phyemu.live`.
"""

import math
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError
from phyemu.live.endpoint import Endpoint, EndpointKind, Role, parse_endpoint
from phyemu.live.socket_transmitter import SocketTransmission, SocketTransmitter
from phyemu.live.zeromq import ZmqSource
from phyemu.radio.radio import Radio, check_frequency, receive_buffer
from phyemu.radio.stream import ReceivedBlock, StreamEvent, TransmitSource

__all__ = ["SocketRadio"]

# A call takes as long as its samples last, and this much longer [s].
_PATIENCE_S = 0.5
# Whoever closes the radio waits no longer for the thread that receives [s].
_POLL_S = 0.05


class SocketRadio(Radio):
    """Receives what comes to a PULL socket, and transmits through a PUSH socket.

    The stream of the reception begins with the first `receive`, when the socket is opened. A burst
    of transmissions that follow each other is one connection: it is opened for the first sample and
    closed behind the last one, so that whoever takes the samples knows silence (no connection) from
    a transmitter that is late. The time of this radio is counted in samples: those received or sent
    so far, whichever is more.
    """

    def __init__(
        self,
        *,
        send: str,
        receive: str,
        sample_rate_hz: float,
        center_frequency_hz: float | None = None,
        stall_s: float = 30.0,
    ) -> None:
        """Get ready; no socket is opened yet.

        Args:
            send: Where transmitted samples go, `zmq+push://HOST:PORT` with the options of
                `parse_endpoint`; with `?connect` the other side may already wait there.
            receive: Where received samples come from, `zmq+pull://HOST:PORT`.
            sample_rate_hz: Rate of the samples in both directions [Hz].
            center_frequency_hz: What the radio says it is tuned to [Hz]; it acts on nothing.
            stall_s: Time without a sample taken after which a transmission ends [s].

        Raises:
            ConfigError: Not such an endpoint, or a setting is out of range.
        """
        for name, value in (("sample_rate_hz", sample_rate_hz), ("stall_s", stall_s)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} must be positive and finite, got {value}")
        self._source_endpoint = _endpoint(receive, Role.SOURCE, EndpointKind.ZMQ_PULL)
        sink_endpoint = _endpoint(send, Role.SINK, EndpointKind.ZMQ_PUSH)
        self._sample_rate_hz = float(sample_rate_hz)
        self._center_frequency_hz = center_frequency_hz
        self._source: ZmqSource | None = None
        self._rest = np.zeros(0, np.complex64)
        self._num_received = 0
        self._was_connected = False
        # Messages that were dropped so far, and why, until a block has told of it.
        self._num_dropped = 0
        self._broken = ""
        # A ZeroMQ socket belongs to one thread at a time.
        self._receiving = threading.Lock()
        self._closed = threading.Event()
        self._transmitter = SocketTransmitter(
            sink_endpoint,
            sample_rate_hz=self._sample_rate_hz,
            stall_s=stall_s,
            num_received=lambda: self._num_received,
        )

    @property
    def name(self) -> str:
        """Return "socket" and where the samples come from."""
        return f"socket {self._source_endpoint.text}"

    @property
    def sample_rate_hz(self) -> float:
        """Return the sample rate [Hz]."""
        return self._sample_rate_hz

    @property
    def center_frequency_hz(self) -> float | None:
        """Return what it was told to be tuned to [Hz]."""
        return self._center_frequency_hz

    @property
    def num_channels(self) -> int:
        """Return 1."""
        return 1

    @property
    def live(self) -> bool:
        """Return True: whoever is at the other end sends now."""
        return True

    @property
    def time_s(self) -> float:
        """Return the time that has been received or sent so far, whichever is more [s]."""
        return max(self._num_received, self._transmitter.num_sent) / self._sample_rate_hz

    def metadata(self) -> Mapping[str, Any]:
        """Return SigMF global fields that say that no antenna was involved."""
        return {"core:hw": "phyemu socket radio"}

    def receive(self, num_samples: int, out: NDArray[np.complex64] | None = None) -> ReceivedBlock:
        """Return the next samples; fewer where no more come in time.

        Without any sample in time the block is empty and its event TIMEOUT. Once the other side was
        there and has gone, and everything it sent has been received, the event is DISCONNECTED.

        Raises:
            SignalError: `num_samples` or `out` does not fit.
            RadioError: The radio is closed.
            TransportError: pyzmq is missing, or the address cannot be used.
        """
        iq = receive_buffer(num_samples, 1, out)
        with self._receiving:
            if self._closed.is_set():
                raise RadioError(f"{self.name}: the radio is closed")
            if self._source is None:
                self._source = ZmqSource(self._source_endpoint)
            return self._fill(self._source, iq[:, :num_samples])

    def _fill(self, source: ZmqSource, iq: NDArray[np.complex64]) -> ReceivedBlock:
        deadline = time.monotonic() + iq.shape[1] / self._sample_rate_hz + _PATIENCE_S
        count, gone = 0, False
        while True:
            piece = self._rest[: iq.shape[1] - count]
            iq[0, count : count + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            count += len(piece)
            if count == iq.shape[1] or gone:
                break
            if self._closed.is_set() or time.monotonic() > deadline:
                break
            gone, broken = self._take(source)
            if broken and count:
                # What was received before is a block of its own, and tells what was before it.
                told, self._broken = self._broken, broken
                return self._block(iq[:, :count], told)
            self._broken = self._broken or broken
        if not count:
            event = StreamEvent.DISCONNECTED if gone else StreamEvent.TIMEOUT
            detail = "the other side has closed the connection" if gone else "no sample came"
            return ReceivedBlock(
                iq=iq[:, :0], sample_index=self._num_received, event=event, detail=detail
            )
        told, self._broken = self._broken, ""
        return self._block(iq[:, :count], told)

    def _take(self, source: ZmqSource) -> tuple[bool, str]:
        """Take what has come.

        Returns:
            Whether the other side has gone, and nothing is left of it; and why messages were
            dropped meanwhile, empty if none was.
        """
        num_peers = source.num_peers()
        self._was_connected = self._was_connected or num_peers > 0
        gone = self._was_connected and not num_peers
        # What was sent before the connection ended is there by now.
        came = source.receive(0.0 if gone else _POLL_S)
        if came is not None and len(came):
            self._rest, gone = came, False
        before, self._num_dropped = self._num_dropped, source.counts.dropped.total()
        if self._num_dropped == before:
            return gone, ""
        return gone, ", ".join(sorted(source.counts.dropped))

    def _block(self, iq: NDArray[np.complex64], broken: str) -> ReceivedBlock:
        block = ReceivedBlock(
            iq=iq,
            sample_index=self._num_received,
            lost_samples=None if broken else 0,
            event=StreamEvent.BAD_PACKET if broken else None,
            detail=f"messages were dropped: {broken}" if broken else "",
        )
        self._num_received += iq.shape[1]
        return block

    def prepare_transmission(self) -> None:
        """Do nothing: a burst's connection is opened when its first sample is there.

        Raises:
            RadioError: The radio is closed.
        """
        if self._closed.is_set():
            raise RadioError(f"{self.name}: the radio is closed")

    def transmit_settings(self) -> Mapping[str, Any]:
        """Return the rate and the socket of the transmitter."""
        return {"sample_rate_hz": self._sample_rate_hz, "args": self._transmitter.endpoint.text}

    def transmit(
        self, iq: TransmitSource, *, delay_s: float = 0.0, at_s: float | None = None
    ) -> SocketTransmission:
        """Send samples, from a thread of the radio's own, as fast as the other side takes them.

        Args:
            iq: (num_samples,) or (1, num_samples), or an iterable of such blocks, which is read as
                they go out.
            delay_s: Silence before the first sample [s], rounded to samples, which is sent.
            at_s: Time of the first sample (`time_s`), in place of `delay_s`; up to then silence is
                sent.

        Raises:
            RadioError: The radio is closed.
            ConfigError: `delay_s` is out of range, or `at_s` has passed.
        """
        self.prepare_transmission()
        if not 0 <= delay_s < math.inf:
            raise ConfigError(f"delay_s must not be negative, got {delay_s}")
        if at_s is not None and not self.time_s <= at_s < math.inf:
            raise ConfigError(
                f"{self.name}: second {at_s:.6f} is too soon, its time is {self.time_s:.6f}"
            )
        return self._transmitter.add(iq, delay_s=delay_s, at_s=at_s)

    def retune(self, center_frequency_hz: float) -> None:
        """Note another frequency for recordings, as `Radio.retune` says; the samples go on."""
        self.prepare_transmission()
        if self._transmitter.is_busy:
            raise RadioError(f"{self.name}: still transmits; stop that before it is tuned")
        check_frequency(center_frequency_hz)
        self._center_frequency_hz = center_frequency_hz

    def close(self) -> None:
        """End the burst and close the sockets; it waits for nobody longer than 2 s."""
        self._closed.set()
        self._transmitter.close()
        with self._receiving:
            source, self._source = self._source, None
            if source is not None:
                source.close()


def _endpoint(text: str, role: Role, kind: EndpointKind) -> Endpoint:
    endpoint = parse_endpoint(text, role)
    if endpoint.kind is not kind:
        raise ConfigError(f"{text}: a socket radio takes {kind}://HOST:PORT as its {role}")
    return endpoint
