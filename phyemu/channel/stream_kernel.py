"""The streaming kernel: a stretch of samples through multipath, carrier, noise and front end."""

from typing import Any

import numpy as np

from phyemu.channel.front_end_kernel import fill_noise, finish, rotate
from phyemu.channel.kernel_math import F4, U4, bits, kernel
from phyemu.channel.multipath_kernel import (
    multipath_by_lag,
    multipath_by_path,
    multipath_held,
)

__all__ = ["run", "split"]

_CHUNK = 1024


@kernel
def split(iq: Any, xr: Any, xi: Any, position: int) -> Any:
    """Write interleaved float32 to planes from `position` on; return whether all are finite."""
    real = xr[position:]
    imaginary = xi[position:]
    largest = U4(0)
    for i in range(len(iq) // 2):
        r = iq[2 * i]
        s = iq[2 * i + 1]
        real[i] = r
        imaginary[i] = s
        # Without the sign, bits grow with the magnitude; infinity and NaN are the largest.
        largest = max(largest, U4(bits(r) & U4(0x7FFFFFFF)))
        largest = max(largest, U4(bits(s) & U4(0x7FFFFFFF)))
    return largest < U4(0x7F800000)


@kernel
def run(
    out: Any,
    position: int,
    xr: Any,
    xi: Any,
    start: int,
    count: int,
    sample: int,
    latency: int,
    interval: int,
    first_knot: int,
    re: Any,
    im: Any,
    lags: Any,
    filters: Any,
    by_path: bool,
    held: bool,
    key0: Any,
    key1: Any,
    sigma: Any,
    rotating: bool,
    phase_knot: int,
    begin: Any,
    slope: Any,
    values: Any,
    clipping: bool,
    steps: Any,
) -> None:
    """Write `count` samples of the stream, from its sample `sample` on.

    Args:
        out: Interleaved float32 output; `position`: place of the first sample in it.
        xr: Real plane of the input with history, the first sample's at `start`; xi: imaginary.
        latency: Samples by which the stream's output lags the channel's time axis.
        interval: Samples between two knots of the gains.
        first_knot: Knot of row 0 of re and im, (knot, lag or path).
        key0: Keys of the noise with key1; sigma: square root of its variance; 0: none.
        rotating: Whether the carrier turns, by `begin` and `slope` from `phase_knot` on.
        values, clipping, steps: As in `finish`.
    """
    width = re.shape[1]
    dre = np.zeros(width, np.float32)
    dim = np.zeros(width, np.float32)
    yr = np.empty(_CHUNK + 64, np.float32)
    yi = np.empty(_CHUNK + 64, np.float32)
    nr = np.empty(_CHUNK, np.float32)
    ni = np.empty(_CHUNK, np.float32)
    turns = np.empty(_CHUNK + 32, np.uint32)
    scale = F4(1.0 / interval)
    noisy = sigma > F4(0)
    done = 0
    while done < count:
        m = sample + done - latency
        knot = m // interval
        first = m - knot * interval
        length = min(_CHUNK, count - done, interval - first)
        row = knot - first_knot
        if not held:
            for k in range(width):
                dre[k] = re[row + 1, k] - re[row, k]
                dim[k] = im[row + 1, k] - im[row, k]
        place = start + done
        if by_path:
            multipath_by_path(
                yr, yi, xr, xi, place, length,
                lags, filters, re[row], im[row], dre, dim, first, scale,
            )  # fmt: skip
        elif held:
            multipath_held(yr, yi, xr, xi, place, length, lags, re[row], im[row])
        else:
            multipath_by_lag(
                yr, yi, xr, xi, place, length,
                lags, re[row], im[row], dre, dim, first, scale,
            )  # fmt: skip
        if rotating:
            rotate(yr, yi, turns, length, m, phase_knot, begin, slope)
        if noisy:
            fill_noise(nr, ni, length, sample + done, key0, key1, sigma)
        finish(out, position + done, yr, yi, nr, ni, length, noisy, values, clipping, steps)
        done += length
