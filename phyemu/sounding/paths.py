"""Super-resolution paths: delays common to all frames of a link, one complex gain per frame.

Model: H_n(f) = sum_p g_(n,p) e^(-j 2 pi f tau_p) + noise of known variance. Orthogonal matching
pursuit adds the delay at which all frames together explain most of what is left; after each
addition all delays move continuously (Gauss-Newton on the variable projection, Golub & Pereyra
1973, doi:10.1137/0710036) and all gains are fitted anew, so off-grid delays leave no skirts that
would pass for further paths. Where paths are within 2 / bandwidth of each other the fit has
several optima: there the steps go on until they gain nothing, and in the end each path is taken
out on trial and stays out if the others, moved anew, make up for it. It was chosen over SAGE, which
climbs to the same likelihood one path at a time and far slower when paths overlap, and over MUSIC,
whose order must be known and which fails on the coherent paths of a static channel.

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

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from phyemu.channel import ImpulseResponse
from phyemu.errors import ConfigError, SignalError
from phyemu.sounding.path_problem import (
    CROWDED,
    CROWDED_REFINEMENTS,
    GRID_OVERSAMPLING,
    PathProblem,
    circular_distance,
    frequency_weight,
    steering_vectors,
)

__all__ = ["PathModel", "extract_paths", "fit_gains"]

_REACH = 6.0  # how far from its neighbour a path may lie that crowded ones led to
_FINAL_REFINEMENTS = 12


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
        min_distance: To which paths may move towards each other, in 1 / bandwidth, > 0. Closer ones
            explain the response better, but share its power and fading among them.
    """

    max_paths: int
    dynamic_range_db: float
    false_path_rate: float
    ghost_lags_s: tuple[float, ...] = ()
    ghost_range_db: float = 20.0
    min_distance: float = 0.3


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
    problem = PathProblem(
        transfer, noise_variance, frequencies_hz, period_s, min_distance=model.min_distance
    )
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
    weight = frequency_weight(noise_variance)
    steering = steering_vectors(frequencies_hz, delays_s) * weight[:, None]
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


def _unwrapped(delays_s: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    """Return the delays ascending from behind the widest empty stretch of the circle."""
    ordered = np.sort(delays_s % period_s)
    gaps = np.diff(np.append(ordered, ordered[0] + period_s))
    start = (int(gaps.argmax()) + 1) % len(ordered)
    turned = np.concatenate([ordered[start:], ordered[:start] + period_s])
    # The first path lies near delay 0, not near one period.
    return turned - period_s * round(float(turned[0]) / period_s)


def _pursue(problem: PathProblem, model: PathModel) -> NDArray[np.float64]:
    """Return the delays of the paths, unordered; at least one."""
    independent = GRID_OVERSAMPLING * problem.num_frequencies
    threshold = float(stats.gamma.isf(model.false_path_rate / independent, problem.num_frames))
    range_ratio = 10.0 ** (-model.dynamic_range_db / 10.0)
    explained = problem.explained()
    first = float(explained.max())
    delays = problem.refined(problem.grid_s[[int(explained.argmax())]])
    limit = min(model.max_paths, max(1, problem.num_frequencies // 2))
    while len(delays) < limit:
        fit = problem.fitted(delays)
        explained = problem.explained(fit)
        _drop_ghosts(problem, explained, delays, fit.gains, model)
        apart = circular_distance(problem.grid_s[:, None], delays, problem.period_s).min(axis=1)
        explained[apart < problem.separation_s] = 0.0
        candidate = int(explained.argmax())
        if explained[candidate] < max(threshold, range_ratio * first):
            break
        delays = problem.refined(np.append(delays, problem.grid_s[candidate]))
    delays = problem.refined(delays, _FINAL_REFINEMENTS)
    delays = _pruned(problem, delays, threshold, range_ratio)
    return _settled(problem, delays, threshold)


def _drop_ghosts(
    problem: PathProblem,
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
            distance = circular_distance(problem.grid_s, np.float64(delay), problem.period_s)
            near = (distance < 1.0 / problem.bandwidth_hz) & (explained < limit)
            explained[near] = 0.0


def _pruned(
    problem: PathProblem, delays: NDArray[np.float64], threshold: float, range_ratio: float
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
        delays = problem.refined(delays)
    return delays


def _settled(
    problem: PathProblem, delays: NDArray[np.float64], threshold: float
) -> NDArray[np.float64]:
    """Return the delays after each path near crowded ones was taken out and the others moved.

    A path that was begun while others were off their places may hold them there: each then
    explains more than noise would, until one is gone. A path stays out when the fit, once the
    others have found their places, loses no more than noise alone would give a path.
    """
    fit = problem.fitted(delays)
    index = 0
    kept = 0
    while kept < len(delays) and problem.crowded(delays, CROWDED).any():
        index %= len(delays)
        kept += 1
        if problem.crowded(delays, _REACH)[index]:
            rest = np.delete(delays, index)
            without = problem.fitted(problem.refined(rest, CROWDED_REFINEMENTS))
            if without.cost - fit.cost < threshold:
                delays, fit, kept = without.delays_s, without, 0
                continue
        index += 1
    return delays
