"""Uncertainty of powers and K factors: the fit repeated on resampled stretches of the record."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from phyemu.fitting.interval import Interval
from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink, fit_rician_link
from phyemu.sounding.path_problem import steering_vectors

__all__ = ["LinkUncertainty", "band_delay_spread_s", "resample_link"]

_ITERATIONS = 40
_MAX_FRAMES = 2000
_SMALL_K = 0.05
_MIN_FRAMES = 3
_MIN_WORTH = 4.0  # two blocks; of fewer, every resample is the record itself


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinkUncertainty:
    """Confidence intervals of 95 %, each (P,) long.

    Attributes:
        powers: Of the paths' shares of the power.
        gains: Of the paths' mean powers.
        k_factor: Of the K factors.
        delay_spread_s: RMS delay spread of the mean power delay profile, one interval.
    """

    powers: tuple[Interval, ...]
    gains: tuple[Interval, ...]
    k_factor: tuple[Interval, ...]
    delay_spread_s: Interval


def resample_link(
    paths: PathGains,
    link: RicianLink,
    *,
    frequencies_hz: NDArray[np.float64],
    effective_frames: float,
    num_resamples: int,
    rng: np.random.Generator,
) -> LinkUncertainty:
    """Return the intervals from a circular block bootstrap (Politis, Romano 1992).

    Blocks are two memories of the fading long. The spread of the logarithms is scaled by Student's
    t of the effective frames, as a handful of blocks resamples too little of the tails. A record
    worth fewer than four frames has no two blocks, and its intervals are unknown.

    Args:
        paths: Measured gains.
        link: The fit whose uncertainty is asked for.
        frequencies_hz: Frequencies of the measurement, (F,) [Hz].
        effective_frames: Independent frames that the record is worth.
        num_resamples: Repetitions of the fit.
        rng: Source of the resampling; it is advanced.
    """
    count = len(paths.gains)
    if count < _MIN_FRAMES or effective_frames < _MIN_WORTH:
        return _unknown(link, band_delay_spread_s(paths, frequencies_hz))
    block = min(count, max(1, math.ceil(2.0 * count / effective_frames)))
    if effective_frames >= 0.9 * count:
        block = 1
    powers, k_factors, spreads_s = [], [], []
    correlated = bool(np.abs(link.covariance - np.diag(np.diag(link.covariance))).max() > 0)
    everywhere = np.ones(paths.num_paths, bool)
    for _ in range(num_resamples):
        starts = rng.integers(count, size=math.ceil(min(count, _MAX_FRAMES) / block))
        index = ((starts[:, None] + np.arange(block)) % count).ravel()[:count]
        resampled = paths.select(index)
        spreads_s.append(band_delay_spread_s(resampled, frequencies_hz))
        again = fit_rician_link(
            resampled,
            specular=everywhere,
            correlated=correlated,
            start=link if np.all(link.specular != 0) else None,
            max_iterations=_ITERATIONS,
        )
        powers.append(again.powers)
        k_factors.append(again.k_factor)
    gains = np.array(powers)
    # Fewer than count frames were drawn when the record is very long: scale the spread back.
    used = min(1.0, math.sqrt(min(count, _MAX_FRAMES) / count))
    freedom = max(effective_frames - 1.0, 1.0)
    wide = float(special.stdtrit(freedom, 0.975)) * used
    shares = gains / gains.sum(axis=1, keepdims=True)
    total = float(link.powers.sum())
    return LinkUncertainty(
        powers=_logarithmic(shares, link.powers / total, wide, ceiling=1.0),
        gains=_logarithmic(gains, link.powers, wide),
        k_factor=_of_k(np.array(k_factors), link, wide),
        delay_spread_s=_logarithmic(
            np.array(spreads_s)[:, None],
            np.array([band_delay_spread_s(paths, frequencies_hz)]),
            wide,
        )[0],
    )


def _unknown(link: RicianLink, delay_spread_s: float) -> LinkUncertainty:
    """Return the intervals of a record that has nothing to resample."""
    total = float(link.powers.sum())
    return LinkUncertainty(
        powers=tuple(Interval(value=power / total) for power in link.powers.tolist()),
        gains=tuple(Interval(value=power) for power in link.powers.tolist()),
        k_factor=tuple(
            Interval(value=value, low=0.0, high=math.inf) for value in link.k_factor.tolist()
        ),
        delay_spread_s=Interval(value=delay_spread_s),
    )


def band_delay_spread_s(paths: PathGains, frequencies_hz: NDArray[np.float64]) -> float:
    """Return the RMS delay spread that the mean response shows over the band [s].

    With S the second moment of the gains less their noise and G_pq = mean over f of
    exp(-j 2 pi f (tau_p - tau_q)), the moments of the delay are sum_pq tau_p^a tau_q^b S_pq G_pq
    over a, b = 0, 1: those of the taps, also of taps that the band cannot part and that show as
    paths with a common fate. A sum of path powers would count what such paths take from one
    another.

    Args:
        paths: Measured gains.
        frequencies_hz: Frequencies of the measurement, (F,) [Hz].
    """
    delays_s = paths.delays_s - paths.delays_s[0]
    vectors = steering_vectors(frequencies_hz, delays_s)
    overlap = vectors.T @ vectors.conj() / len(frequencies_hz)
    second = paths.gains.T @ paths.gains.conj() / len(paths.gains)
    weights = ((second - paths.noise_shape * paths.noise_level.mean()) * overlap).real
    total = float(weights.sum())
    if total <= 0:
        return 0.0
    mean = float(delays_s @ weights.sum(axis=1)) / total
    square = float(delays_s @ weights @ delays_s) / total
    return math.sqrt(max(square - mean**2, 0.0))


def _logarithmic(
    resampled: NDArray[np.float64],
    values: NDArray[np.float64],
    wide: float,
    *,
    ceiling: float = math.inf,
) -> tuple[Interval, ...]:
    spread = np.log(np.maximum(resampled, 1e-300)).std(axis=0)
    return tuple(
        Interval(
            value=value,
            low=value * math.exp(-wide * std),
            high=min(ceiling, value * math.exp(min(wide * std, 50.0))),
        )
        for value, std in zip(values.tolist(), spread.tolist(), strict=True)
    )


def _of_k(resampled: NDArray[np.float64], link: RicianLink, wide: float) -> tuple[Interval, ...]:
    """Return intervals of K; where no specular part was supported they begin at 0."""
    intervals = []
    for path, value in enumerate(link.k_factor.tolist()):
        column = resampled[:, path]
        spread = float(np.log(column + _SMALL_K).std())
        if link.specular[path] == 0:
            low, high = 0.0, float(np.quantile(column, 0.975))
        else:
            low = max(0.0, (value + _SMALL_K) * math.exp(-wide * spread) - _SMALL_K)
            high = (value + _SMALL_K) * math.exp(min(wide * spread, 50.0)) - _SMALL_K
        intervals.append(Interval(value=value, low=low, high=high))
    return tuple(intervals)
