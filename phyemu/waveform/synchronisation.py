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

__all__ = ["Synchronisation", "carrier", "synchronise"]

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


def carrier(num_samples: int, frequency: float, *, origin: int) -> NDArray[np.complex64]:
    """Return exp(2 pi j frequency (n - origin)), (num_samples,), complex64.

    Args:
        num_samples: >= 0.
        frequency: [cycles per sample].
        origin: Sample at which the phase is 0.
    """
    # An outer product of two short ramps costs far less than an exponential per sample.
    short = 512
    rows = -(-num_samples // short)
    slow = np.exp(2j * np.pi * ((frequency * (np.arange(rows) * short - origin)) % 1.0))
    fast = np.exp(2j * np.pi * frequency * np.arange(short))
    ramp = np.multiply.outer(slow.astype(np.complex64), fast.astype(np.complex64))
    result: NDArray[np.complex64] = ramp.reshape(-1)[:num_samples]
    return result


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
    timing_samples: float | None,
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
        timing_samples: Timing found before; None to search it.
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
    begin = sample_start + first - _PAD
    received = _cut(iq, begin, rows + 2 * _PAD).astype(np.complex128)
    instants = np.arange(rows + 2 * _PAD) + (first - _PAD)
    frequency = cfo_hz / frame_format.sample_rate_hz
    received *= np.exp(-2j * np.pi * frequency * instants)
    if timing_samples is None:
        timing_samples = _search_timing(received, strongest)
    received = _advance(received, timing_samples)[_PAD:-_PAD]
    inner = instants[_PAD:-_PAD]
    # The carrier by the strongest path, then by all paths: each sharpens the other.
    for whole in (False, True):
        tone = _tone(frequency, inner)
        if whole:
            response = _estimate(received, shape, tone).response
            model = (shape.matrix @ response).numpy()
        else:
            free = strongest - tone * np.vdot(tone, strongest)
            model = strongest * (np.vdot(free, received) / np.vdot(free, free))
        level = np.vdot(tone, received - model)
        step = _residual_frequency(received - level * tone, model, inner)
        frequency += step
        received = received * np.exp(-2j * np.pi * step * inner)
    tone = _tone(frequency, inner)
    channel = _estimate(received, shape, tone)
    model = (shape.matrix @ channel.response).numpy()
    level = complex(np.vdot(tone, received - model))
    level *= _shrinkage(level, float(channel.noise_variance))
    # The tone was moved to earlier together with the samples.
    turn = complex(np.exp(2j * np.pi * frequency * timing_samples))
    return Synchronisation(
        cfo_hz=frequency * frame_format.sample_rate_hz,
        timing_samples=timing_samples,
        channel=channel,
        first_delay=first_delay,
        dc_offset=level * turn / math.sqrt(rows),
    )


def _tone(frequency: float, instants: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Return what DC becomes when the carrier offset is undone, with unit energy."""
    tone: NDArray[np.complex128] = np.exp(-2j * np.pi * frequency * instants)
    return tone / math.sqrt(len(instants))


def _estimate(
    iq: NDArray[np.complex128], shape: KnownWaveform, tone: NDArray[np.complex128]
) -> ChannelEstimate:
    """Return the channel estimated jointly with the amplitude of a tone."""
    part = shape.matrix.mH @ torch.from_numpy(tone)
    gram = shape.gram - torch.outer(part, part.conj())
    free = iq - tone * np.vdot(tone, iq)
    found = estimate_channel(torch.from_numpy(free), KnownWaveform(shape.matrix, gram))
    # The tone took one of the degrees of freedom.
    return ChannelEstimate(found.response, found.noise_variance * (len(iq) / (len(iq) - 1.0)))


def _shrinkage(level: complex, noise_variance: float) -> float:
    """Return the Wiener gain of a value seen in noise, its power estimated from itself.

    Twice the noise, so that where there is no DC, what is taken off is 6 % of what plain least
    squares would add: 0.002 dB.
    """
    power = abs(level) ** 2
    return max(1.0 - 2.0 * noise_variance / power, 0.0) if power > 0.0 else 0.0


def _cut(iq: NDArray[np.complex64], begin: int, count: int) -> NDArray[np.complex64]:
    """Return iq[begin : begin + count], zeros outside."""
    result = np.zeros(count, np.complex64)
    low, high = max(begin, 0), min(begin + count, len(iq))
    if high > low:
        result[low - begin : high - begin] = iq[low:high]
    return result


def _advance(iq: NDArray[np.complex128], samples: float) -> NDArray[np.complex128]:
    """Return iq moved to earlier by a fraction of a sample, cyclically."""
    turns = np.fft.fftfreq(len(iq))
    return np.fft.ifft(np.fft.fft(iq) * np.exp(2j * np.pi * turns * samples))


def _search_timing(received: NDArray[np.complex128], waveform: NDArray[np.complex128]) -> float:
    """Return the delay, within +-1.5 samples, at which the waveform correlates best."""
    padded = np.pad(waveform, (_PAD, _PAD))
    spectrum = np.fft.fft(received) * np.fft.fft(padded).conj()
    # Sixteen times as fine, by zeros around the highest frequency.
    count = len(spectrum)
    fine = np.zeros(16 * count, np.complex128)
    fine[: (count + 1) // 2] = spectrum[: (count + 1) // 2]
    fine[-(count // 2) :] = spectrum[(count + 1) // 2 :]
    delays = np.arange(-24, 25) / 16.0
    powers = np.abs(np.fft.ifft(fine)[np.arange(-24, 25)])
    best = int(powers[1:-1].argmax()) + 1
    left, middle, right = powers[best - 1 : best + 2]
    curvature = left - 2.0 * middle + right
    fraction = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(delays[best] + min(max(fraction, -0.5), 0.5) / 16.0)


def _residual_frequency(
    received: NDArray[np.complex128], model: NDArray[np.complex128], instants: NDArray[np.int64]
) -> float:
    """Return the frequency that the samples have left against the model [cycles per sample]."""
    products = received * model.conj()
    edges = np.linspace(0, len(products), _PIECES + 1).astype(int)
    sums = np.add.reduceat(products, edges[:-1])
    centres = (edges[:-1] + edges[1:]) / 2.0 + float(instants[0])
    # Phase against the mean phase: no unwrapping, as half a turn over the known part is the bound.
    slope = 0.0
    for _ in range(3):
        turned = sums * np.exp(-1j * slope * centres)
        mean = turned.sum()
        angles = np.angle(turned * np.conj(mean))
        weights = np.abs(turned)
        total = weights.sum()
        if total <= 0:
            return 0.0
        offset = centres - (weights * centres).sum() / total
        spread = (weights * offset**2).sum()
        slope += float((weights * offset * angles).sum() / spread)
    return slope / (2.0 * math.pi)
