"""Recordings as the ends of a live stream: one played as if it were a radio, one being written."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.channel.emulate import reference_level
from phyemu.errors import ConfigError
from phyemu.iq import Recording, RecordingWriter, open_recording
from phyemu.live.endpoint import Endpoint
from phyemu.live.sample_bytes import silence_bad
from phyemu.live.transport import InputCounts
from phyemu.radio import RecordedRadio

__all__ = ["RecordingFacts", "RecordingSink", "RecordingSource", "recording_facts"]

_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingFacts:
    """What a recording knows of a stream, and a socket does not tell.

    Attributes:
        sample_rate_hz: Rate [Hz].
        reference_power: What an SNR refers to, linear, full scale 1.
        symbol_rate_hz: Likewise [Hz].
    """

    sample_rate_hz: float
    reference_power: float
    symbol_rate_hz: float


def recording_facts(endpoint: Endpoint) -> RecordingFacts:
    """Return what `phyemu emulate` would take from the recording of an endpoint.

    Raises:
        RecordingError: It cannot be read.
        SignalError: Nothing but silence, so that there is no power to refer to.
    """
    with open_recording(endpoint.path) as recording:
        level = reference_level(recording)
        return RecordingFacts(
            sample_rate_hz=recording.sample_rate_hz,
            reference_power=level.power,
            symbol_rate_hz=level.symbol_rate_hz,
        )


class RecordingSource:
    """Plays a recording, zeros in its gaps, so that what follows them is in time."""

    def __init__(self, endpoint: Endpoint, recording: Recording) -> None:
        """Get ready; the recording stays the caller's to close.

        Raises:
            ConfigError: It has no such channel, or ends before its start.
        """
        if endpoint.channel >= recording.num_channels:
            raise ConfigError(
                f"{endpoint.text}: channel is from 0 to {recording.num_channels - 1}, not "
                f"{endpoint.channel}"
            )
        start = endpoint.start_sample or round(endpoint.start_s * recording.sample_rate_hz)
        if start >= recording.num_samples:
            length_s = recording.num_samples / recording.sample_rate_hz
            raise ConfigError(
                f"{endpoint.text}: starts at sample {start}, but the recording has "
                f"{recording.num_samples} ({length_s:g} s)"
            )
        self.counts = InputCounts()
        self._channel = endpoint.channel
        self._skips_gaps = endpoint.skips_gaps
        self._radio = RecordedRadio(recording, sample_start=start, loop=endpoint.loops)
        self._gap = 0
        self._after_gap: NDArray[np.complex64] | None = None

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return the next samples, which are always there; at the end None."""
        if self._gap:
            zeros = min(self._gap, _BLOCK_SAMPLES)
            self._gap -= zeros
            self.counts.gap_samples += zeros
            return np.zeros(zeros, np.complex64)
        if self._after_gap is not None:
            iq, self._after_gap = self._after_gap, None
            return iq
        block = self._radio.receive(_BLOCK_SAMPLES)
        if not block.num_samples:
            return None
        iq = silence_bad(np.ascontiguousarray(block.iq[self._channel]), self.counts)
        if block.lost_samples == 0:
            return iq
        if block.lost_samples is None or self._skips_gaps:
            # One whose length nobody knows takes no time either.
            self.counts.num_gaps += 1
            return iq
        self.counts.num_gaps += 1
        self._gap, self._after_gap = block.lost_samples, iq
        return np.zeros(0, np.complex64)

    def close(self) -> None:
        """End the stream."""
        self._radio.close()


class RecordingSink:
    """Writes a recording, which is valid whatever ends the stream."""

    def __init__(self, endpoint: Endpoint, *, sample_rate_hz: float, force: bool) -> None:
        """Start it.

        Raises:
            RecordingError: It exists already and `force` is not set, or cannot be written.
        """
        self.num_ignored = 0
        self._writer = RecordingWriter(
            endpoint.path,
            sample_rate_hz=sample_rate_hz,
            datatype=endpoint.datatype,
            description="A live stream behind an emulated channel",
            global_fields={"phyemu:emulated": True},
            force=force,
        )

    @property
    def num_clipped(self) -> int:
        """Return the samples that the datatype had to clip."""
        return self._writer.num_clipped

    def send(self, iq: NDArray[np.complex64], timeout_s: float) -> int:
        """Write all samples.

        Raises:
            RecordingError: The disk is full; what fitted stays.
        """
        self._writer.write(iq)
        return len(iq)

    def mark_gap(self, lost_messages: int) -> None:
        """Begin a capture segment: how many samples are missing before it, nobody knows."""
        self._writer.start_segment(
            fields={"phyemu:gap": "sequence_gap", "phyemu:lost_messages": lost_messages}
        )

    def finish(self, timeout_s: float) -> bool:
        """Return True: what was taken is written."""
        return True

    def close(self) -> None:
        """Give the recording its name; one without samples is not kept."""
        if self._writer.num_samples:
            self._writer.close()
        else:
            self._writer.abort()
