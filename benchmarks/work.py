"""The work that emulators are compared on: fading taps at 20 Msps with AWGN.

Taps at 0, 120, 340, 900 ns (0, -3, -8, -15 dB, Rayleigh, 10 Hz Doppler), updated every 1 ms,
complex64 in and out, AWGN at 12 dB. Other numbers of taps are spread 3 samples apart.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import (
    ChannelStream,
    DelayProfile,
    Distribution,
    FrontEnd,
    NoiseLevel,
    TappedDelayLine,
)

__all__ = [
    "DOPPLER_HZ",
    "EVERYTHING",
    "FRACTION",
    "GAINS",
    "LAGS",
    "SAMPLE_RATE_HZ",
    "SIGMA",
    "SNR_DB",
    "UPDATE_SAMPLES",
    "channel",
    "drawn_gains",
    "even_taps",
    "noise_samples",
    "stream",
]

SAMPLE_RATE_HZ = 20e6
UPDATE_SAMPLES = 20_000
DOPPLER_HZ = 10.0
SNR_DB = 12.0
# Standard deviation of the complex noise for a signal of power one.
SIGMA = 10 ** (-SNR_DB / 20)
LAGS: tuple[int, ...] = (0, 2, 7, 18)
POWERS = 10 ** (np.array([0.0, -3.0, -8.0, -15.0]) / 10)
GAINS: tuple[float, ...] = tuple(float(gain) for gain in np.sqrt(POWERS / POWERS.sum()))
# Of a sample, by which delays that are not on the grid are off it.
FRACTION = 0.274
# The front end of "everything on".
EVERYTHING = FrontEnd(
    cfo_hz=Distribution.constant(3e3),
    linewidth_hz=Distribution.constant(50.0),
    iq_gain_db=Distribution.constant(0.3),
    iq_phase_rad=Distribution.constant(0.02),
)


def even_taps(count: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return lags 3 samples apart and gains of equal power that sums to one."""
    return tuple(3 * tap for tap in range(count)), (count**-0.5,) * count


def channel(
    lags: Sequence[int] = LAGS,
    gains: Sequence[float] = GAINS,
    *,
    front_end: FrontEnd | None = None,
    fraction: float = 0.0,
) -> TappedDelayLine:
    """Return the channel of the work; `fraction` moves the delays off the grid [samples]."""
    profile = DelayProfile(
        name="bench",
        delays_s=tuple((lag + fraction) / SAMPLE_RATE_HZ for lag in lags),
        powers=tuple(gain**2 for gain in gains),
        k_factor=(0.0,) * len(lags),
    )
    return TappedDelayLine(
        profile=profile,
        noise=NoiseLevel.of_snr_db(SNR_DB),
        doppler_hz=DOPPLER_HZ,
        front_end=front_end or FrontEnd(),
    )


def stream(model: TappedDelayLine, *, num_threads: int = 1) -> ChannelStream:
    """Return our executor of the work."""
    return ChannelStream(
        model,
        sample_rate_hz=SAMPLE_RATE_HZ,
        symbol_rate_hz=SAMPLE_RATE_HZ,
        reference_power=1.0,
        seed=1,
        interval_s=UPDATE_SAMPLES / SAMPLE_RATE_HZ,
        num_threads=num_threads,
    )


def noise_samples(num_samples: int, seed: int = 0) -> NDArray[np.complex64]:
    """Return a signal of power one."""
    rng = np.random.default_rng(seed)
    both = rng.standard_normal(2 * num_samples, dtype=np.float32).view(np.complex64)
    return both * np.float32(0.5**0.5)


def drawn_gains(num_steps: int, gains: Sequence[float] = GAINS) -> NDArray[np.complex64]:
    """Return Rayleigh gains, (num_steps, path): peers get theirs drawn beforehand."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(num_steps, len(gains), 2)) @ np.array([1, 1j])
    return (drawn * np.asarray(gains) / np.sqrt(2)).astype(np.complex64)
