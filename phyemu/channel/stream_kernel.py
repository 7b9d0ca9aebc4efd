"""The streaming kernel: what one receiver hears of all transmitters in a stretch of time."""

from typing import Any

import numpy as np

from phyemu.channel.front_end_kernel import fill_noise, finish, rotate
from phyemu.channel.kernel_math import F4, U4, bits, kernel
from phyemu.channel.multipath_kernel import (
    multipath_by_lag,
    multipath_by_path,
    multipath_held,
)
from phyemu.channel.resample_kernel import resample

__all__ = [
    "AHEAD", "BEHIND", "BY_PATH", "CLOCK", "FILTER", "FIRST", "HELD", "LAST", "LEAD", "NUM_FACTS",
    "PHASE", "SLACK", "SOURCE", "TAPS", "receive", "split",
]  # fmt: skip

# What is known of a link, the columns of `links`:
SOURCE = 0  # row of its transmitter in the planes
BY_PATH = 1  # whether each path is filtered first and weighted after
HELD = 2  # whether the gains stay between two knots
FIRST = 3  # its columns of the gains and entries of the lags: from here ...
LAST = 4  # ... to before here
FILTER = 5  # by path: where its filters begin, and ...
TAPS = 6  # ... how many taps each has
CLOCK = 7  # its row of the resampled planes, -1 without a clock offset
LEAD = 8  # with a clock offset: samples before the stretch that are resampled besides it
AHEAD = 9  # with a clock offset: samples that its lags were shifted by to be causal, and ...
BEHIND = 10  # ... how much more the output lags than that
PHASE = 11  # its row of the carrier phases, -1 where the carrier stands still
NUM_FACTS = 12

# The kernels read and write whole vectors, up to this many samples beyond the last.
SLACK = 64
_CHUNK = 1024


@kernel
def split(iq: Any, xr: Any, xi: Any, position: int) -> Any:
    """Write interleaved float32 to planes from `position` on.

    Returns:
        The largest magnitude's float32 bits: 0 for silence; from 0x7F800000 on, some sample is
        not finite.
    """
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
    return largest


@kernel
def _multipath(
    yr: Any,
    yi: Any,
    xr: Any,
    xi: Any,
    start: int,
    count: int,
    facts: Any,
    lags: Any,
    filters: Any,
    re: Any,
    im: Any,
    dre: Any,
    dim: Any,
    first: int,
    scale: Any,
) -> None:
    """Write what a link makes of `count` samples; arguments as in `multipath_kernel`."""
    a, b = facts[FIRST], facts[LAST]
    taps = facts[TAPS]
    held = facts[HELD] != 0
    if facts[BY_PATH] != 0:
        size = (b - a) * taps
        own = filters[facts[FILTER] : facts[FILTER] + size].reshape((b - a, taps))
        multipath_by_path(
            yr, yi, xr, xi, start, count, lags[a:b], own,
            re[a:b], im[a:b], dre[a:b], dim[a:b], first, F4(0) if held else scale,
        )  # fmt: skip
    elif held:
        multipath_held(yr, yi, xr, xi, start, count, lags[a:b], re[a:b], im[a:b])
    else:
        multipath_by_lag(
            yr, yi, xr, xi, start, count, lags[a:b],
            re[a:b], im[a:b], dre[a:b], dim[a:b], first, scale,
        )  # fmt: skip


@kernel
def receive(
    out: Any,
    position: int,
    planes: Any,
    audible: Any,
    place: int,
    count: int,
    time: int,
    interval: int,
    first_knot: int,
    re: Any,
    im: Any,
    links: Any,
    lags: Any,
    filters: Any,
    clocks: Any,
    table: Any,
    table_steps: int,
    table_margin: int,
    slip_samples: int,
    resampled: Any,
    phase_knot: int,
    begin: Any,
    slope: Any,
    key0: Any,
    key1: Any,
    sigma: Any,
    values: Any,
    clipping: bool,
    steps: Any,
) -> None:
    """Write `count` samples of a receiver: the sum over its links, noise, converter.

    Args:
        out: Interleaved float32 output; `position`: place of the first sample in it.
        planes: Real and imaginary plane of every transmitter, (transmitter, 2, samples); the
            stretch begins at `place`, what was sent before lies before.
        audible: Whether each transmitter sent anything but silence, (transmitter,) bool.
        time: Index of the first sample on the channel's time axis.
        interval: Samples between two knots of the gains.
        first_knot: Knot of row 0 of re and im.
        re: Coefficients of all links, (knot, lag or path), with im.
        links: Facts of each link, (link, NUM_FACTS) int64; see the columns above.
        lags: Lags of all links, (lag or path,), relative to the planes or the resampled planes.
        filters: Real filters of the links summed by path, flat.
        clocks: Clock offset of each link, (link,) float64; `table`, `table_steps`,
            `table_margin`, `slip_samples` as in `resample`; `resampled`: scratch, (row, 2, samples).
        begin: Phases of the links whose carrier turns, with slope, from knot `phase_knot` on.
        key0: Keys of the noise with key1; sigma: square root of its variance; 0: none.
        values, clipping, steps: As in `finish`.
    """
    width = re.shape[1]
    dre = np.zeros(width, np.float32)
    dim = np.zeros(width, np.float32)
    yr = np.empty(_CHUNK + 64, np.float32)
    yi = np.empty(_CHUNK + 64, np.float32)
    vr = np.empty(_CHUNK + 64, np.float32)
    vi = np.empty(_CHUNK + 64, np.float32)
    turns = np.empty(_CHUNK + 32, np.uint32)
    scale = F4(1.0 / interval)
    noisy = sigma > F4(0)
    for link in range(len(links)):
        row = links[link, CLOCK]
        source = links[link, SOURCE]
        if row >= 0 and audible[source]:
            lead = links[link, LEAD]
            resample(
                resampled[row, 0], resampled[row, 1], 0, planes[source, 0], planes[source, 1],
                place - links[link, BEHIND] - lead, lead + count,
                time + links[link, AHEAD] - lead, clocks[link],
                slip_samples, table, table_steps, table_margin,
            )  # fmt: skip
    current = first_knot - 1
    done = 0
    while done < count:
        m = time + done
        knot = m // interval
        first = m - knot * interval
        length = min(_CHUNK, count - done, interval - first)
        row = knot - first_knot
        if knot != current:
            current = knot
            for k in range(width):
                dre[k] = re[row + 1, k] - re[row, k]
                dim[k] = im[row + 1, k] - im[row, k]
        silent = True
        for link in range(len(links)):
            source = links[link, SOURCE]
            if not audible[source]:
                continue
            tr = yr if silent else vr
            ti = yi if silent else vi
            clock = links[link, CLOCK]
            xr = planes[source, 0] if clock < 0 else resampled[clock, 0]
            xi = planes[source, 1] if clock < 0 else resampled[clock, 1]
            begin_at = (place if clock < 0 else links[link, LEAD]) + done
            _multipath(
                tr, ti, xr, xi, begin_at, length, links[link], lags, filters,
                re[row], im[row], dre, dim, first, scale,
            )  # fmt: skip
            if links[link, PHASE] >= 0:
                phase = links[link, PHASE]
                rotate(tr, ti, turns, length, m, phase_knot, begin[phase], slope[phase])
            if not silent:
                for i in range(length):
                    yr[i] += vr[i]
                    yi[i] += vi[i]
            silent = False
        if silent:
            yr[:length] = F4(0)
            yi[:length] = F4(0)
        if noisy:
            fill_noise(vr, vi, length, m, key0, key1, sigma)
        finish(out, position + done, yr, yi, vr, vi, length, noisy, values, clipping, steps)
        done += length
