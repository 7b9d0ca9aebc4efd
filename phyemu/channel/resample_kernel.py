"""Streaming kernel of the sampling clock offset: a delay that drifts."""

from typing import Any

import numpy as np

from phyemu.channel.fractional_delay import TABLE_MARGIN, TABLE_STEPS
from phyemu.channel.kernel_math import F4, I4, kernel
from phyemu.channel.simd import LANES, broadcast, load, multiply_add, ramp, store

__all__ = ["SLIP_SAMPLES", "resample"]

# The drift of the sampling clock is kept within this many samples.
SLIP_SAMPLES = 4096


@kernel
def _filter_at(table: Any, fraction: float, h: Any) -> None:
    """Write the 32 taps for a fraction, by linear interpolation in the table."""
    place = fraction * TABLE_STEPS + TABLE_MARGIN
    row = int(np.floor(place))
    share = place - row
    for tap in range(32):
        h[tap] = F4(table[row, tap] + share * (table[row + 1, tap] - table[row, tap]))


@kernel
def resample(
    sr: Any,
    si: Any,
    write: int,
    xr: Any,
    xi: Any,
    read: int,
    count: int,
    sample: int,
    offset: float,
    table: Any,
) -> None:
    """Write s[m] = x(m (1 + offset) - slips) for m = sample ... sample + count - 1.

    The filter is exact (to the table) at multiples of 64 samples and linear between; the drift is
    kept within +-SLIP_SAMPLES by leaps of twice that, taken at multiples of 64 samples.

    Args:
        sr: Real part of s, sample `sample` at place `write`; si: imaginary part.
        xr: Real part of x, sample `sample` at place `read`; xi: imaginary part.
        offset: Relative offset of the clock.
        table: `interpolator_table`.
    """
    h0 = np.empty(32, np.float32)
    h1 = np.empty(32, np.float32)
    done = 0
    while done < count:
        m = sample + done
        group = m >> 6
        j0 = m - (group << 6)
        length = min(64 - j0, count - done)
        drift = offset * (group << 6)
        leaps = int(np.floor(drift / (2 * SLIP_SAMPLES) + 0.5))
        drift = drift - leaps * (2.0 * SLIP_SAMPLES)
        whole = int(np.floor(drift))
        fraction = drift - whole
        _filter_at(table, fraction, h0)
        _filter_at(table, fraction + 64 * offset, h1)
        base = read + done + whole - 15
        target = write + done
        for i in range(0, length, 2 * LANES):
            t = ramp(I4(j0 + i), F4(1 / 64))
            u = ramp(I4(j0 + i + LANES), F4(1 / 64))
            ar = broadcast(F4(0))
            ai = ar
            br = ar
            bi = ar
            for tap in range(32):
                begin = broadcast(h0[tap])
                rise = broadcast(h1[tap] - h0[tap])
                n = base + i + tap
                c = multiply_add(rise, t, begin)
                ar = multiply_add(c, load(xr, n), ar)
                ai = multiply_add(c, load(xi, n), ai)
                c = multiply_add(rise, u, begin)
                br = multiply_add(c, load(xr, n + LANES), br)
                bi = multiply_add(c, load(xi, n + LANES), bi)
            # Lanes beyond the group are overwritten by the next one.
            store(sr, target + i, ar)
            store(si, target + i, ai)
            store(sr, target + i + LANES, br)
            store(si, target + i + LANES, bi)
        done += length
