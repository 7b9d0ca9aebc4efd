"""Streaming kernels of noise and front end: carrier rotation, AWGN, IQ, DC, clipping, quantiser."""

from typing import Any

import numpy as np

from phyemu.channel.kernel_math import F4, U4, U8, fma, kernel, log_float, mix, sincos

__all__ = ["fill_noise", "finish", "phase_knots", "rotate", "walk_steps"]

# What is known of a receiver, the places of `values`:
Q_ON_Q = 0  # IQ imbalance: factor of Q on Q, and ...
I_ON_Q = 1  # ... of I on Q
DC_I = 2  # DC offset
DC_Q = 3
CLIP_LEVEL = 4  # largest magnitude of I and Q, infinity: never clipped
STEPS = 5  # quantiser steps per unit, 0: no quantiser
SIGMA = 6  # square root of the noise's variance, 0: no noise
NUM_VALUES = 7

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
def walk_steps(steps: Any, first: int, sigma_turns: Any, keys: Any) -> None:
    """Write the steps of Wiener walks from knot to knot, in 2^-56 turns.

    Args:
        steps: Step k of each walk, the rise from knot first + k to the next, (walk, K) int64; a
            walk begins at knot 0, so that steps before it are 0.
        sigma_turns: Standard deviation of a step [turns], (walk,) float64.
        keys: Of the normals, two a walk, (walk, 2) uint64.
    """
    count = steps.shape[1]
    pair = max(first, 0) >> 1
    num_pairs = max((max(first + count, 0) + 1 >> 1) - pair, 0)
    even = np.empty(num_pairs, np.float32)
    odd = np.empty(num_pairs, np.float32)
    for walk in range(len(steps)):
        fill_noise(even, odd, num_pairs, pair, keys[walk, 0], keys[walk, 1], F4(1))
        scale = sigma_turns[walk] * np.sqrt(2.0) * 2.0**56
        for k in range(count):
            knot = first + k
            steps[walk, k] = 0
            if knot >= 0:
                place = (knot >> 1) - pair
                normal = odd[place] if knot & 1 else even[place]
                steps[walk, k] = np.int64(scale * np.float64(normal))


@kernel
def phase_knots(
    begin: Any,
    slope: Any,
    first: int,
    frequencies: Any,
    weights: Any,
    walked: Any,
    following: int,
    sigma_turns: Any,
    keys: Any,
) -> None:
    """Write the carrier phases of links at knots and their slopes to the next; follow the walks.

    The phase at knot k (sample 16 k) is 16 k cfo / rate plus the link's weighted sum of walks.
    All sums are of integers, so that they do not depend on where the knots are divided.

    Args:
        begin: Phase at each knot, (link, K) uint32 in 2^-32 turns.
        slope: Its rise per sample, (link, K) uint32, modulo 2^32.
        first: Index of the first knot, may be negative.
        frequencies: Rise per sample by the carrier offset, (link,) uint64 in 2^-64 turns.
        weights: +1 or -1 where a walk adds to a link's phase, else 0, (link, walk) int64.
        walked: The walks at the first knot, (walk,) int64 in 2^-56 turns; moved to `following`.
        following: Knot that the next call begins with, first + K - 1 or first + K.
        sigma_turns: As in `walk_steps`, with `keys`.
    """
    num_links, count = begin.shape
    num_walks = len(walked)
    steps = np.empty((num_walks, count), np.int64)
    walk_steps(steps, first, sigma_turns, keys)
    turned = np.empty(count, np.int64)
    rise = np.empty(count, np.int64)
    for link in range(num_links):
        turned[:] = 0
        rise[:] = 0
        for walk in range(num_walks):
            weight = weights[link, walk]
            if weight != 0:
                place = walked[walk]
                for k in range(count):
                    turned[k] += weight * place
                    rise[k] += weight * steps[walk, k]
                    place += steps[walk, k]
        frequency = frequencies[link]
        for k in range(count):
            phase = frequency * (U8(first + k) << U8(4)) + (U8(turned[k]) << U8(8))
            begin[link, k] = U4(phase >> U8(32))
            # Half a unit more, so that cutting off the lower bits rounds.
            per_sample = frequency + (U8(rise[k]) << U8(4)) + (U8(1) << U8(31))
            slope[link, k] = U4(per_sample >> U8(32))
    for walk in range(num_walks):
        for k in range(following - first):
            walked[walk] += steps[walk, k]


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
) -> None:
    """Add noise, apply IQ imbalance, DC, clipping and quantiser, write interleaved float32.

    Adding 0 makes a negative zero a positive one: a silent link may be left out of a sum.

    Args:
        out: Interleaved I and Q of the block; `position` the first sample's place in it.
        values: Facts of the receiver, (NUM_VALUES,) float32; see the places above.
    """
    qq, qi, di, dq = values[Q_ON_Q], values[I_ON_Q], values[DC_I], values[DC_Q]
    level, steps = values[CLIP_LEVEL], values[STEPS]
    plain = qq == F4(1) and qi == F4(0) and di == F4(0) and dq == F4(0)
    if noisy:
        for i in range(count):
            yr[i] = (yr[i] + F4(0)) + nr[i]
            yi[i] = (yi[i] + F4(0)) + ni[i]
    else:
        for i in range(count):
            yr[i] = yr[i] + F4(0)
            yi[i] = yi[i] + F4(0)
    if not plain:
        for i in range(count):
            r = yr[i]
            yr[i] = r + di
            yi[i] = fma(qi, r, qq * yi[i]) + dq
    if level < F4(np.inf):
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
