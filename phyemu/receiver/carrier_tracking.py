"""Carrier phase, gain and noise of the equalised symbols of a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import Constellation
from phyemu.waveform.phase_tracking import (
    PHASE_BLOCK,
    TrackedPhase,
    correct_symbols,
    each_frame,
    posterior_moments,
    refine_phase,
    track_known_phase,
)
from phyemu.waveform.posterior_kernel import mean_errors, with_known
from phyemu.waveform.random_walk import SmoothedWalk

__all__ = ["CarrierTrack", "track_carrier"]

_MOST_PASSES = 6
_CONVERGED = 0.002  # squared change of phase, over the noise that a symbol turns by anyway
_LEAST_NOISE = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CarrierTrack:
    """How the equalised symbols of frames were turned and scaled, and how noisy they are.

    Attributes:
        correction: What each symbol is multiplied with, (..., num_symbols), complex64.
        drift: Phase that the frequency left over adds per symbol [rad], (...).
        noise_variance: Total complex variance of the error of corrected symbols, (...).
    """

    correction: NDArray[np.complex64]
    drift: NDArray[np.float64]
    noise_variance: NDArray[np.float64]


def track_carrier(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    constellation: Constellation,
    *,
    noise_variance: NDArray[np.float64] | float,
    frequency_variance: NDArray[np.float64] | float,
) -> CarrierTrack:
    """Return the correction of the symbols of frames alike.

    Args:
        symbols: All symbols of each frame, equalised, (..., num_symbols).
        positions: Of the known ones, (num_known,), ascending.
        values: What those are, (num_known,).
        constellation: Of the other ones.
        noise_variance: As the equaliser predicts it, (...) or a number.
        frequency_variance: Of the carrier offset that is left [(rad per symbol)^2], (...) or a
            number.
    """
    shape = symbols.shape
    symbols = np.ascontiguousarray(symbols.reshape(-1, shape[-1]))
    predicted = each_frame(noise_variance, len(symbols))
    noise = np.maximum(predicted, _LEAST_NOISE)
    tracked = track_known_phase(
        symbols, positions, values, noise_variance=noise, frequency_variance=frequency_variance
    )
    known = np.zeros(shape[-1], bool)
    known[positions] = True
    gain = _known_gain(symbols, positions, values, tracked)
    # Between the pilots, phase noise leaves an uncertainty that decisions must allow for at first.
    gap = float((positions[1:] - positions[:-1]).max(initial=1))
    wander = tracked.walk.step_variance / PHASE_BLOCK * gap / 6.0
    assumed = noise + wander
    correction, points = correct_symbols(symbols, tracked, gain)
    drift = tracked.walk.drift.copy()
    running = np.arange(len(symbols))
    for _ in range(_MOST_PASSES):
        before = tracked.walk
        means, uncertainty, energy = posterior_moments(
            points, constellation, noise_variance=assumed
        )
        uncertain = with_known(means, uncertainty, energy, positions, values)
        part = noise[running]
        tracked = refine_phase(points, means, uncertainty, known, tracked, noise_variance=part)
        turns, points = correct_symbols(symbols, tracked, gain)
        correction[running], drift[running] = turns, tracked.walk.drift
        # Uncertain decisions understate their own errors: they count as far as they are certain.
        certain = 1.0 - np.minimum(uncertain * 2.0 / part, 1.0)
        measured = (
            certain * mean_errors(points, means, energy) + (1.0 - certain) * predicted[running]
        )
        assumed = np.maximum(measured, _LEAST_NOISE)
        noise[running] = assumed
        # Frames whose phase has come to rest are done.
        moved = _moved(before, tracked.walk) >= _CONVERGED * assumed
        if not moved.any():
            break
        if not moved.all():
            running, points, assumed = running[moved], points[moved], assumed[moved]
            symbols, gain = symbols[moved], gain[moved]
            tracked = tracked.select(moved)
    return CarrierTrack(
        correction=correction.reshape(shape),
        drift=(drift / PHASE_BLOCK).reshape(shape[:-1]),
        noise_variance=noise.reshape(shape[:-1]),
    )


def _known_gain(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    tracked: TrackedPhase,
) -> NDArray[np.float64]:
    """Return the gain of the known symbols along the tracked phase, (frames,); near 1."""
    turned = symbols[:, positions] * np.exp(-1j * tracked.at(positions))
    gain = (turned * values.conj()).real.sum(-1) / np.square(np.abs(values)).sum()
    clipped: NDArray[np.float64] = np.clip(gain, 0.5, 2.0)
    return clipped


def _moved(before: SmoothedWalk, after: SmoothedWalk) -> NDArray[np.float64]:
    """Return the mean squared change of the blocks' phases, (frames,)."""
    moved: NDArray[np.float64] = np.square(after.values - before.values).mean(-1)
    return moved
