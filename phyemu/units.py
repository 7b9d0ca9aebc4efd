"""Decibels and parts per million, written once.

A name without a unit suffix is linear. Full scale (0 dBFS) is a complex tone of magnitude 1.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "amplitude_to_db",
    "db_to_amplitude",
    "db_to_power",
    "power_dbfs",
    "power_to_db",
    "ppm_to_ratio",
]


def db_to_power(value_db: float) -> float:
    """Return the linear power ratio 10^(value_db / 10).

    >>> db_to_power(3.0103)  # doctest: +ELLIPSIS
    2.0000...
    """
    return float(10.0 ** (value_db / 10.0))


def power_to_db(power: float) -> float:
    """Return 10 log10(power) [dB]; -inf for 0, NaN for a negative power."""
    if power > 0:
        return 10.0 * math.log10(power)
    return -math.inf if power == 0 else math.nan


def db_to_amplitude(value_db: float) -> float:
    """Return the linear amplitude ratio 10^(value_db / 20)."""
    return float(10.0 ** (value_db / 20.0))


def amplitude_to_db(amplitude: float) -> float:
    """Return 20 log10(|amplitude|) [dB]; -inf for 0."""
    return 2.0 * power_to_db(abs(amplitude))


def power_dbfs(iq: NDArray[np.complex64]) -> float:
    """Return the mean power of `iq` (..., num_samples) [dBFS]; -inf for silence or no samples."""
    if iq.size == 0:
        return -math.inf
    # vdot accumulates in single precision; float64 keeps an hour of samples accurate.
    return power_to_db(float(np.mean(np.square(np.abs(iq), dtype=np.float64))))


def ppm_to_ratio(offset_ppm: float) -> float:
    """Return the frequency ratio 1 + offset_ppm * 1e-6."""
    return 1.0 + offset_ppm * 1e-6
