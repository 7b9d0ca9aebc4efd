"""The first gate of detection, compiled: where known periods explain enough of the energy."""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["first_opening", "sliding_energies"]

_LANES = 64
_ZERO = np.float32(0.0)


@numba.njit(cache=True, nogil=True)
def sliding_energies(
    samples: NDArray[np.complex64], count: int, energy: NDArray[np.float64]
) -> None:
    """Write the sum of |x|^2 over `count` samples from each start on to the last argument.

    Args:
        samples: x, (at least starts + count - 1,).
        count: >= 1.
        energy: (starts,).
    """
    total = 0.0
    for index in range(count):
        total += np.float64(samples[index].real) ** 2 + np.float64(samples[index].imag) ** 2
    energy[0] = total
    for start in range(1, len(energy)):
        new, old = samples[start + count - 1], samples[start - 1]
        gained = np.float64(new.real) ** 2 + np.float64(new.imag) ** 2
        total += gained - (np.float64(old.real) ** 2 + np.float64(old.imag) ** 2)
        energy[start] = total


@numba.njit(cache=True, nogil=True, fastmath=True)
def first_opening(
    correlation: NDArray[np.complex64],
    energy: NDArray[np.float64],
    lag: int,
    periods: int,
    threshold: float,
    floor: float,
    begin: int,
    end: int,
) -> int:
    """Return the first start in [begin, end) at which the gate opens; `end` where it never does.

    It opens where the powers of the correlation at `periods` places, `lag` apart, add up to more
    than the threshold times the energy, and the energy is more than the floor.

    Args:
        correlation: (at least end + (periods - 1) lag,).
        energy: (at least end,).
        lag: From one place to the next [samples].
        periods: Places.
        threshold: Of the powers over the energy.
        floor: Of the energy.
        begin: First start.
        end: Behind the last start.
    """
    total, gate = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    for first in range(begin, end, _LANES):
        count = min(_LANES, end - first)
        for lane in range(count):
            total[lane] = _ZERO
        for period in range(periods):
            place = first + period * lag
            for lane in range(count):
                x, y = correlation[place + lane].real, correlation[place + lane].imag
                total[lane] += x * x + y * y
        opened = 0
        for lane in range(count):
            gate[lane] = np.float32(threshold * energy[first + lane])
            opened += total[lane] > gate[lane]
        if opened > 0:
            for lane in range(count):
                if total[lane] > gate[lane] and energy[first + lane] > floor:
                    return first + lane
    return end
