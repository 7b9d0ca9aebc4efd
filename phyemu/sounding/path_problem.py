"""Paths at given delays against the responses of all frames: their fit, and how it moves.

The variable projection of Golub & Pereyra (1973, doi:10.1137/0710036): gains follow from the delays
by least squares, so only the delays are moved, by Gauss-Newton steps. All is whitened: costs and
energies are in units of the noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = [
    "CROWDED",
    "CROWDED_REFINEMENTS",
    "GRID_OVERSAMPLING",
    "PathFit",
    "PathProblem",
    "circular_distance",
    "frequency_weight",
    "steering_vectors",
]

GRID_OVERSAMPLING = 4
_MIN_SEPARATION = 0.7  # of a new path from the others, in 1 / bandwidth
CROWDED = 2.0  # paths closer than this overlap: their fit has more than one optimum
_REFINEMENTS = 3
CROWDED_REFINEMENTS = 20
_CONVERGED = 1e-4  # what a further step would explain, in units of the noise
_MAX_FRAMES_FOR_DELAYS = 256
_FRAMES_IN_CACHE = 16


def frequency_weight(noise_variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / standard deviation over frequency, with unit mean square, (F,)."""
    shape = (noise_variance / noise_variance.mean(axis=1, keepdims=True)).mean(axis=0)
    weight: NDArray[np.float64] = 1.0 / np.sqrt(shape)
    return weight / math.sqrt(float(np.mean(np.square(weight))))


def steering_vectors(
    frequencies_hz: NDArray[np.float64], delays_s: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return exp(-j 2 pi f tau), (F, P)."""
    steering: NDArray[np.complex128] = np.exp(-2j * np.pi * np.outer(frequencies_hz, delays_s))
    return steering


def circular_distance(
    a: NDArray[np.float64], b: NDArray[np.float64] | np.float64, period_s: float
) -> NDArray[np.float64]:
    distance = np.abs(a - b) % period_s
    return np.minimum(distance, period_s - distance)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PathFit:
    """Paths at given delays: whitened steering (F, P) and its basis, gains (N, P), what is left."""

    delays_s: NDArray[np.float64]
    steering: NDArray[np.complex128]
    basis: NDArray[np.complex128]
    gains: NDArray[np.complex128]
    cost: float


class PathProblem:
    """Whitened responses and what the pursuit asks of them."""

    def __init__(
        self,
        transfer: NDArray[np.complex64],
        noise_variance: NDArray[np.float64],
        frequencies_hz: NDArray[np.float64],
        period_s: float,
        *,
        min_distance: float,
    ) -> None:
        if len(transfer) > _MAX_FRAMES_FOR_DELAYS:
            chosen = np.linspace(0, len(transfer) - 1, _MAX_FRAMES_FOR_DELAYS).astype(int)
            transfer, noise_variance = transfer[chosen], noise_variance[chosen]
        self.weight = frequency_weight(noise_variance)
        # The variance of `observed` is 1 on average over the frequencies.
        level = (noise_variance * np.square(self.weight)).mean(axis=1, keepdims=True)
        self.observed = (transfer * self.weight / np.sqrt(level)).astype(np.complex128)
        self.frequencies_hz = frequencies_hz
        self.period_s = period_s
        self.num_frames, self.num_frequencies = transfer.shape
        spacing = 1.0 / period_s
        self._index = np.round(frequencies_hz / spacing).astype(np.int64)
        span = int(np.ptp(self._index)) + 1
        self.bandwidth_hz = span * spacing
        self.separation_s = _MIN_SEPARATION / self.bandwidth_hz
        self.distance_s = min_distance / self.bandwidth_hz
        self._size = fft.next_fast_len(GRID_OVERSAMPLING * span)
        self._energy = float(np.square(np.abs(self.observed)).sum())
        self._observed_seen = self._seen(self.observed)
        self.grid_s = np.arange(self._size).astype(np.float64) * (period_s / self._size)

    def steering(self, delays_s: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return the whitened steering vectors, (F, P)."""
        return steering_vectors(self.frequencies_hz, delays_s) * self.weight[:, None]

    def fitted(self, delays_s: NDArray[np.float64]) -> "PathFit":
        """Return the best gains of paths at these delays."""
        steering = self.steering(delays_s)
        basis, triangle = np.linalg.qr(steering)
        projected = self.observed @ basis.conj()
        return PathFit(
            delays_s=delays_s,
            steering=steering,
            basis=basis,
            gains=np.linalg.solve(triangle, projected.T).T,
            cost=self._energy - float(np.square(np.abs(projected)).sum()),
        )

    def explained(self, fit: "PathFit | None" = None) -> NDArray[np.float64]:
        """Return the energy that one more path at each delay of the grid would explain, (G,).

        What is seen of the residual at a delay is what is seen of the observation less what is
        seen of the paths: no residual is formed, and only the paths are transformed anew.
        """
        seen = np.zeros((0, self._size), np.complex64)
        if fit is not None:
            seen = self._seen(fit.steering.T)
        energy: NDArray[np.float64] = np.zeros(self._size)
        for first in range(0, self.num_frames, _FRAMES_IN_CACHE):
            rows = slice(first, first + _FRAMES_IN_CACHE)
            left = self._observed_seen[rows]
            if fit is not None:
                left = left - fit.gains[rows].astype(np.complex64) @ seen
            energy += (np.square(left.real) + np.square(left.imag)).sum(axis=0)
        energy /= self.num_frequencies
        return energy

    def _seen(self, values: NDArray[np.complex128]) -> NDArray[np.complex64]:
        """Return the match of whitened responses (n, F) with a path at each delay, (n, G)."""
        grid = np.zeros((len(values), self._size), np.complex64)
        grid[:, self._index % self._size] = values * self.weight
        seen: NDArray[np.complex64] = fft.ifft(grid, axis=1, norm="forward", overwrite_x=True)
        return seen

    def _apart(
        self, trial: NDArray[np.float64], before: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return `trial` with the members of every pair that came too close put back."""
        for _ in range(len(trial)):
            distance = circular_distance(trial[:, None], trial, self.period_s)
            np.fill_diagonal(distance, np.inf)
            close = (distance < self.distance_s).any(axis=1) & (trial != before)
            if not close.any():
                break
            trial = np.where(close, before, trial)
        return trial

    def crowded(self, delays_s: NDArray[np.float64], reach: float) -> NDArray[np.bool_]:
        """Return which paths have a neighbour within `reach` / bandwidth, (P,)."""
        distance = circular_distance(delays_s[:, None], delays_s, self.period_s)
        np.fill_diagonal(distance, np.inf)
        close: NDArray[np.bool_] = distance < reach / self.bandwidth_hz
        return np.asarray(close.any(axis=1))

    def refined(
        self, delays_s: NDArray[np.float64], steps: int = _REFINEMENTS
    ) -> NDArray[np.float64]:
        """Return the delays after so many Gauss-Newton steps; at least 20 if paths are crowded.

        A step that would explain the data worse is shortened; paths that it would bring closer to
        each other than 0.3 / bandwidth stay where they are.
        """
        if self.crowded(delays_s, CROWDED).any():
            steps = max(steps, CROWDED_REFINEMENTS)
        fit = self.fitted(delays_s)
        damping = 1.0
        for _ in range(steps):
            delays_s = fit.delays_s
            derivative = fit.steering * (-2j * np.pi * self.frequencies_hz)[:, None]
            free = derivative - fit.basis @ (fit.basis.conj().T @ derivative)
            correlation = fit.gains.conj().T @ fit.gains
            normal = ((free.conj().T @ free) * correlation).real
            # The residual against the derivative, without forming the residual.
            against = self.observed @ derivative.conj()
            against -= fit.gains @ (fit.steering.T @ derivative.conj())
            slope = (fit.gains.conj() * against).sum(axis=0).real
            ridge = 1e-9 * np.trace(normal) / len(normal) * np.eye(len(normal))
            step = np.linalg.solve(normal + ridge, slope)
            if float(step @ slope) < _CONVERGED:
                break
            limit = 0.25 / self.bandwidth_hz
            trial = delays_s + damping * np.clip(step, -limit, limit)
            trial = self._apart(trial, delays_s)
            trial_fit = self.fitted(trial)
            if trial_fit.cost > fit.cost:
                damping *= 0.25
                if damping < 1e-3:
                    break
                continue
            damping = min(1.0, 2.0 * damping)
            moved = float(np.abs(trial - delays_s).max())
            fit = trial_fit
            if moved < 1e-6 / self.bandwidth_hz:
                break
        return fit.delays_s
