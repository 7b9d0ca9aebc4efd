"""Carrier phase over a frame: pilots first, then every symbol with the weight it deserves.

The phase is a random walk (oscillator noise) with a drift (carrier offset that is left), constant
over blocks of 32 symbols, smoothed over the whole frame (`phyemu.waveform.random_walk`).

1. A Kalman filter over [phase, frequency] follows the known symbols and so unwraps their phases,
   once for each of several step variances; the most likely one counts. The smoother does the rest.
2. Fisher scoring on the likelihood of all symbols: score (2/s2) Im(z x*), x the mean under the
   posteriors, its mean square the information of a symbol: that of a known symbol where decisions
   are certain, 0 where they say nothing of the phase. A block counts as far as its curvature,
   sum (2/s2) Re(z x*) - (2/s2)^2 var Im(z c*) (Louis 1982), reaches the information.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.waveform.constellation import Constellation
from phyemu.waveform.modulation import symbol_posteriors
from phyemu.waveform.random_walk import SmoothedWalk, smooth_walk

__all__ = [
    "PHASE_BLOCK",
    "TrackedPhase",
    "posterior_moments",
    "refine_phase",
    "track_known_phase",
]

PHASE_BLOCK = 32
"""Symbols of a block of constant phase."""

_STEP_VARIANCES = np.array([1e-9, 1e-7, 1e-6, 1e-5, 3e-5, 1e-4]) * PHASE_BLOCK
_GROUP = 8
_MOST_STEP = 0.4
_DOUBT = 1.0  # standard deviations of the misfit
_PER_CANDIDATE = 1.0  # log odds against each next larger step variance


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TrackedPhase:
    """The phase of a frame.

    Attributes:
        walk: Phase of each block [rad].
        phase: Phase of each symbol, (num_symbols,), float64 [rad].
    """

    walk: SmoothedWalk
    phase: NDArray[np.float64]


def _spread(walk: SmoothedWalk, num_symbols: int) -> TrackedPhase:
    """Return the phase of each symbol, linear between the middles of blocks."""
    values = walk.values
    # Beyond the outer middles the drift goes on: a block more on either side.
    knots = np.concatenate([[values[0] - walk.drift], values, [values[-1] + walk.drift]])
    places = (np.arange(PHASE_BLOCK) + 0.5) / PHASE_BLOCK
    lines = knots[:-1, None] + np.diff(knots)[:, None] * places
    first = PHASE_BLOCK // 2
    return TrackedPhase(walk=walk, phase=lines.reshape(-1)[first : first + num_symbols])


def track_known_phase(
    points: NDArray[np.complex64],
    positions: NDArray[np.int64],
    known: NDArray[np.complex64],
    *,
    noise_variance: float,
    frequency_variance: float,
) -> TrackedPhase:
    """Return the phase as the known symbols show it.

    Args:
        points: All equalised symbols of a frame, (num_symbols,).
        positions: Of the known symbols, (num_known,), ascending; the preamble comes first.
        known: Their values, (num_known,).
        noise_variance: Total complex variance of the noise on `points`.
        frequency_variance: Of the carrier offset that is left [(rad per symbol)^2].
    """
    products = points[positions] * known.conj()
    # Neighbours are added up: runs of at most 8 symbols without a gap.
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    starts = np.union1d(breaks, np.arange(0, breaks[0] if len(breaks) else len(known), _GROUP))
    sums = np.add.reduceat(products.astype(np.complex128), starts)
    counts = np.diff(np.append(starts, len(products)))
    times = np.add.reduceat(positions.astype(np.float64), starts) / counts
    variances = noise_variance / (2.0 * counts)
    # A steady carrier adds up over the whole frame, which no slip of a single pilot disturbs.
    steady = _steady_frequency(times, sums, math.sqrt(frequency_variance))
    best, misfit, phases = _filter(times, sums, variances, 0.0, steady, 1e-12)
    # Its squared innovations are one on average if noise is all there is; else it wanders.
    if misfit > 1.0 + _DOUBT * math.sqrt(2.0 / len(times)):
        for number, step in enumerate(_STEP_VARIANCES[2:].tolist()):
            likelihood, _, path = _filter(
                times, sums, variances, step / PHASE_BLOCK, 0.0, frequency_variance
            )
            likelihood -= _PER_CANDIDATE * (number + 1)
            if likelihood > best:
                best, phases = likelihood, path
    num_blocks = -(-len(points) // PHASE_BLOCK)
    block = (times // PHASE_BLOCK).astype(np.int64)
    information = np.zeros(num_blocks)
    np.add.at(information, block, 1.0 / variances)
    weighted = np.zeros(num_blocks)
    np.add.at(weighted, block, phases / variances)
    values = np.divide(weighted, information, out=np.zeros(num_blocks), where=information > 0)
    return _spread(smooth_walk(values, information, _STEP_VARIANCES), len(points))


def _steady_frequency(
    times: NDArray[np.float64], sums: NDArray[np.complex128], deviation: float
) -> float:
    """Return the frequency, within four deviations, at which the sums add up best."""
    length = float(times[-1] - times[0])
    # An eighth of a turn over the frame between candidates.
    step = 2.0 * math.pi / (8.0 * max(length, 1.0))
    count = min(math.ceil(4.0 * deviation / step), 4096)
    # Candidate 16 a + b by two short tables; not one product with a large one, for which BLAS
    # starts threads.
    groups = -(-(2 * count + 1) // 16)
    coarse = np.exp(-1j * np.multiply.outer(np.arange(groups) * 16 - count, step * times))
    fine = np.exp(-1j * np.multiply.outer(np.arange(16), step * times)) * sums
    powers = np.abs(np.einsum("at,bt->ab", coarse, fine)).reshape(-1)[: 2 * count + 1]
    grid = np.arange(-count, count + 1) * step
    best = int(powers.argmax())
    if best in (0, 2 * count):
        return float(grid[best])
    left, middle, right = powers[best - 1 : best + 2]
    curvature = left - 2.0 * middle + right
    fraction = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(grid[best] + fraction * step)


def _filter(
    times: NDArray[np.float64],
    sums: NDArray[np.complex128],
    variances: NDArray[np.float64],
    step_variance: float,
    frequency: float,
    frequency_variance: float,
) -> tuple[float, float, NDArray[np.float64]]:
    """Return log likelihood and mean square innovation of the phases, and them unwrapped.

    A Kalman filter over [phase, frequency]; plain floats, as arrays of two cost more than they do.
    """
    phase = 0.0
    p00, p01, p11 = 10.0, 0.0, frequency_variance
    likelihood = misfit = 0.0
    angles = np.angle(sums).tolist()
    unwrapped = []
    last = float(times[0])
    for time, angle, variance in zip(times.tolist(), angles, variances.tolist(), strict=True):
        gap = time - last
        last = time
        phase += frequency * gap
        p00 += gap * (2.0 * p01 + gap * p11) + step_variance * gap
        p01 += gap * p11
        innovation = math.remainder(angle - phase, 2.0 * math.pi)
        unwrapped.append(phase + innovation)
        total = p00 + variance
        square = innovation * innovation / total
        misfit += square
        likelihood -= 0.5 * (square + math.log(total))
        gain0, gain1 = p00 / total, p01 / total
        phase += gain0 * innovation
        frequency += gain1 * innovation
        p11 -= gain1 * p01
        p01 -= gain0 * p01
        p00 -= gain0 * p00
    return likelihood, misfit / len(unwrapped), np.array(unwrapped)


def refine_phase(
    points: NDArray[np.complex64],
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    known: NDArray[np.bool_],
    previous: TrackedPhase,
    *,
    noise_variance: float,
) -> TrackedPhase:
    """Return the phase after a scoring step on the likelihood of all symbols.

    Args:
        points: All symbols of a frame, turned back by `previous`, (num_symbols,).
        means: Mean of each symbol's point under its posteriors (known symbols: the point).
        uncertainty: Variance of Im(z c*) under the posteriors (known symbols: 0).
        known: Which symbols are known, (num_symbols,).
        previous: The phase so far.
        noise_variance: Total complex variance of the noise on `points`.
    """
    scale = 2.0 / noise_variance
    products = points * means.conj()
    score = scale * products.imag
    curvature = scale * products.real - scale**2 * uncertainty
    # Fisher's information of a symbol is the mean square of its score; a known symbol has 2 / s2.
    unknown = ~known
    fisher = float(np.square(score[unknown]).mean()) if unknown.any() else scale
    fisher = min(fisher, scale)
    starts = np.arange(0, len(points), PHASE_BLOCK)
    full = np.add.reduceat(np.where(known, scale, fisher), starts)
    gradient = np.add.reduceat(score.astype(np.float64), starts)
    # Where the phase is between two locks, the likelihood bends the wrong way: such a block says
    # nothing yet and takes its phase from its neighbours.
    bend = np.add.reduceat(curvature.astype(np.float64), starts)
    information = np.clip(bend, 0.0, full)
    if not information.any():
        return previous
    steps = np.clip(gradient / np.maximum(full, 1e-12), -_MOST_STEP, _MOST_STEP)
    walk = smooth_walk(previous.walk.values + steps, information, _STEP_VARIANCES)
    return _spread(walk, len(points))


def posterior_moments(
    points: NDArray[np.complex64], constellation: Constellation, *, noise_variance: float
) -> tuple[NDArray[np.complex64], NDArray[np.float32], NDArray[np.float32]]:
    """Return E[c], var Im(z c*) and E|c|^2 under the posteriors of each point, (num_symbols,)."""
    received = torch.from_numpy(points)
    posteriors = symbol_posteriors(received, constellation, noise_variance=noise_variance)
    x, y = constellation.points.real, constellation.points.imag
    moments = torch.stack([x, y, x * x, y * y, x * y]) @ posteriors.mT
    mean_x, mean_y, xx, yy, xy = moments.unbind(0)
    zx, zy = received.real, received.imag
    # Im(z c*) = zy cx - zx cy.
    mean = zy * mean_x - zx * mean_y
    second = zy * zy * xx + zx * zx * yy - 2.0 * zx * zy * xy
    variance = (second - mean * mean).clamp(min=0.0)
    means = torch.complex(mean_x, mean_y)
    return means.numpy(), variance.numpy(), (xx + yy).numpy()
