"""Carrier phase, gain and noise of the equalised symbols of a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import Constellation
from phyemu.waveform.phase_tracking import (
    PHASE_BLOCK,
    TrackedPhase,
    posterior_moments,
    refine_phase,
    track_known_phase,
)

__all__ = ["CarrierTrack", "track_carrier"]

_MOST_PASSES = 6
_CONVERGED = 0.002  # squared change of phase, over the noise that a symbol turns by anyway
_LEAST_NOISE = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CarrierTrack:
    """How the equalised symbols of a frame were turned and scaled, and how noisy they are.

    Attributes:
        correction: What each symbol is multiplied with, (num_symbols,), complex64.
        drift: Phase that the frequency left over adds per symbol [rad].
        noise_variance: Total complex variance of the error of corrected symbols.
    """

    correction: NDArray[np.complex64]
    drift: float
    noise_variance: float


def track_carrier(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    constellation: Constellation,
    *,
    noise_variance: float,
    frequency_variance: float,
) -> CarrierTrack:
    """Return the correction of a frame's symbols.

    Args:
        symbols: All symbols of a frame, equalised, (num_symbols,).
        positions: Of the known ones, (num_known,), ascending.
        values: What those are, (num_known,).
        constellation: Of the other ones.
        noise_variance: As the equaliser predicts it.
        frequency_variance: Of the carrier offset that is left [(rad per symbol)^2].
    """
    noise = max(noise_variance, _LEAST_NOISE)
    tracked = track_known_phase(
        symbols, positions, values, noise_variance=noise, frequency_variance=frequency_variance
    )
    known = np.zeros(len(symbols), bool)
    known[positions] = True
    gain = _known_gain(symbols, positions, values, tracked)
    # Between the pilots, phase noise leaves an uncertainty that decisions must allow for at first.
    gap = float(np.diff(positions).max(initial=1))
    wander = tracked.walk.step_variance / PHASE_BLOCK * gap / 6.0
    assumed = noise + wander
    correction = _correction(tracked, gain)
    points: NDArray[np.complex64] = symbols * correction
    for _ in range(_MOST_PASSES):
        before = tracked.phase
        means, uncertainty, energy = posterior_moments(
            points, constellation, noise_variance=assumed
        )
        means[positions] = values
        uncertainty[positions] = 0.0
        energy[positions] = np.square(np.abs(values))
        tracked = refine_phase(points, means, uncertainty, known, tracked, noise_variance=noise)
        correction = _correction(tracked, gain)
        points = symbols * correction
        errors = np.square(np.abs(points)) + energy - 2.0 * (points * means.conj()).real
        # Uncertain decisions understate their own errors: they count as far as they are certain.
        certain = 1.0 - min(float(uncertainty.mean()) * 2.0 / noise, 1.0)
        measured = certain * float(errors.mean()) + (1.0 - certain) * noise_variance
        noise = max(measured, _LEAST_NOISE)
        assumed = noise
        if float(np.square(tracked.phase - before).mean()) < _CONVERGED * noise:
            break
    return CarrierTrack(
        correction=correction,
        drift=tracked.walk.drift / PHASE_BLOCK,
        noise_variance=noise,
    )


def _known_gain(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    tracked: TrackedPhase,
) -> float:
    """Return the gain of the known symbols along the tracked phase; near 1."""
    turned = symbols[positions] * np.exp(-1j * tracked.phase[positions])
    gain = float((turned * values.conj()).real.sum() / np.square(np.abs(values)).sum())
    return min(max(gain, 0.5), 2.0)


def _correction(tracked: TrackedPhase, gain: float) -> NDArray[np.complex64]:
    angles = tracked.phase.astype(np.float32)
    result = np.empty(len(angles), np.complex64)
    np.cos(angles, out=result.real)
    np.sin(-angles, out=result.imag)
    result /= np.float32(gain)
    return result
