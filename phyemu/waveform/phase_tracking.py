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

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform.compiled import kernel
from phyemu.waveform.constellation import Constellation
from phyemu.waveform.phase_filter import unwrapped_phases
from phyemu.waveform.phase_kernel import known_sums, scored_blocks
from phyemu.waveform.posterior_kernel import moments
from phyemu.waveform.random_walk import smooth_walk

__all__ = ["PHASE_BLOCK", "posterior_moments", "refine_phase", "track_known_phase"]

PHASE_BLOCK = 32
"""Symbols of a block of constant phase."""

_STEP_VARIANCES = np.array([1e-9, 1e-7, 1e-6, 1e-5, 3e-5, 1e-4]) * PHASE_BLOCK
_GROUP = 8
_MOST_STEP = 0.4


@kernel
def track_known_phase(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    known: NDArray[np.complex64],
    noise_variance: NDArray[np.float64],
    frequency_variance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the phase as the known symbols show it: a path over blocks, as of `smooth_walk`.

    Args:
        symbols: All equalised symbols of frames alike, (frames, num_symbols).
        positions: Of the known symbols, (num_known,), ascending; the preamble comes first.
        known: Their values, (num_known,).
        noise_variance: Total complex variance of the noise on the symbols, (frames,).
        frequency_variance: Of the carrier offset that is left [(rad per symbol)^2], (frames,).

    Returns:
        Phase in the middle of each block, (frames, blocks) [rad]; drift per block and variance of
        its steps, (frames,).
    """
    frames, num_symbols = symbols.shape
    times, counts, sums = known_sums(symbols, positions, known, _GROUP)
    variances = np.empty((frames, len(times)))
    for frame in range(frames):
        variances[frame] = noise_variance[frame] / (2.0 * counts)
    phases = unwrapped_phases(
        times, sums, variances, _STEP_VARIANCES[2:] / PHASE_BLOCK, frequency_variance
    )
    num_blocks = -(-num_symbols // PHASE_BLOCK)
    information = np.zeros((frames, num_blocks))
    values = np.zeros((frames, num_blocks))
    for frame in range(frames):
        for index in range(len(times)):
            block = int(times[index] // PHASE_BLOCK)
            information[frame, block] += 1.0 / variances[frame, index]
            values[frame, block] += phases[frame, index] / variances[frame, index]
        for block in range(num_blocks):
            if information[frame, block] > 0.0:
                values[frame, block] /= information[frame, block]
    return smooth_walk(values, information, _STEP_VARIANCES)


@kernel
def refine_phase(
    points: NDArray[np.complex64],
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    known: NDArray[np.bool_],
    phase: NDArray[np.float64],
    drift: NDArray[np.float64],
    step_variance: NDArray[np.float64],
    noise_variance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the phase after a scoring step on the likelihood of all symbols, as it came.

    Args:
        points: All symbols of frames alike, turned back by the phase so far, (frames, num_symbols).
        means: Mean of each symbol's point under its posteriors (known symbols: the point).
        uncertainty: Variance of Im(z c*) under the posteriors (known symbols: 0).
        known: Which symbols are known, (num_symbols,).
        phase: So far, in the middle of each block, (frames, blocks) [rad].
        drift: Per block, (frames,).
        step_variance: Per block, (frames,).
        noise_variance: Total complex variance of the noise on `points`, (frames,).
    """
    steps, information = scored_blocks(
        points, means, uncertainty, known, noise_variance, PHASE_BLOCK, _MOST_STEP
    )
    blind = np.zeros(len(points), np.bool_)
    for frame in range(len(points)):
        blind[frame] = information[frame].max() <= 0.0
        if blind[frame]:
            information[frame, :] = 1.0
    refined, drifts, variances = smooth_walk(phase + steps, information, _STEP_VARIANCES)
    for frame in range(len(points)):
        if blind[frame]:  # a frame that says nothing anywhere keeps its phase
            refined[frame] = phase[frame]
            drifts[frame], variances[frame] = drift[frame], step_variance[frame]
    return refined, drifts, variances


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
        np.broadcast_to(noise_variance, points.shape[:-1]).reshape(-1).astype(np.float32),
        np.ascontiguousarray(values.real),
        np.ascontiguousarray(values.imag),
        means,
        uncertainty,
        energy,
    )
    shape = points.shape
    return means.reshape(shape), uncertainty.reshape(shape), energy.reshape(shape)
