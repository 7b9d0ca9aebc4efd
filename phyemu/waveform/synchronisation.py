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
from torch import Tensor

from phyemu.errors import SignalError
from phyemu.waveform.channel_estimation import (
    ChannelEstimate,
    KnownWaveform,
    estimate_channel,
    known_waveform,
)
from phyemu.waveform.frame_format import FrameFormat, preamble_points
from phyemu.waveform.pulse import shape_pulses

__all__ = [
    "FrameSynchronisations",
    "Synchronisation",
    "carrier",
    "synchronise",
    "synchronise_frames",
]

_GUARD_SYMBOLS = 3  # the last known symbols touch the pulses of unknown ones
_EDGE_SYMBOLS = 4  # of the first pulse, what lies further out is not used
_PIECES = 8
_PAD = 24


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


def _turning(frequency: NDArray[np.float64], instants: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Return exp(-2 pi j frequency n) at consecutive instants, (frames, instants)."""
    short = 16
    count = len(instants)
    rows = -(-count // short)
    angles = -2j * np.pi * frequency[:, None]
    slow = np.exp(angles * (instants[0] + short * np.arange(rows)))
    fast = np.exp(angles * np.arange(short))
    ramp: NDArray[np.complex128] = slow[:, :, None] * fast[:, None, :]
    return ramp.reshape(len(frequency), rows * short)[:, :count]


@lru_cache(maxsize=1)
def _preamble(frame_format: FrameFormat, first_delay: int, num_delays: int) -> KnownWaveform:
    """Return what the preamble sends; the same for every frame."""
    return _known(preamble_points(frame_format), frame_format, first_delay, num_delays)


def _known(
    points: Tensor, frame_format: FrameFormat, first_delay: int, num_delays: int
) -> KnownWaveform:
    """Return what the first symbols of a frame send, in the rows that are used."""
    sps = frame_format.samples_per_symbol
    first, rows = _rows(frame_format, len(points))
    waveform = shape_pulses(points, frame_format.pulse_taps(), samples_per_symbol=sps)
    return known_waveform(
        waveform.to(torch.complex128),
        first_row=first,
        num_rows=rows,
        first_delay=first_delay,
        num_delays=num_delays,
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
    first, rows = _rows(frame_format, num_known)
    if num_known == frame_format.preamble_symbols:
        shape = _preamble(frame_format, first_delay, num_delays)
    else:
        shape = _known(known, frame_format, first_delay, num_delays)
    strongest = shape.matrix[:, -first_delay].numpy()
    received = np.zeros((len(iq), rows + 2 * _PAD), np.complex128)
    for row, start in enumerate(sample_starts.tolist()):
        begin = start + first - _PAD
        low, high = max(begin, 0), min(begin + received.shape[1], iq.shape[1])
        received[row, low - begin : high - begin] = iq[row, low:high]
    instants = np.arange(rows + 2 * _PAD) + (first - _PAD)
    frequency = cfo_hz / frame_format.sample_rate_hz
    received *= _turning(frequency, instants)
    timing_samples = _search_timing(received, strongest)
    received = _advance(received, timing_samples)[:, _PAD:-_PAD]
    inner = instants[_PAD:-_PAD]
    # The carrier by the strongest path, then by all paths: each sharpens the other.
    for whole in (False, True):
        tone = _tone(frequency, inner)
        if whole:
            response = _estimate(received, shape, tone).response
            model = (response @ shape.matrix.mT).numpy()
        else:
            free = strongest - tone * _inner(tone, strongest)
            model = strongest * (_inner(free, received) / _inner(free, free))
        level = _inner(tone, received - model)
        step = _residual_frequency(received - level * tone, model, inner)
        frequency = frequency + step
        received = received * _turning(step, inner)
    tone = _tone(frequency, inner)
    channel = _estimate(received, shape, tone)
    model = (channel.response @ shape.matrix.mT).numpy()
    level = _inner(tone, received - model)[:, 0]
    level = level * _shrinkage(level, channel.noise_variance.numpy())
    # The tone was moved to earlier together with the samples.
    turn = np.exp(2j * np.pi * frequency * timing_samples)
    return FrameSynchronisations(
        cfo_hz=frequency * frame_format.sample_rate_hz,
        timing_samples=timing_samples,
        channel=channel,
        first_delay=first_delay,
        dc_offset=level * turn / math.sqrt(rows),
    )


def _inner(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return left^H right of each row, (frames, 1)."""
    product: NDArray[np.complex128] = (left.conj() * right).sum(-1, keepdims=True)
    return product


def _tone(frequency: NDArray[np.float64], instants: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Return what DC becomes when the carrier offset is undone, with unit energy."""
    return _turning(frequency, instants) / math.sqrt(len(instants))


def _estimate(
    iq: NDArray[np.complex128], shape: KnownWaveform, tone: NDArray[np.complex128]
) -> ChannelEstimate:
    """Return the channels, each estimated jointly with the amplitude of a tone."""
    return estimate_channel(torch.from_numpy(iq), shape, nuisance=torch.from_numpy(tone))


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


def _advance(iq: NDArray[np.complex128], samples: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return each row moved to earlier by a fraction of a sample, cyclically."""
    # Of the FFT's frequencies in order: an outer product of two short ramps.
    count = iq.shape[1]
    bins = np.arange(count) - count // 2
    ramp = np.fft.ifftshift(_turning(-samples / count, bins), axes=-1)
    return np.fft.ifft(np.fft.fft(iq) * ramp)


@lru_cache(maxsize=2)
def _timing_steering(count: int) -> Tensor:
    """Return exp(2 pi j f d) of the FFT's frequencies f and delays d of sixteenths of a sample."""
    delays = np.arange(-24, 25) / 16.0
    return torch.from_numpy(np.exp(2j * np.pi * np.outer(np.fft.fftfreq(count), delays)))


def _search_timing(
    received: NDArray[np.complex128], waveform: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Return the delay of each row, within +-1.5 samples, at which the waveform correlates best."""
    padded = np.pad(waveform, (_PAD, _PAD))
    spectrum = np.fft.fft(received) * np.fft.fft(padded).conj()
    powers = (torch.from_numpy(spectrum) @ _timing_steering(spectrum.shape[1])).abs().numpy()
    best = powers[:, 1:-1].argmax(-1) + 1
    rows = np.arange(len(powers))
    left, middle, right = powers[rows, best - 1], powers[rows, best], powers[rows, best + 1]
    curvature = left - 2.0 * middle + right
    bent = curvature < 0
    fraction = np.where(bent, 0.5 * (left - right) / np.where(bent, curvature, -1.0), 0.0)
    delays: NDArray[np.float64] = (best - 24 + np.clip(fraction, -0.5, 0.5)) / 16.0
    return delays


def _residual_frequency(
    received: NDArray[np.complex128], model: NDArray[np.complex128], instants: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the frequency each row has left against the model [cycles per sample], (frames,)."""
    products = received * model.conj()
    edges = np.linspace(0, products.shape[1], _PIECES + 1).astype(int)
    sums = np.add.reduceat(products, edges[:-1], axis=1)
    centres = (edges[:-1] + edges[1:]) / 2.0 + float(instants[0])
    # Phase against the mean phase: no unwrapping, as half a turn over the known part is the bound.
    slope = np.zeros(len(products))
    for _ in range(3):
        turned = sums * np.exp(-1j * slope[:, None] * centres)
        angles = np.angle(turned * turned.sum(-1, keepdims=True).conj())
        weights = np.abs(turned)
        total = np.maximum(weights.sum(-1, keepdims=True), np.finfo(np.float64).tiny)
        offset = centres - (weights * centres).sum(-1, keepdims=True) / total
        spread = (weights * np.square(offset)).sum(-1)
        # Where all weights are zero, nothing can be said.
        slope += (weights * offset * angles).sum(-1) / np.where(spread > 0, spread, 1.0)
    return slope / (2.0 * math.pi)
