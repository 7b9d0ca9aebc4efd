"""Carrier phase, gain and noise of the equalised symbols of a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import Constellation
from phyemu.waveform.compiled import kernel
from phyemu.waveform.phase_kernel import known_gain, turned_back
from phyemu.waveform.phase_tracking import PHASE_BLOCK, refine_phase, track_known_phase
from phyemu.waveform.posterior_kernel import mean_errors, moments, with_known

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
        points: The symbols times that, (..., num_symbols), complex64.
        drift: Phase that the frequency left over adds per symbol [rad], (...).
        noise_variance: Total complex variance of the error of corrected symbols, (...).
    """

    correction: NDArray[np.complex64]
    points: NDArray[np.complex64]
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
    rows = np.ascontiguousarray(symbols.reshape(-1, shape[-1]))
    silent = np.zeros(0, np.int64)
    if ignored is not None and ignored.any():
        silent = np.flatnonzero(ignored)
        rows = np.where(ignored, np.complex64(0), rows)
    coordinates = constellation.points.detach().numpy()
    known = np.zeros(shape[-1], bool)
    known[positions] = True
    known[silent] = True  # they are not counted among the unknown ones, and score nothing
    correction, points = np.empty_like(rows), np.empty_like(rows)
    drift, noise = np.empty(len(rows)), np.empty(len(rows))
    _follow(
        rows,
        positions,
        values,
        known,
        silent,
        np.ascontiguousarray(coordinates.real),
        np.ascontiguousarray(coordinates.imag),
        _each_frame(noise_variance, len(rows)),
        _each_frame(frequency_variance, len(rows)),
        correction,
        points,
        drift,
        noise,
    )
    if len(silent):
        points = symbols.reshape(-1, shape[-1]) * correction
    return CarrierTrack(
        correction=correction.reshape(shape),
        points=points.reshape(shape),
        drift=drift.reshape(shape[:-1]),
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


def _each_frame(value: NDArray[np.float64] | float, frames: int) -> NDArray[np.float64]:
    """Return a number as one of each frame, (frames,); what is of each already stays."""
    array = np.asarray(value, np.float64)
    return np.full(frames, array) if array.ndim == 0 else array.reshape(-1)


@kernel
def _follow(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    known: NDArray[np.bool_],
    silent: NDArray[np.int64],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    predicted: NDArray[np.float64],
    frequency_variance: NDArray[np.float64],
    correction: NDArray[np.complex64],
    points: NDArray[np.complex64],
    drift: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> None:
    """Write what `CarrierTrack` holds to the last four arguments, (frames, ...)."""
    # Between the pilots, phase noise leaves an uncertainty that decisions must allow for at first.
    gap = 1.0
    for index in range(1, len(positions)):
        gap = max(gap, float(positions[index] - positions[index - 1]))
    one = symbols[:1].shape
    nothing = np.zeros(len(silent), np.complex64)
    share = one[1] / (one[1] - len(silent))
    means, uncertainty = np.empty(one, np.complex64), np.empty(one, np.float32)
    energy = np.empty(one, np.float32)
    for frame in range(len(symbols)):
        part = slice(frame, frame + 1)
        mine, turned, turns = symbols[part], points[part], correction[part]
        level = np.full(1, max(predicted[frame], _LEAST_NOISE))
        phase, slope, step_variance = track_known_phase(
            mine, positions, values, level, frequency_variance[part]
        )
        gain = known_gain(mine, positions, values, phase, slope, PHASE_BLOCK)
        assumed = level[0] + step_variance[0] / PHASE_BLOCK * gap / 6.0
        turned_back(mine, phase, slope, gain, PHASE_BLOCK, turns, turned)
        for _ in range(_MOST_PASSES):
            before = phase
            moments(turned, np.full(1, np.float32(assumed)), x, y, means, uncertainty, energy)
            with_known(means, uncertainty, energy, silent, nothing)
            uncertain = share * with_known(means, uncertainty, energy, positions, values)[0]
            phase, slope, step_variance = refine_phase(
                turned, means, uncertainty, known, phase, slope, step_variance, level
            )
            turned_back(mine, phase, slope, gain, PHASE_BLOCK, turns, turned)
            # Uncertain decisions understate their own errors: they count as far as they are
            # certain.
            certain = 1.0 - min(uncertain * 2.0 / level[0], 1.0)
            measured = certain * share * mean_errors(turned, means, energy)[0]
            measured += (1.0 - certain) * predicted[frame]
            assumed = max(measured, _LEAST_NOISE)
            level[0] = assumed
            # A phase that has come to rest is done.
            moved = 0.0
            for block in range(phase.shape[1]):
                moved += (phase[0, block] - before[0, block]) ** 2
            if moved < _CONVERGED * assumed * phase.shape[1]:
                break
        drift[frame], noise[frame] = slope[0] / PHASE_BLOCK, level[0]
