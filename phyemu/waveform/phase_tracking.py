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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform.constellation import Constellation
from phyemu.waveform.phase_filter import unwrapped_phases
from phyemu.waveform.phase_kernel import known_sums, scored_blocks, turned_back
from phyemu.waveform.posterior_kernel import moments
from phyemu.waveform.random_walk import SmoothedWalk, smooth_walk

__all__ = [
    "PHASE_BLOCK",
    "TrackedPhase",
    "correct_symbols",
    "each_frame",
    "posterior_moments",
    "refine_phase",
    "track_known_phase",
]

PHASE_BLOCK = 32
"""Symbols of a block of constant phase."""

_STEP_VARIANCES = np.array([1e-9, 1e-7, 1e-6, 1e-5, 3e-5, 1e-4]) * PHASE_BLOCK
_GROUP = 8
_MOST_STEP = 0.4


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TrackedPhase:
    """The phase of a frame, or of several: linear between the middles of blocks.

    Attributes:
        walk: Phase of each block [rad].
        num_symbols: Symbols of a frame.
    """

    walk: SmoothedWalk
    num_symbols: int

    @property
    def phase(self) -> NDArray[np.float64]:
        """Phase of each symbol, (..., num_symbols), float64 [rad]."""
        return self.at(np.arange(self.num_symbols))

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the phase of the symbols at positions, (..., len(positions)) [rad]."""
        values = self.walk.values
        drift = self.walk.drift[..., None]
        # Beyond the outer middles the drift goes on: a block more on either side.
        knots = np.concatenate([values[..., :1] - drift, values, values[..., -1:] + drift], axis=-1)
        block, place = np.divmod(positions + PHASE_BLOCK // 2, PHASE_BLOCK)
        left = knots[..., block]
        phase: NDArray[np.float64] = left + (knots[..., block + 1] - left) * (
            (place + 0.5) / PHASE_BLOCK
        )
        return phase

    def select(self, frames: NDArray[np.bool_]) -> "TrackedPhase":
        """Return the phases of the frames at which a mask (...) is true."""
        walk = SmoothedWalk(
            values=self.walk.values[frames],
            drift=self.walk.drift[frames],
            step_variance=self.walk.step_variance[frames],
        )
        return TrackedPhase(walk=walk, num_symbols=self.num_symbols)


def each_frame(value: NDArray[np.float64] | float, frames: int) -> NDArray[np.float64]:
    """Return a number as one of each frame, (frames,); what is of each already stays."""
    array = np.asarray(value, np.float64)
    return np.full(frames, array) if array.ndim == 0 else array.reshape(-1)


def correct_symbols(
    symbols: NDArray[np.complex64], tracked: TrackedPhase, gain: NDArray[np.float64]
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return exp(-j phase) / gain and the symbols times that, (frames, num_symbols) each.

    Args:
        symbols: Of frames alike, (frames, num_symbols).
        tracked: Their phases.
        gain: Their gains, (frames,).
    """
    correction, points = np.empty_like(symbols), np.empty_like(symbols)
    walk = tracked.walk
    turned_back(symbols, walk.values, walk.drift, gain, PHASE_BLOCK, correction, points)
    return correction, points


def track_known_phase(
    points: NDArray[np.complex64],
    positions: NDArray[np.int64],
    known: NDArray[np.complex64],
    *,
    noise_variance: NDArray[np.float64] | float,
    frequency_variance: NDArray[np.float64] | float,
) -> TrackedPhase:
    """Return the phase as the known symbols show it.

    Args:
        points: All equalised symbols of frames alike, (..., num_symbols).
        positions: Of the known symbols, (num_known,), ascending; the preamble comes first.
        known: Their values, (num_known,).
        noise_variance: Total complex variance of the noise on `points`, (...) or a number.
        frequency_variance: Of the carrier offset that is left [(rad per symbol)^2], (...) or a
            number.
    """
    num_symbols = points.shape[-1]
    frames = np.ascontiguousarray(points.reshape(-1, num_symbols))
    times, counts, sums = known_sums(frames, positions, known, _GROUP)
    noise = each_frame(noise_variance, len(frames))
    variances = noise[:, None] / (2.0 * counts)
    phases = unwrapped_phases(
        times,
        sums,
        variances,
        _STEP_VARIANCES[2:] / PHASE_BLOCK,
        each_frame(frequency_variance, len(frames)),
    )
    num_blocks = -(-num_symbols // PHASE_BLOCK)
    # Places ascend, and each block's are added up; blocks without any have no information.
    block = (times // PHASE_BLOCK).astype(np.int64)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    information = np.zeros((len(frames), num_blocks))
    weighted = np.zeros((len(frames), num_blocks))
    mine = block[starts]
    information[:, mine] = np.add.reduceat(1.0 / variances, starts, axis=1)
    weighted[:, mine] = np.add.reduceat(phases / variances, starts, axis=1)
    weighted[:, mine] /= information[:, mine]
    shape = (*points.shape[:-1], num_blocks)
    walk = smooth_walk(weighted.reshape(shape), information.reshape(shape), _STEP_VARIANCES)
    return TrackedPhase(walk=walk, num_symbols=num_symbols)


def refine_phase(
    points: NDArray[np.complex64],
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    known: NDArray[np.bool_],
    previous: TrackedPhase,
    *,
    noise_variance: NDArray[np.float64] | float,
) -> TrackedPhase:
    """Return the phase after a scoring step on the likelihood of all symbols.

    Args:
        points: All symbols of frames alike, turned back by `previous`, (..., num_symbols).
        means: Mean of each symbol's point under its posteriors (known symbols: the point).
        uncertainty: Variance of Im(z c*) under the posteriors (known symbols: 0).
        known: Which symbols are known, (num_symbols,).
        previous: The phase so far.
        noise_variance: Total complex variance of the noise on `points`, (...) or a number.
    """
    num_symbols = points.shape[-1]
    rows = np.ascontiguousarray(points.reshape(-1, num_symbols))
    steps, information = scored_blocks(
        rows,
        means.reshape(-1, num_symbols),
        uncertainty.reshape(-1, num_symbols),
        known,
        each_frame(noise_variance, len(rows)),
        PHASE_BLOCK,
        _MOST_STEP,
    )
    before = previous.walk
    blocks = before.values.shape
    information = information.reshape(blocks)
    blind = information.max(axis=-1, keepdims=True) <= 0.0
    some = bool(blind.any())
    if some:
        information = np.where(blind, 1.0, information)
    walk = smooth_walk(before.values + steps.reshape(blocks), information, _STEP_VARIANCES)
    if some:  # a frame that says nothing anywhere keeps its phase
        none = blind[..., 0]
        walk = SmoothedWalk(
            values=np.where(blind, before.values, walk.values),
            drift=np.where(none, before.drift, walk.drift),
            step_variance=np.where(none, before.step_variance, walk.step_variance),
        )
    return TrackedPhase(walk=walk, num_symbols=num_symbols)


def posterior_moments(
    points: NDArray[np.complex64],
    constellation: Constellation,
    *,
    noise_variance: NDArray[np.float64] | float,
) -> tuple[NDArray[np.complex64], NDArray[np.float32], NDArray[np.float32]]:
    """Return E[c], var Im(z c*) and E|c|^2 under the posteriors of each point, (..., num_symbols).

    Args:
        points: (..., num_symbols).
        constellation: The points c, on the CPU.
        noise_variance: Total complex variance of the noise on `points`, (...) or a number.
    """
    num_symbols = points.shape[-1]
    rows = np.ascontiguousarray(points.reshape(-1, num_symbols))
    values = constellation.points.numpy()
    means = np.empty(rows.shape, np.complex64)
    uncertainty, energy = np.empty(rows.shape, np.float32), np.empty(rows.shape, np.float32)
    moments(
        rows,
        each_frame(noise_variance, len(rows)).astype(np.float32),
        np.ascontiguousarray(values.real),
        np.ascontiguousarray(values.imag),
        means,
        uncertainty,
        energy,
    )
    shape = points.shape
    return means.reshape(shape), uncertainty.reshape(shape), energy.reshape(shape)
