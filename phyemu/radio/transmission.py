"""A recording on its way to a transmitter: its gaps, its repetitions, its scale."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio.radio import Radio
from phyemu.radio.stream import Transmission, TransmitReport
from phyemu.radio.transmit_levels import check_amplitude

__all__ = [
    "GapMode",
    "TransmitSettings",
    "check_transmission",
    "send_recording",
    "sent_fields",
    "transmit_recording",
    "transmitted_samples",
]

_BLOCK_SAMPLES = 1 << 18
# How often the progress of a transmission is looked at [s].
_POLL_S = 0.1
# What a recording says of its own reception, which is not that of who hears it transmitted.
_RECEPTION_FIELDS = frozenset(
    f"phyemu:{key}" for key in ("radio", "world", "seed", "receive_gain_db", "emulated")
)


class GapMode(StrEnum):
    """What becomes of the gaps between a recording's capture segments."""

    SILENCE = "silence"
    """Zeros for as long as the gap lasted: what follows it keeps its time."""
    SKIP = "skip"
    """Nothing: the segments follow each other at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransmitSettings:
    """What of a recording goes out, and when.

    Attributes:
        amplitude: Scale of the samples; `measure_levels` tells whether they clip.
        repeats: Times to send it, without a gap between; None: until it is stopped.
        delay_s: Time to the first sample [s].
        at_s: The radio's time of the first sample [s], in place of `delay_s`; None: `delay_s`.
        gaps: What becomes of gaps whose length is known (`core:global_index`).
        channels: Channels of the recording to send, by number; None: all of them.
    """

    amplitude: float = 1.0
    repeats: int | None = 1
    delay_s: float = 0.0
    at_s: float | None = None
    gaps: GapMode = GapMode.SILENCE
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse values that no transmission could have."""
        check_amplitude(self.amplitude)
        if self.repeats is not None and self.repeats < 1:
            raise ConfigError(
                f"repeats must be at least 1, or None for endless, got {self.repeats}"
            )
        if not 0 <= self.delay_s < math.inf:
            raise ConfigError(f"delay_s must not be negative, got {self.delay_s}")
        if self.at_s is not None and self.delay_s:
            raise ConfigError("give delay_s or at_s, not both")
        if self.channels is not None and not self.channels:
            raise ConfigError("channels must name at least one channel of the recording, or None")


_DEFAULTS = TransmitSettings()


def transmitted_samples(recording: Recording, settings: TransmitSettings = _DEFAULTS) -> int:
    """Return the samples per channel that one repetition takes, gaps included as they are sent."""
    return recording.num_samples + sum(gap for _, gap in _gaps(recording, settings))


def check_transmission(
    radio: Radio, recording: Recording, settings: TransmitSettings = _DEFAULTS
) -> None:
    """Refuse a recording that the radio cannot transmit.

    Raises:
        RadioError: Its sample rate or its channels are not the radio's.
        ConfigError: It has no such channel.
    """
    name = recording.path.name
    if not math.isclose(recording.sample_rate_hz, radio.sample_rate_hz, rel_tol=1e-6):
        raise RadioError(
            f"{name}: made for {recording.sample_rate_hz:.0f} Hz, but {radio.name} runs at "
            f"{radio.sample_rate_hz:.0f} Hz; give the device a clock that divides to the rate "
            "(master_clock_rate=HZ among its arguments), or make the waveform at the device's rate"
        )
    for channel in settings.channels or ():
        if not 0 <= channel < recording.num_channels:
            raise ConfigError(
                f"{name}: no channel {channel}; it has {recording.num_channels}, counted from 0"
            )
    count = recording.num_channels if settings.channels is None else len(settings.channels)
    if count not in (1, radio.num_transmit_channels):
        raise RadioError(
            f"{name}: {count} channels are to be sent, but {radio.name} transmits on "
            f"{radio.num_transmit_channels}; choose as many of either"
        )


def transmit_recording(
    radio: Radio, recording: Recording, settings: TransmitSettings = _DEFAULTS
) -> Transmission:
    """Hand a recording to a radio's transmitter; the repetitions follow each other without a gap.

    It is read while it is sent, so it must stay open until the transmission has ended.

    Args:
        radio: The transmitter.
        recording: What to send, with one channel or as many as the radio transmits on.
        settings: What of it, and when.

    Raises:
        RadioError: As `check_transmission`, or the radio cannot transmit.
        ConfigError: As `check_transmission`, or `at_s` has passed.
    """
    check_transmission(radio, recording, settings)
    return radio.transmit(
        _repeated(recording, settings), delay_s=settings.delay_s, at_s=settings.at_s
    )


def send_recording(
    radio: Radio,
    recording: Recording,
    settings: TransmitSettings = _DEFAULTS,
    *,
    progress: ProgressCallback = no_progress,
) -> TransmitReport:
    """Transmit as `transmit_recording`, wait for the end, and return how it went.

    Ctrl-C ends the burst in good order; the report then says how far it came.

    Args:
        radio: The transmitter.
        recording: What to send.
        settings: What of it, and when; endless repetitions last until Ctrl-C.
        progress: Called with the stage "transmit" and the samples that the radio took.

    Raises:
        PhyemuError: As `transmit_recording`.
    """
    transmission = transmit_recording(radio, recording, settings)
    total = (settings.repeats or 0) * transmitted_samples(recording, settings)
    while True:
        try:
            report = transmission.wait(_POLL_S)
            progress("transmit", transmission.num_samples, total)
            if report is not None:
                return report
        except KeyboardInterrupt:
            transmission.stop()


def sent_fields(recording: Recording) -> dict[str, Any]:
    """Return the SigMF global fields by which a reception says what was sent: its `phyemu:*` keys.

    So `sound`, `fit` and `replay` know the waveform of a capture without the transmitted file.
    What the recording says of its own reception is left out: it may be a capture itself.
    """
    fields = {
        key: value
        for key, value in recording.global_fields.items()
        if key.startswith("phyemu:")
        and not key.startswith("phyemu:transmit_")
        and key not in _RECEPTION_FIELDS
    }
    return fields | {"phyemu:transmit_recording": recording.path.name}


def _gaps(recording: Recording, settings: TransmitSettings) -> list[tuple[int, int]]:
    """Return where silence of which length goes in: before which sample, how many samples."""
    if settings.gaps is GapMode.SKIP:
        return []
    gaps = []
    for before, after in pairwise(recording.captures):
        if before.global_index is None or after.global_index is None:
            continue
        kept = after.sample_start - before.sample_start
        missing = after.global_index - before.global_index - kept
        if missing > 0:
            gaps.append((after.sample_start, missing))
    return gaps


def _stretches(recording: Recording, settings: TransmitSettings) -> Iterator[tuple[int, int, int]]:
    """Yield in order: silence to send first, first sample, and number of samples."""
    start, silence = 0, 0
    for position, missing in [*_gaps(recording, settings), (recording.num_samples, 0)]:
        yield silence, start, position - start
        start, silence = position, missing


def _blocks(recording: Recording, settings: TransmitSettings) -> Iterator[NDArray[np.complex64]]:
    """Yield one repetition as blocks of (channels, num_samples), of a bounded length."""
    chosen = None if settings.channels is None else list(settings.channels)
    scale = np.float32(settings.amplitude)
    zeros = np.zeros((len(chosen or range(recording.num_channels)), 0), np.complex64)
    for silence, first, count in _stretches(recording, settings):
        for begin in range(0, silence, _BLOCK_SAMPLES):
            length = min(_BLOCK_SAMPLES, silence - begin)
            if zeros.shape[1] < length:
                zeros = np.zeros((zeros.shape[0], length), np.complex64)
            yield zeros[:, :length]
        for begin in range(first, first + count, _BLOCK_SAMPLES):
            block = recording.read_channels(begin, min(_BLOCK_SAMPLES, first + count - begin))
            block = block if chosen is None else block[chosen]
            yield block if settings.amplitude == 1.0 else block * scale


def _repeated(recording: Recording, settings: TransmitSettings) -> Iterator[NDArray[np.complex64]]:
    left = math.inf if settings.repeats is None else settings.repeats
    length = transmitted_samples(recording, settings)
    if length > _BLOCK_SAMPLES // 2:
        while left > 0:
            yield from _blocks(recording, settings)
            left -= 1
        return
    # A short one is read once, and repeated in long blocks: each costs the same work.
    once = np.concatenate(list(_blocks(recording, settings)), axis=1)
    at_once = int(min(_BLOCK_SAMPLES // length, left))
    several = np.tile(once, at_once)
    while left > 0:
        yield several[:, : int(min(at_once, left)) * length]
        left -= at_once
