"""The receiving half of a USRP: one streamer, and every sample where it belongs."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RadioError
from phyemu.radio.sc16 import from_sc16
from phyemu.radio.stream import ReceivedBlock, StreamEvent
from phyemu.radio.timeline import SampleTimeline

__all__ = ["UsrpReceiver"]

# Time for several channels to agree on a start [s].
_ALIGNED_START_S = 0.1
# A block may take as long as its samples last, and this much longer [s].
_PATIENCE_S = 0.5

_EVENTS = {
    "timeout": StreamEvent.TIMEOUT,
    "late": StreamEvent.LATE_COMMAND,
    "broken_chain": StreamEvent.BROKEN_CHAIN,
    "overflow": StreamEvent.OVERFLOW,
    "alignment": StreamEvent.ALIGNMENT,
    "bad_packet": StreamEvent.BAD_PACKET,
}
# After these the device has stopped; after the others it goes on by itself.
_RESTART = {StreamEvent.LATE_COMMAND, StreamEvent.BROKEN_CHAIN, StreamEvent.ALIGNMENT}


class UsrpReceiver:
    """A continuous stream from a configured device."""

    def __init__(self, uhd: Any, device: Any, channels: tuple[int, ...], sample_rate_hz: float):
        """Make the streamer and start it.

        Raises:
            RadioError: The device refuses the stream.
        """
        self._uhd = uhd
        self._device = device
        self._num_channels = len(channels)
        self._sample_rate_hz = sample_rate_hz
        self._metadata = uhd.types.RXMetadata()
        self._words = np.empty((self._num_channels, 0), np.uint32)
        self._timeline = SampleTimeline()
        self._origin: Any = None
        self._disconnected = ""
        # What is left of a packet that was asked for in parts.
        self._rest: ReceivedBlock | None = None
        arguments = uhd.usrp.StreamArgs("sc16", "sc16")
        arguments.channels = list(channels)
        try:
            self._streamer = device.get_rx_stream(arguments)
            self._packet_samples = int(self._streamer.get_max_num_samps())
            self._start()
        except RuntimeError as exc:
            raise RadioError(f"the USRP refuses to stream channels {channels}: {exc}") from exc

    def _start(self) -> None:
        command = self._uhd.types.StreamCMD(self._uhd.types.StreamMode.start_cont)
        command.stream_now = self._num_channels == 1
        if not command.stream_now:
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
        return int((time_spec - self._origin).to_ticks(self._sample_rate_hz))

    def receive(self, num_samples: int, out: NDArray[np.complex64]) -> ReceivedBlock:
        """Return the next samples as `Radio.receive` does: whole packets, or a part of one.

        Every `recv` call starts at the start of a packet, because UHD 4.3 may compute the time
        stamp in the middle of one with the master clock rate in place of the sample rate.
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
            count = self._streamer.recv(self._words, metadata, timeout_s)
        except RuntimeError as exc:
            self._disconnected = str(exc) or "the driver gave no reason"
            return self._empty(out, StreamEvent.DISCONNECTED, self._disconnected)
        event, detail = self._event()
        if event is not None and event.breaks_stream:
            self._timeline.mark_broken()
        if event in _RESTART:
            try:
                self._restart()
            except RuntimeError as exc:
                self._disconnected = str(exc)
        if count == 0:
            return self._empty(out, event, detail)
        placement = self._timeline.place(self._ticks(), count)
        if placement.jumped_back and event is None:
            event, detail = StreamEvent.TIME_JUMP, "the device's time ran backwards"
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
        self._stop()
        self._start()

    def _empty(
        self, out: NDArray[np.complex64], event: StreamEvent | None, detail: str
    ) -> ReceivedBlock:
        return ReceivedBlock(
            iq=out[:, :0], sample_index=self._timeline.next_index, event=event, detail=detail
        )

    def _event(self) -> tuple[StreamEvent | None, str]:
        code = self._metadata.error_code.name
        if code == "none":
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
        return int((stamp - self._origin).to_ticks(self._sample_rate_hz))

    def close(self) -> None:
        """Stop the stream and read what is still under way, so that the next one starts clean."""
        if self._disconnected:
            return
        words = np.empty((self._num_channels, self._packet_samples), np.uint32)
        deadline = time.monotonic() + 1.0
        try:
            self._stop()
            while time.monotonic() < deadline and self._streamer.recv(words, self._metadata, 0.05):
                pass
        except RuntimeError as exc:
            self._disconnected = str(exc)
        del self._streamer
