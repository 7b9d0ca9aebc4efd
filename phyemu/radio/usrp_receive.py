"""The receiving half of a USRP: one streamer, and every sample where it belongs."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RadioError
from phyemu.radio.sc16 import from_sc16
from phyemu.radio.stream import ReceivedBlock, StreamEvent
from phyemu.radio.timeline import ArrivalClock, SampleTimeline
from phyemu.radio.usrp_driver import DRIVER_ERRORS, driver_message

__all__ = ["UsrpReceiver"]

# Time for several channels to agree on a start [s].
_ALIGNED_START_S = 0.1
# A block may take as long as its samples last, and this much longer [s].
_PATIENCE_S = 0.5
# A device that is silent for so long is started again [s]: a B200 family device under UHD 4.0 and
# 4.1 stops for good after an overflow (EttusResearch/uhd, issues 380 and 475).
_SILENCE_S = 1.5
# Reading what is under way after a stop takes no longer [s].
_DRAIN_S = 1.0
# The first samples may be so much later than later ones [s].
_ARRIVAL_SLACK_S = 1.0
# A driver that returns nothing at once must not keep a core busy [s].
_IDLE_S = 0.001

_EVENTS = {
    "timeout": StreamEvent.TIMEOUT,
    "late": StreamEvent.LATE_COMMAND,
    "broken_chain": StreamEvent.BROKEN_CHAIN,
    "overflow": StreamEvent.OVERFLOW,
    "alignment": StreamEvent.ALIGNMENT,
    "bad_packet": StreamEvent.BAD_PACKET,
}
# After these the device has stopped, or its channels have come apart; after the others the driver
# starts the stream again by itself, if it has to.
_RESTART = {
    StreamEvent.LATE_COMMAND,
    StreamEvent.BROKEN_CHAIN,
    StreamEvent.ALIGNMENT,
    StreamEvent.RESTARTED,
}


class UsrpReceiver:
    """A continuous stream from a configured device."""

    def __init__(
        self,
        uhd: Any,
        device: Any,
        channels: tuple[int, ...],
        sample_rate_hz: float,
        *,
        start_at_s: float | None = None,
    ) -> None:
        """Make the streamer and start it.

        Args:
            uhd: The driver.
            device: The device, set up.
            channels: Channels to receive.
            sample_rate_hz: The rate that it really runs at [Hz].
            start_at_s: Device time of the first sample [s]; None: at once.

        Raises:
            RadioError: The device refuses the stream.
        """
        self._uhd = uhd
        self._device = device
        self._num_channels = len(channels)
        self._sample_rate_hz = sample_rate_hz
        self._metadata = uhd.types.RXMetadata()
        self._words = np.empty((self._num_channels, 0), np.uint32)
        self._arrivals = ArrivalClock(rate_hz=sample_rate_hz, slack_s=_ARRIVAL_SLACK_S)
        self._origin: Any = None
        self._disconnected = ""
        # What is left of a packet that was asked for in parts.
        self._rest: ReceivedBlock | None = None
        arguments = uhd.usrp.StreamArgs("sc16", "sc16")
        arguments.channels = list(channels)
        try:
            self._streamer = device.get_rx_stream(arguments)
            self._packet_samples = int(self._streamer.get_max_num_samps())
            self._timeline = SampleTimeline(self._packet_samples)
            self._start(start_at_s)
        except DRIVER_ERRORS as exc:
            raise RadioError(
                f"the USRP refuses to stream channels {channels}: {driver_message(exc)}"
            ) from exc
        # When the last sample came, or is to come at the earliest.
        self._heard = time.monotonic()
        if start_at_s is not None:
            self._heard += max(0.0, start_at_s - device.get_time_now().get_real_secs())

    def _start(self, start_at_s: float | None = None) -> None:
        command = self._uhd.types.StreamCMD(self._uhd.types.StreamMode.start_cont)
        # Several channels are aligned only by a start at one time.
        command.stream_now = self._num_channels == 1 and start_at_s is None
        if start_at_s is not None:
            whole = int(start_at_s)
            command.time_spec = self._uhd.types.TimeSpec(whole, start_at_s - whole)
        elif not command.stream_now:
            start = self._uhd.types.TimeSpec(_ALIGNED_START_S)
            command.time_spec = self._device.get_time_now() + start
        self._streamer.issue_stream_cmd(command)

    def _stop(self) -> None:
        mode = self._uhd.types.StreamMode.stop_cont
        self._streamer.issue_stream_cmd(self._uhd.types.StreamCMD(mode))

    def index_of(self, time_spec: Any) -> int | None:
        """Return the index on the timeline of a device time; None before the first sample."""
        if self._origin is None:
            return None
        return self._timeline.index_of(self._ticks_since_origin(time_spec))

    def _ticks_since_origin(self, time_spec: Any) -> int:
        return int((time_spec - self._origin).to_ticks(self._sample_rate_hz))

    def receive(self, num_samples: int, out: NDArray[np.complex64]) -> ReceivedBlock:
        """Return the next samples as `Radio.receive` does: whole packets, or a part of one.

        Every `recv` call starts at the start of a packet where packets are as long as the streamer
        says, because in the middle of one UHD 4.3 counts the time on with the master clock rate in
        place of the sample rate: the stamp is then that of the packet's start, almost.
        """
        if self._rest is None:
            if num_samples >= self._packet_samples:
                return self._receive(num_samples - num_samples % self._packet_samples, out)
            packet = np.empty((self._num_channels, self._packet_samples), np.complex64)
            self._rest = self._receive(self._packet_samples, packet)
        block = self._rest
        count = min(num_samples, block.num_samples)
        out[:, :count] = block.iq[:, :count]
        self._rest = None
        if count < block.num_samples:
            self._rest = ReceivedBlock(
                iq=block.iq[:, count:], sample_index=block.sample_index + count
            )
        return replace(block, iq=out[:, :count])

    def _receive(self, num_samples: int, out: NDArray[np.complex64]) -> ReceivedBlock:
        """Return the outcome of one `recv` call."""
        if self._disconnected:
            return self._empty(out, StreamEvent.DISCONNECTED, self._disconnected)
        if self._words.shape[1] != num_samples:
            # UHD fills whole buffers only: rows of a larger one would not be contiguous.
            self._words = np.empty((self._num_channels, num_samples), np.uint32)
        timeout_s = num_samples / self._sample_rate_hz + _PATIENCE_S
        metadata = self._metadata
        try:
            count = int(self._streamer.recv(self._words, metadata, timeout_s))
        except DRIVER_ERRORS as exc:
            self._disconnected = driver_message(exc)
            return self._empty(out, StreamEvent.DISCONNECTED, self._disconnected)
        now = time.monotonic()
        event, detail = self._event()
        if count == 0 and event in (None, StreamEvent.TIMEOUT):
            if now - self._heard > _SILENCE_S:
                event = StreamEvent.RESTARTED
                detail = f"the device was silent for {now - self._heard:.1f} s"
            elif event is None:
                # The driver should have waited, and said that nothing came.
                event, detail = StreamEvent.TIMEOUT, "the driver returned nothing and no reason"
                time.sleep(_IDLE_S)
        if event is not None and event.breaks_stream:
            self._timeline.mark_broken()
        restarts = event in _RESTART
        if restarts:
            self._restart()
        if count == 0:
            return self._empty(out, event, detail)
        self._heard = now
        placement = self._timeline.place(
            self._ticks(), count, lambda end_index: self._arrivals.allows(end_index, now)
        )
        self._arrivals.arrived(placement.sample_index + count, now)
        if restarts:
            # These samples came before it was started again.
            self._timeline.mark_broken()
        if placement.jumped and event is None:
            event, detail = StreamEvent.TIME_JUMP, "the device's clock was set to another time"
        iq = out[:, :count]
        from_sc16(self._words[:, :count], iq)
        return ReceivedBlock(
            iq=iq,
            sample_index=placement.sample_index,
            lost_samples=placement.lost_samples,
            event=event,
            detail=detail,
        )

    def _restart(self) -> None:
        """Start the stream again, without samples from before; a failure is told by the next call.

        Samples that are still under way would otherwise hide the gap behind them.
        """
        try:
            self._stop()
            self._drain()
            self._start()
            self._heard = time.monotonic()
        except DRIVER_ERRORS as exc:
            self._disconnected = driver_message(exc)

    def _drain(self) -> None:
        words = np.empty((self._num_channels, self._packet_samples), np.uint32)
        metadata = self._uhd.types.RXMetadata()
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline and self._streamer.recv(words, metadata, 0.05):
            pass

    def _empty(
        self, out: NDArray[np.complex64], event: StreamEvent | None, detail: str
    ) -> ReceivedBlock:
        return ReceivedBlock(
            iq=out[:, :0], sample_index=self._timeline.next_index, event=event, detail=detail
        )

    def _event(self) -> tuple[StreamEvent | None, str]:
        code = self._metadata.error_code.name
        if code == "none":
            if self._metadata.out_of_sequence:
                return StreamEvent.SEQUENCE_GAP, "packets out of sequence"
            return None, ""
        event = _EVENTS.get(code, StreamEvent.BAD_PACKET)
        if event is StreamEvent.OVERFLOW and self._metadata.out_of_sequence:
            event = StreamEvent.SEQUENCE_GAP
        return event, str(self._metadata.strerror())

    def _ticks(self) -> int | None:
        """Return the time stamp in samples since the first one that the device gave."""
        if not self._metadata.has_time_spec:
            return None
        stamp = self._metadata.time_spec
        if self._origin is None:
            # The timeline may already be ahead: samples can come before the first time stamp.
            self._origin = stamp - self._uhd.types.TimeSpec.from_ticks(
                self._timeline.next_index, self._sample_rate_hz
            )
        return self._ticks_since_origin(stamp)

    def close(self) -> None:
        """Stop the stream and read what is still under way, so that the next one starts clean."""
        if not self._disconnected:
            try:
                self._stop()
                self._drain()
            except DRIVER_ERRORS as exc:
                self._disconnected = driver_message(exc)
        del self._streamer
