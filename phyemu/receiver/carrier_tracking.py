"""Carrier phase, gain and noise of the equalised symbols of a frame."""

from dataclasses import dataclass
from typing import Any

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
from phyemu.waveform.posterior_kernel import mean_errors

__all__ = ["CarrierTrack", "carrier_drift", "track_carrier"]

_MOST_PASSES = 6
_CONVERGED = 0.002  # squared change of phase, over the noise that a symbol turns by anyway
_LEAST_NOISE = 1e-9
_DRIFT_STEP = 16  # symbols between phases that are looked at


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
    ignored: NDArray[np.bool_] | None = None,
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
        ignored: Symbols that say nothing, (num_symbols,), none of them known: erased, or lost in
            interference. The phase goes on below them.
    """
    shape = symbols.shape
    if ignored is not None and ignored.any():
        symbols = np.where(ignored, np.complex64(0), symbols)
    else:
        ignored = None
    share = 1.0 if ignored is None else shape[-1] / np.count_nonzero(~ignored)
    symbols = symbols.reshape(-1, shape[-1])
    predicted = np.broadcast_to(np.asarray(noise_variance, np.float64), shape[:-1]).reshape(-1)
    frequency = np.broadcast_to(np.asarray(frequency_variance, np.float64), shape[:-1]).reshape(-1)
    noise = np.maximum(predicted, _LEAST_NOISE)
    tracked = track_known_phase(
        symbols, positions, values, noise_variance=noise, frequency_variance=frequency
    )
    known = np.zeros(shape[-1], bool)
    known[positions] = True
    if ignored is not None:
        known[ignored] = True  # they are not counted among the unknown ones, and score nothing
    gain = _known_gain(symbols, positions, values, tracked)
    # Between the pilots, phase noise leaves an uncertainty that decisions must allow for at first.
    gap = float(np.diff(positions).max(initial=1))
    wander = tracked.walk.step_variance / PHASE_BLOCK * gap / 6.0
    assumed = noise + wander
    correction = _correction(tracked, gain)
    drift = tracked.walk.drift.copy()
    running = np.arange(len(symbols))
    points: NDArray[np.complex64] = symbols * correction
    for _ in range(_MOST_PASSES):
        before = tracked.phase
        means, uncertainty, energy = posterior_moments(
            points, constellation, noise_variance=assumed
        )
        means[:, positions] = values
        uncertainty[:, positions] = 0.0
        energy[:, positions] = np.square(np.abs(values))
        if ignored is not None:
            means[:, ignored], uncertainty[:, ignored], energy[:, ignored] = 0.0, 0.0, 0.0
        part = noise[running]
        tracked = refine_phase(points, means, uncertainty, known, tracked, noise_variance=part)
        turns = _correction(tracked, gain[running])
        correction[running] = turns
        drift[running] = tracked.walk.drift
        points = symbols[running] * turns
        # Uncertain decisions understate their own errors: they count as far as they are certain.
        certain = 1.0 - np.minimum(share * _row_means(uncertainty) * 2.0 / part, 1.0)
        measured = (
            certain * share * mean_errors(points, means, energy)
            + (1.0 - certain) * predicted[running]
        )
        assumed = np.maximum(measured, _LEAST_NOISE)
        noise[running] = assumed
        # Frames whose phase has come to rest are done.
        moved = _row_means(np.square(tracked.phase - before)) >= _CONVERGED * assumed
        if not moved.any():
            break
        if not moved.all():
            running, points, assumed = running[moved], points[moved], assumed[moved]
            tracked = tracked.select(moved)
    return CarrierTrack(
        correction=correction.reshape(shape),
        drift=(drift / PHASE_BLOCK).reshape(shape[:-1]),
        noise_variance=noise.reshape(shape[:-1]),
    )


def carrier_drift(track: CarrierTrack) -> float:
    """Return the frequency over a frame's last quarter less that over its first [turns per symbol].

    Args:
        track: Of one frame.
    """
    phase = -np.unwrap(np.angle(track.correction[::_DRIFT_STEP]).astype(np.float64))
    quarter = len(phase) // 4
    if quarter < 1:
        return 0.0
    change = (phase[-1] - phase[-1 - quarter]) - (phase[quarter] - phase[0])
    return float(change / (2.0 * np.pi * quarter * _DRIFT_STEP))


def _row_means(values: NDArray[Any]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = values.mean(-1).astype(np.float64)
    return means


def _known_gain(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    tracked: TrackedPhase,
) -> NDArray[np.float64]:
    """Return the gain of the known symbols along the tracked phase, (frames,); near 1."""
    turned = symbols[:, positions] * np.exp(-1j * tracked.phase[:, positions])
    gain = (turned * values.conj()).real.sum(-1) / np.square(np.abs(values)).sum()
    clipped: NDArray[np.float64] = np.clip(gain, 0.5, 2.0)
    return clipped


def _correction(tracked: TrackedPhase, gain: NDArray[np.float64]) -> NDArray[np.complex64]:
    angles = tracked.phase.astype(np.float32)
    result = np.empty(angles.shape, np.complex64)
    np.cos(angles, out=result.real)
    np.sin(-angles, out=result.imag)
    result /= gain.astype(np.float32)[:, None]
    return result
