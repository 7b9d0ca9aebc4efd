"""Fine synchronisation of a frame by its known first symbols: carrier, timing, channel, DC, noise.

A receiver's DC offset is a tone at minus the carrier offset once that is undone. It is fitted
jointly with the channel, by taking the tone out of both sides of the least squares, so it depends
on known symbols only: a payload may have any mean.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import fft, ifft, next_fast_len
from torch import Tensor

from phyemu.errors import SignalError
from phyemu.waveform.channel_estimation import (
    ChannelEstimate,
    known_waveform,
    pursue_projections,
)
from phyemu.waveform.frame_format import FrameFormat, preamble_points
from phyemu.waveform.pulse import shape_pulses
from phyemu.waveform.synchronisation_kernel import (
    advance_to_peak,
    follow_channel,
    follow_strongest,
    gathered,
    remaining_level,
)

__all__ = [
    "FrameSynchronisations",
    "Synchronisation",
    "carrier",
    "synchronise",
    "synchronise_frames",
]

_GUARD_SYMBOLS = 3  # the last known symbols touch the pulses of unknown ones
_EDGE_SYMBOLS = 4  # of the first pulse, what lies further out is not used
_PAD = 24
_DELAYS = np.arange(-24, 25) / 16.0  # of the strongest path that are tried [samples]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Synchronisation:
    """What the known symbols say of a frame.

    Attributes:
        cfo_hz: Carrier offset [Hz].
        timing_samples: How much later than sample_start the strongest path arrives [samples].
        channel: Response on the sample grid moved by `timing_samples`, phase that of the carrier
            at `sample_start`.
        first_delay: Delay of the first tap [samples].
        dc_offset: Constant on all samples [full scale]; 0 where it does not rise above the noise.
    """

    cfo_hz: float
    timing_samples: float
    channel: ChannelEstimate
    first_delay: int
    dc_offset: complex


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FrameSynchronisations:
    """What the known symbols say of each of several frames; as `Synchronisation`, in columns.

    Attributes:
        cfo_hz: (frames,), float64.
        timing_samples: (frames,), float64.
        channel: Of all frames, on the CPU.
        first_delay: The same for all.
        dc_offset: (frames,), complex128.
    """

    cfo_hz: NDArray[np.float64]
    timing_samples: NDArray[np.float64]
    channel: ChannelEstimate
    first_delay: int
    dc_offset: NDArray[np.complex128]


def carrier(
    num_samples: int, frequency: float | NDArray[np.float64], *, origin: int | NDArray[np.int64]
) -> NDArray[np.complex64]:
    """Return exp(2 pi j frequency (n - origin)), (..., num_samples), complex64.

    Args:
        num_samples: >= 0.
        frequency: [cycles per sample], a number or (...).
        origin: Sample at which the phase is 0, a number or (...).
    """
    # An outer product of two short ramps costs far less than an exponential per sample.
    short = 512
    rows = -(-num_samples // short)
    steps = np.asarray(frequency, np.float64)[..., None]
    places = np.arange(rows) * short - np.asarray(origin)[..., None]
    slow = np.exp(2j * np.pi * ((steps * places) % 1.0)).astype(np.complex64)
    fast = np.exp(2j * np.pi * steps * np.arange(short)).astype(np.complex64)
    ramp = slow[..., :, None] * fast[..., None, :]
    result: NDArray[np.complex64] = ramp.reshape(*ramp.shape[:-2], rows * short)[..., :num_samples]
    return result


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _KnownPart:
    """What the first symbols of a frame send, in the rows that are used.

    Attributes:
        first: First sample of a frame that is used.
        rows: Samples used.
        first_delay: Delay of the first tap of a channel [samples].
        sequence: w of S[i, j] = w[i - j + num_taps - 1], row i against delay j,
            (rows + num_taps - 1,).
        gram: S^H S, (num_taps, num_taps).
        spectrum: FFT of the waveform without delay, `_PAD` samples on either side, (size,).
    """

    first: int
    rows: int
    first_delay: int
    sequence: NDArray[np.complex128]
    gram: NDArray[np.complex128]
    spectrum: NDArray[np.complex128]


@lru_cache(maxsize=4)
def _preamble(frame_format: FrameFormat, first_delay: int, num_delays: int) -> _KnownPart:
    """Return what the preamble sends; the same for every frame."""
    return _known(preamble_points(frame_format), frame_format, first_delay, num_delays)


def _known(
    points: Tensor, frame_format: FrameFormat, first_delay: int, num_delays: int
) -> _KnownPart:
    """Return what the first symbols of a frame send, in the rows that are used."""
    sps = frame_format.samples_per_symbol
    first, rows = _rows(frame_format, len(points))
    waveform = shape_pulses(points, frame_format.pulse_taps(), samples_per_symbol=sps)
    known = known_waveform(
        waveform.to(torch.complex128),
        first_row=first,
        num_rows=rows,
        first_delay=first_delay,
        num_delays=num_delays,
    )
    matrix = known.matrix.numpy()
    return _KnownPart(
        first=first,
        rows=rows,
        first_delay=first_delay,
        sequence=np.concatenate([matrix[0, :0:-1], matrix[:, 0]]),
        gram=known.gram.resolve_conj().numpy(),
        spectrum=fft(np.pad(matrix[:, -first_delay], _PAD), next_fast_len(rows + 2 * _PAD)),
    )


def _rows(frame_format: FrameFormat, num_known: int) -> tuple[int, int]:
    """Return the first sample of a frame that is used, and how many are."""
    sps = frame_format.samples_per_symbol
    first = frame_format.pulse_delay_samples - _EDGE_SYMBOLS * sps
    return max(first, 0), (num_known - 1 - _GUARD_SYMBOLS + _EDGE_SYMBOLS) * sps + 1


def synchronise(
    iq: NDArray[np.complex64],
    known: Tensor,
    *,
    sample_start: int,
    cfo_hz: float,
    early_symbols: int,
    late_symbols: int,
    frame_format: FrameFormat,
) -> Synchronisation:
    """Return carrier, timing, channel, DC and noise from the first symbols of a frame.

    Args:
        iq: Samples that hold the known symbols, (num_samples,), complex64; what lies outside
            counts as zero.
        known: First symbols of the frame, (num_known,), complex64.
        sample_start: First sample of the frame in `iq`, to about a sample.
        cfo_hz: Carrier offset, to about a fifth of the inverse duration of the known symbols [Hz].
        early_symbols: Delays of the channel before the strongest path [symbols].
        late_symbols: And behind it [symbols].
        frame_format: The settings.

    Raises:
        SignalError: There are fewer known symbols than the delays need.
    """
    found = synchronise_frames(
        iq[None],
        known,
        sample_starts=np.array([sample_start]),
        cfo_hz=np.array([cfo_hz]),
        early_symbols=early_symbols,
        late_symbols=late_symbols,
        frame_format=frame_format,
    )
    return Synchronisation(
        cfo_hz=float(found.cfo_hz[0]),
        timing_samples=float(found.timing_samples[0]),
        channel=ChannelEstimate(found.channel.response[0], found.channel.noise_variance[0]),
        first_delay=found.first_delay,
        dc_offset=complex(found.dc_offset[0]),
    )


def synchronise_frames(
    iq: NDArray[np.complex64],
    known: Tensor,
    *,
    sample_starts: NDArray[np.int64],
    cfo_hz: NDArray[np.float64],
    early_symbols: int,
    late_symbols: int,
    frame_format: FrameFormat,
) -> FrameSynchronisations:
    """Return what `synchronise` does, of several frames at once.

    Args:
        iq: A frame a row, (frames, num_samples), complex64.
        known: First symbols of each frame, (num_known,), complex64.
        sample_starts: First sample of each frame in its row, (frames,).
        cfo_hz: Carrier offset of each, (frames,) [Hz].
        early_symbols: Delays of the channel before the strongest path [symbols].
        late_symbols: And behind it [symbols].
        frame_format: The settings.

    Raises:
        SignalError: There are fewer known symbols than the delays need.
    """
    sps = frame_format.samples_per_symbol
    num_known = len(known)
    if num_known < 2 * (early_symbols + late_symbols) + 8:
        raise SignalError(
            f"{num_known} known symbols cannot show {early_symbols + late_symbols} symbols of "
            "delay; lower early_symbols or late_symbols"
        )
    first_delay = -early_symbols * sps
    num_delays = (early_symbols + late_symbols) * sps + 1
    if num_known == frame_format.preamble_symbols:
        shape = _preamble(frame_format, first_delay, num_delays)
    else:
        shape = _known(known, frame_format, first_delay, num_delays)
    size = len(shape.spectrum)
    begin = shape.first - _PAD
    frequency = cfo_hz / frame_format.sample_rate_hz
    samples = np.ascontiguousarray(iq)
    received = gathered(samples, sample_starts + begin, size, frequency, begin)
    spectra = fft(received, overwrite_x=True)
    cosines, sines = _timing_steering(size)
    timing_samples = advance_to_peak(spectra, shape.spectrum, cosines, sines, _DELAYS)
    moved = ifft(spectra, overwrite_x=True)
    received = np.ascontiguousarray(moved[:, _PAD : _PAD + shape.rows])
    # The carrier by the strongest path, then by all paths: each sharpens the other.
    projections = follow_strongest(
        received, shape.sequence, num_delays, -first_delay, frequency, shape.first
    )
    response, _ = _pursue(shape, *projections)
    projections = follow_channel(received, shape.sequence, response, frequency, shape.first)
    response, noise_variance = _pursue(shape, *projections)
    level = remaining_level(received, shape.sequence, response, frequency, shape.first)
    level = level * _shrinkage(level, noise_variance)
    # The tone was moved to earlier together with the samples.
    turn = np.exp(2j * np.pi * frequency * timing_samples)
    return FrameSynchronisations(
        cfo_hz=frequency * frame_format.sample_rate_hz,
        timing_samples=timing_samples,
        channel=ChannelEstimate(torch.from_numpy(response), torch.from_numpy(noise_variance)),
        first_delay=first_delay,
        dc_offset=level * turn / math.sqrt(shape.rows),
    )


def _pursue(
    shape: _KnownPart,
    projected: NDArray[np.complex128],
    part: NDArray[np.complex128],
    energy: NDArray[np.float64],
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return what `estimate_channel` does, from projections: responses and noise variances."""
    found = pursue_projections(projected, part, energy, shape.gram, num_rows=shape.rows)
    return found.response, found.energy / (shape.rows - 1 - found.counts)


def _shrinkage(
    level: NDArray[np.complex128], noise_variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the Wiener gain of values seen in noise, their power estimated from themselves.

    Twice the noise, so that where there is no DC, what is taken off is 6 % of what plain least
    squares would add: 0.002 dB.
    """
    power = np.square(level.real) + np.square(level.imag)
    gain: NDArray[np.float64] = np.maximum(
        1.0 - 2.0 * noise_variance / np.maximum(power, np.finfo(np.float64).tiny), 0.0
    )
    return gain


@lru_cache(maxsize=4)
def _timing_steering(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cos and sin of 2 pi f d, frequencies f of the FFT and delays d, (count, delays)."""
    angles = 2.0 * np.pi * np.outer(np.fft.fftfreq(count), _DELAYS)
    return np.cos(angles), np.sin(angles)
