"""Super-resolution paths: delays common to all frames of a link, one complex gain per frame.

Model: H_n(f) = sum_p g_(n,p) e^(-j 2 pi f tau_p) + noise of known variance. Orthogonal matching
pursuit adds the delay at which all frames together explain most of what is left; after each
addition all delays move continuously (Gauss-Newton on the variable projection, Golub & Pereyra
1973, doi:10.1137/0710036) and all gains are fitted anew, so off-grid delays leave no skirts that
would pass for further paths. It was chosen over SAGE, which climbs to the same likelihood one path
at a time and far slower when paths overlap, and over MUSIC, whose order must be known and which
fails on the coherent paths of a static channel.

Order: what is left at one delay, in units of the noise, summed over N frames, is Gamma(N)
distributed when nothing but noise is left. A path is added when the largest of the F independent
delays exceeds its (1 - false_path_rate) quantile; so the rate of false paths is stated, not tuned.
The criterion knows the noise only, so `dynamic_range_db` bounds what imperfect hardware may add.
Where that has a known place, it is looked at apart: phase noise within a period of the sounder
leaks power into neighbouring bins, and a Zadoff-Chu sequence that is a bin off looks late.

Resolution: two paths closer than about 1 / bandwidth are told apart by noise alone. None is begun
within 0.7 / bandwidth of another, but two may move as close as 0.3 / bandwidth when that explains
the data better: so two taps that nearly cancel are a pair of paths and not a row of them.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, stats

from phyemu.channel import ImpulseResponse
from phyemu.errors import ConfigError, SignalError

__all__ = ["PathModel", "extract_paths", "fit_gains"]

_GRID_OVERSAMPLING = 4
_MIN_SEPARATION = 0.7  # of a new path from the others, in 1 / bandwidth
_MIN_DISTANCE = 0.3  # to which paths may move, in 1 / bandwidth
_REFINEMENTS = 3
_FINAL_REFINEMENTS = 12
_MAX_FRAMES_FOR_DELAYS = 256
_FRAMES_IN_CACHE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class PathModel:
    """When a path counts.

    Attributes:
        max_paths: Most paths, >= 1.
        dynamic_range_db: Paths further below the strongest are left out [dB].
        false_path_rate: Probability that noise alone adds a path, 0..1 exclusive.
        ghost_lags_s: Where the probe shows a weak copy of each path when the carrier is unsteady
            within a period; a path there must be within `ghost_range_db` of its original [s].
        ghost_range_db: How far below its original a copy may reach [dB].
    """

    max_paths: int
    dynamic_range_db: float
    false_path_rate: float
    ghost_lags_s: tuple[float, ...] = ()
    ghost_range_db: float = 20.0


def extract_paths(
    transfer: NDArray[np.complex64],
    *,
    noise_variance: NDArray[np.float64],
    frequencies_hz: NDArray[np.float64],
    period_s: float,
    interval_s: float,
    model: PathModel,
) -> ImpulseResponse:
    """Return the paths common to all frames, delays ascending.

    Delays are known modulo `period_s`; the widest empty stretch of that circle is taken to lie
    before the first path, so the delays run from a little below 0 to less than a period.

    Args:
        transfer: Responses on a common delay axis, (N, F), complex.
        noise_variance: Total complex variance of the error of each value, (N, F), > 0.
        frequencies_hz: (F,), multiples of 1 / period_s, ascending; gaps are allowed [Hz].
        period_s: 1 / spacing of the frequencies [s].
        interval_s: Time between two frames, for the result [s].
        model: When a path counts.

    Returns:
        gains (N, P) as (time, path) and delays (P,).

    Raises:
        SignalError: Shapes that contradict each other, or values that are not finite.
        ConfigError: `max_paths` is not positive.
    """
    _check(transfer, noise_variance, frequencies_hz)
    if model.max_paths < 1:
        raise ConfigError(f"max_paths must be at least 1, got {model.max_paths}")
    problem = _Problem(transfer, noise_variance, frequencies_hz, period_s)
    delays = _pursue(problem, model)
    delays = _unwrapped(delays, period_s)
    gains = fit_gains(
        transfer, noise_variance=noise_variance, frequencies_hz=frequencies_hz, delays_s=delays
    )
    return ImpulseResponse(
        gains=torch.from_numpy(gains),
        delays_s=torch.from_numpy(delays),
        interval_s=interval_s,
    )


def fit_gains(
    transfer: NDArray[np.complex64],
    *,
    noise_variance: NDArray[np.float64],
    frequencies_hz: NDArray[np.float64],
    delays_s: NDArray[np.float64],
) -> NDArray[np.complex64]:
    """Return the weighted LS gains of paths at known delays, (N, P), complex64.

    Args:
        transfer: (N, F), complex.
        noise_variance: (N, F), > 0; its mean over frames weighs the frequencies.
        frequencies_hz: (F,) [Hz].
        delays_s: (P,), distinct, P <= F [s].

    Raises:
        SignalError: Shapes that contradict each other, or values that are not finite.
    """
    _check(transfer, noise_variance, frequencies_hz)
    weight = _frequency_weight(noise_variance)
    steering = _steering(frequencies_hz, delays_s) * weight[:, None]
    basis, triangle = np.linalg.qr(steering)
    solution = np.linalg.solve(triangle, ((transfer * weight) @ basis.conj()).T)
    gains: NDArray[np.complex64] = np.ascontiguousarray(solution.T).astype(np.complex64)
    return gains


def _check(
    transfer: NDArray[np.complex64],
    noise_variance: NDArray[np.float64],
    frequencies_hz: NDArray[np.float64],
) -> None:
    if transfer.ndim != 2 or transfer.size == 0 or transfer.shape[1:] != frequencies_hz.shape:
        raise SignalError(
            f"transfer must be (frames, frequencies), got {transfer.shape} with "
            f"{frequencies_hz.shape} frequencies"
        )
    if noise_variance.shape != transfer.shape:
        raise SignalError(
            f"noise_variance must have the shape of transfer, {transfer.shape}, "
            f"got {noise_variance.shape}"
        )
    if not np.isfinite(transfer).all() or not (noise_variance > 0).all():
        raise SignalError("transfer must be finite and noise_variance positive")


def _frequency_weight(noise_variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / standard deviation over frequency, with unit mean square, (F,)."""
    shape = (noise_variance / noise_variance.mean(axis=1, keepdims=True)).mean(axis=0)
    weight: NDArray[np.float64] = 1.0 / np.sqrt(shape)
    return weight / math.sqrt(float(np.mean(np.square(weight))))


def _steering(
    frequencies_hz: NDArray[np.float64], delays_s: NDArray[np.float64]
) -> NDArray[np.complex128]:
    steering: NDArray[np.complex128] = np.exp(-2j * np.pi * np.outer(frequencies_hz, delays_s))
    return steering


def _unwrapped(delays_s: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    """Return the delays ascending from behind the widest empty stretch of the circle."""
    ordered = np.sort(delays_s % period_s)
    gaps = np.diff(np.append(ordered, ordered[0] + period_s))
    start = (int(gaps.argmax()) + 1) % len(ordered)
    turned = np.concatenate([ordered[start:], ordered[:start] + period_s])
    # The first path lies near delay 0, not near one period.
    return turned - period_s * round(float(turned[0]) / period_s)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Fit:
    """Paths at given delays: whitened steering (F, P) and its basis, gains (N, P), what is left."""

    delays_s: NDArray[np.float64]
    steering: NDArray[np.complex128]
    basis: NDArray[np.complex128]
    gains: NDArray[np.complex128]
    cost: float


class _Problem:
    """Whitened responses and what the pursuit asks of them."""

    def __init__(
        self,
        transfer: NDArray[np.complex64],
        noise_variance: NDArray[np.float64],
        frequencies_hz: NDArray[np.float64],
        period_s: float,
    ) -> None:
        if len(transfer) > _MAX_FRAMES_FOR_DELAYS:
            chosen = np.linspace(0, len(transfer) - 1, _MAX_FRAMES_FOR_DELAYS).astype(int)
            transfer, noise_variance = transfer[chosen], noise_variance[chosen]
        self.weight = _frequency_weight(noise_variance)
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
        self.distance_s = _MIN_DISTANCE / self.bandwidth_hz
        self._size = fft.next_fast_len(_GRID_OVERSAMPLING * span)
        self._energy = float(np.square(np.abs(self.observed)).sum())
        self._observed_seen = self._seen(self.observed)
        self.grid_s = np.arange(self._size).astype(np.float64) * (period_s / self._size)

    def steering(self, delays_s: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return the whitened steering vectors, (F, P)."""
        return _steering(self.frequencies_hz, delays_s) * self.weight[:, None]

    def fitted(self, delays_s: NDArray[np.float64]) -> "_Fit":
        """Return the best gains of paths at these delays."""
        steering = self.steering(delays_s)
        basis, triangle = np.linalg.qr(steering)
        projected = self.observed @ basis.conj()
        return _Fit(
            delays_s=delays_s,
            steering=steering,
            basis=basis,
            gains=np.linalg.solve(triangle, projected.T).T,
            cost=self._energy - float(np.square(np.abs(projected)).sum()),
        )

    def explained(self, fit: "_Fit | None" = None) -> NDArray[np.float64]:
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
            distance = _circular_distance(trial[:, None], trial, self.period_s)
            np.fill_diagonal(distance, np.inf)
            close = (distance < self.distance_s).any(axis=1) & (trial != before)
            if not close.any():
                break
            trial = np.where(close, before, trial)
        return trial

    def refined(self, delays_s: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
        """Return the delays after Gauss-Newton steps.

        A step that would explain the data worse is shortened; paths that it would bring closer to
        each other than 0.3 / bandwidth stay where they are.
        """
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


def _pursue(problem: _Problem, model: PathModel) -> NDArray[np.float64]:
    """Return the delays of the paths, unordered; at least one."""
    independent = _GRID_OVERSAMPLING * problem.num_frequencies
    threshold = float(stats.gamma.isf(model.false_path_rate / independent, problem.num_frames))
    range_ratio = 10.0 ** (-model.dynamic_range_db / 10.0)
    explained = problem.explained()
    first = float(explained.max())
    delays = problem.refined(problem.grid_s[[int(explained.argmax())]], _REFINEMENTS)
    limit = min(model.max_paths, max(1, problem.num_frequencies // 2))
    while len(delays) < limit:
        fit = problem.fitted(delays)
        explained = problem.explained(fit)
        _drop_ghosts(problem, explained, delays, fit.gains, model)
        apart = _circular_distance(problem.grid_s[:, None], delays, problem.period_s).min(axis=1)
        explained[apart < problem.separation_s] = 0.0
        candidate = int(explained.argmax())
        if explained[candidate] < max(threshold, range_ratio * first):
            break
        delays = problem.refined(np.append(delays, problem.grid_s[candidate]), _REFINEMENTS)
    delays = problem.refined(delays, _FINAL_REFINEMENTS)
    return _pruned(problem, delays, threshold, range_ratio)


def _drop_ghosts(
    problem: _Problem,
    explained: NDArray[np.float64],
    delays: NDArray[np.float64],
    gains: NDArray[np.complex128],
    model: PathModel,
) -> None:
    """Set to zero what may be a copy of a path that is known, in place."""
    energy = np.square(np.abs(gains)).sum(axis=0) * problem.num_frequencies
    limits = energy * 10.0 ** (-model.ghost_range_db / 10.0)
    for lag_s in model.ghost_lags_s:
        for delay, limit in zip((delays + lag_s).tolist(), limits.tolist(), strict=True):
            distance = _circular_distance(problem.grid_s, np.float64(delay), problem.period_s)
            near = (distance < 1.0 / problem.bandwidth_hz) & (explained < limit)
            explained[near] = 0.0


def _pruned(
    problem: _Problem, delays: NDArray[np.float64], threshold: float, range_ratio: float
) -> NDArray[np.float64]:
    """Return the delays without those whose gain, all others known, is within the noise."""
    while len(delays) > 1:
        fit = problem.fitted(delays)
        gains = fit.gains
        inverse = np.linalg.inv(fit.steering.conj().T @ fit.steering)
        # Var g_p = [(A^H A)^-1]_pp in units of the noise: this is the energy lost without path p.
        lost = np.square(np.abs(gains)).sum(axis=0) / np.diag(inverse).real
        power = np.square(np.abs(gains)).sum(axis=0)
        weak = (lost < threshold) | (power < range_ratio * power.max())
        if not weak.any():
            return delays
        delays = np.delete(delays, int(np.where(weak, lost, np.inf).argmin()))
        delays = problem.refined(delays, _REFINEMENTS)
    return delays


def _circular_distance(
    a: NDArray[np.float64], b: NDArray[np.float64] | np.float64, period_s: float
) -> NDArray[np.float64]:
    distance = np.abs(a - b) % period_s
    return np.minimum(distance, period_s - distance)
