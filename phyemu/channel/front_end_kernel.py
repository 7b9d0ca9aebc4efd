"""Streaming kernels of noise and front end: carrier rotation, AWGN, IQ, DC, clipping, quantiser."""

from typing import Any

import numpy as np

from phyemu.channel.kernel_math import F4, U4, U8, fma, kernel, log_float, mix, sincos

__all__ = ["fill_noise", "finish", "phase_knots", "rotate"]

_TO_UNIT = F4(2.0**-32)
_HALF_STEP = F4(2.0**-33)


@kernel
def fill_noise(
    nr: Any, ni: Any, count: int, counter: int, key0: Any, key1: Any, sigma: Any
) -> None:
    """Write `count` complex normals of variance sigma^2, those of counter, counter + 1, ..."""
    for i in range(count):
        z = mix(key0, key1, U8(counter) + U8(i))
        # -log of a uniform in (0, 1]; float32 rounds the largest to 1, whose radius is 0.
        radius = np.sqrt(max(-log_float(fma(F4(U4(z >> U8(32))), _TO_UNIT, _HALF_STEP)), F4(0)))
        sine, cosine = sincos(U4(z))
        nr[i] = radius * sigma * cosine
        ni[i] = radius * sigma * sine


@kernel
def phase_knots(
    begin: Any,
    slope: Any,
    first: int,
    walked_turns: float,
    turns_per_sample: float,
    sigma_turns: float,
    key0: Any,
    key1: Any,
) -> float:
    """Write the carrier phase at knots and its slope to the next; return the walk at the end.

    The phase at knot k (sample 16 k) is 16 k cfo / rate plus a Wiener walk, the sum of the
    normals 0 ... k - 1 scaled by sigma_turns; knots before 0 have no walk.

    Args:
        begin: Phase of each knot, (K,) uint32 in 2^-32 turns.
        slope: Its rise per sample, (K,) uint32, modulo 2^32.
        first: Index of the first knot, may be negative.
        walked_turns: The walk at that knot.
    """
    count = len(begin)
    pair = max(first, 0) >> 1
    num_pairs = (max(first + count, 0) + 1 >> 1) - pair if sigma_turns > 0 else 0
    even = np.empty(num_pairs, np.float32)
    odd = np.empty(num_pairs, np.float32)
    fill_noise(even, odd, num_pairs, pair, key0, key1, F4(1))
    scale = sigma_turns * np.sqrt(2.0)
    for k in range(count):
        knot = first + k
        turns = turns_per_sample * (knot * 16) + walked_turns
        step = 0.0
        if num_pairs > 0 and knot >= 0:
            place = (knot >> 1) - pair
            step = scale * np.float64(odd[place] if knot & 1 else even[place])
        begin[k] = U4(U8(np.int64((turns - np.floor(turns)) * 4294967296.0)))
        rise = (turns_per_sample * 16 + step) / 16 * 4294967296.0
        slope[k] = U4(U8(np.int64(np.floor(rise + 0.5))))
        walked_turns += step
    return walked_turns


@kernel
def rotate(
    yr: Any, yi: Any, turns: Any, count: int, sample: int, knot: int, begin: Any, slope: Any
) -> None:
    """Turn `count` samples in place; `turns` is scratch, (count + 32,) uint32.

    Args:
        sample: Index of the first sample on the time axis of the knots.
        knot: Index of the knot that begin[0] belongs to.
    """
    group = sample >> 4
    skip = sample - (group << 4)
    num_groups = (skip + count + 15) >> 4
    for g in range(num_groups):
        part = turns[16 * g : 16 * g + 16]
        theta = begin[group + g - knot]
        rise = slope[group + g - knot]
        for i in range(16):
            part[i] = U4(theta + U4(rise * U4(i)))
    angles = turns[skip:]
    for i in range(count):
        sine, cosine = sincos(angles[i])
        r = yr[i]
        s = yi[i]
        yr[i] = fma(-sine, s, cosine * r)
        yi[i] = fma(sine, r, cosine * s)


@kernel
def finish(
    out: Any,
    position: int,
    yr: Any,
    yi: Any,
    nr: Any,
    ni: Any,
    count: int,
    noisy: bool,
    values: Any,
    clipping: bool,
    steps: Any,
) -> None:
    """Add noise, apply IQ imbalance, DC, clipping and quantiser, write interleaved float32.

    Args:
        out: Interleaved I and Q of the block; `position` the first sample's place in it.
        values: (IQ: factor of Q on Q, factor of I on Q; DC: I, Q; clip level), (5,) float32.
        steps: Quantiser steps per unit, float32; 0: no quantiser.
    """
    qq, qi, di, dq, level = values[0], values[1], values[2], values[3], values[4]
    plain = qq == F4(1) and qi == F4(0) and di == F4(0) and dq == F4(0)
    if noisy:
        for i in range(count):
            yr[i] = yr[i] + nr[i]
            yi[i] = yi[i] + ni[i]
    if not plain:
        for i in range(count):
            r = yr[i]
            yr[i] = r + di
            yi[i] = fma(qi, r, qq * yi[i]) + dq
    if clipping:
        for i in range(count):
            yr[i] = min(max(yr[i], -level), level)
            yi[i] = min(max(yi[i], -level), level)
    if steps > F4(0):
        one = F4(1) / steps
        for i in range(count):
            yr[i] = np.rint(yr[i] * steps) * one
            yi[i] = np.rint(yi[i] * steps) * one
    part = out[2 * position : 2 * (position + count)]
    for i in range(count):
        part[2 * i] = yr[i]
        part[2 * i + 1] = yi[i]
