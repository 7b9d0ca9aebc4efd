"""The streaming kernel: what receivers hear of all transmitters in a stretch of time."""

from typing import Any

import numpy as np

from phyemu.channel.front_end_kernel import SIGMA, fill_noise, finish, rotate
from phyemu.channel.kernel_math import F4, U4, bits, kernel
from phyemu.channel.multipath_kernel import (
    multipath_by_lag,
    multipath_by_path,
    multipath_held,
)
from phyemu.channel.resample_kernel import resample

__all__ = [
    "AHEAD", "BY_PATH", "CLOCK", "FILTER", "FIRST", "HELD", "LAST", "LEAD", "NUM_FACTS",
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
AHEAD = 9  # with a clock offset: samples that its lags were shifted by to be causal
PHASE = 10  # its row of the carrier phases, -1 where the carrier stands still
NUM_FACTS = 11

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
def _receive(
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
    resampled: Any,
    phase_knot: int,
    begin: Any,
    slope: Any,
    keys: Any,
    values: Any,
) -> None:
    """Write `count` samples of one receiver; arguments as in `receive`, of its own links only.

    Args:
        out: Its output; `position`: place of the first sample in it.
        place: Where the first sample lies in the planes.
        time: Index of the first sample on the channel's time axis.
    """
    width = re.shape[1]
    first_column = links[0, FIRST] if len(links) else 0
    end_column = links[len(links) - 1, LAST] if len(links) else 0
    dre = np.zeros(width, np.float32)
    dim = np.zeros(width, np.float32)
    yr = np.empty(_CHUNK + SLACK, np.float32)
    yi = np.empty(_CHUNK + SLACK, np.float32)
    vr = np.empty(_CHUNK + SLACK, np.float32)
    vi = np.empty(_CHUNK + SLACK, np.float32)
    turns = np.empty(_CHUNK + 32, np.uint32)
    scale = F4(1.0 / interval)
    noisy = values[SIGMA] > F4(0)
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
            for k in range(first_column, end_column):
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
            start = (place if clock < 0 else links[link, LEAD]) + done
            _multipath(
                tr, ti, xr, xi, start, length, links[link], lags, filters,
                re[row], im[row], dre, dim, first, scale,
            )  # fmt: skip
            phase = links[link, PHASE]
            if phase >= 0:
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
            fill_noise(vr, vi, length, m, keys[0], keys[1], values[SIGMA])
        finish(out, position + done, yr, yi, vr, vi, length, noisy, values)
        done += length


@kernel
def receive(
    out: Any,
    sent: Any,
    history: Any,
    position: int,
    count: int,
    stretch: int,
    time: int,
    latency: int,
    interval: int,
    first_knot: int,
    re: Any,
    im: Any,
    sources: Any,
    links: Any,
    ends: Any,
    lags: Any,
    filters: Any,
    clocks: Any,
    table: Any,
    phase_knot: int,
    begin: Any,
    slope: Any,
    keys: Any,
    values: Any,
    planes: Any,
    resampled: Any,
    audible: Any,
) -> Any:
    """Write `count` samples of every receiver of a bank: its links, noise, converter.

    Args:
        out: Output of the block, (receiver, 2 num_samples) float32, interleaved.
        sent: What was sent, (transmitter, 2 num_samples) float32, interleaved.
        history: What was sent before the block, (transmitter, 2 H).
        position: First sample of the block to write.
        stretch: Samples that are split at once.
        time: Index of sample `position` on the channel's time axis.
        latency: Samples by which the output lags that axis.
        interval: Samples between two knots of the gains.
        first_knot: Knot of row 0 of re and im.
        re: Coefficients of all links, (knot, lag or path), with im.
        sources: Transmitters that are heard, (S,) int64.
        links: Facts of each link, (link, NUM_FACTS) int64; see the columns above.
        ends: First link of each receiver, and the number of links, (receiver + 1,) int64.
        lags: Lags of all links, (lag or path,), relative to the planes or the resampled planes.
        filters: Real filters of the links summed by path, flat.
        clocks: Clock offset of each link, (link,) float64; `table` as in `resample`.
        phase_knot: Knot of the first column of begin and slope, (rotating link, knot).
        keys: Keys of the noise of each receiver, (receiver, 2) uint64.
        values: Facts of each receiver, (receiver, NUM_VALUES) float32; see `front_end_kernel`.
        planes: Scratch, (transmitter, 2, H + stretch + SLACK); with resampled, (row, 2, lead +
            stretch + SLACK), and audible, (transmitter,) bool.

    Returns:
        Whether all samples were finite; if not, the output is worthless.
    """
    room = history.shape[1] // 2
    done = 0
    while done < count:
        length = min(stretch, count - done)
        first = position + done
        kept = max(0, room - first)
        fresh = max(0, first - room)
        for source in sources:
            xr = planes[source, 0]
            xi = planes[source, 1]
            loudest = U4(0)
            if kept > 0:
                loudest = split(history[source, 2 * (room - kept) :], xr, xi, 0)
            new = sent[source, 2 * fresh : 2 * (first + length)]
            loudest = max(loudest, split(new, xr, xi, kept))
            if loudest >= U4(0x7F800000):
                return False
            audible[source] = loudest > U4(0)
        for receiver in range(len(ends) - 1):
            own = links[ends[receiver] : ends[receiver + 1]]
            for link in range(len(own)):
                row = own[link, CLOCK]
                source = own[link, SOURCE]
                if row >= 0 and audible[source]:
                    lead = own[link, LEAD]
                    begins = own[link, AHEAD] - lead
                    resample(
                        resampled[row, 0], resampled[row, 1], 0,
                        planes[source, 0], planes[source, 1], room - latency + begins,
                        lead + length, time + done + begins,
                        clocks[ends[receiver] + link], table,
                    )  # fmt: skip
            _receive(
                out[receiver], first, planes, audible, room, length, time + done,
                interval, first_knot, re, im, own, lags, filters, resampled,
                phase_knot, begin, slope, keys[receiver], values[receiver],
            )  # fmt: skip
        done += length
    return True
