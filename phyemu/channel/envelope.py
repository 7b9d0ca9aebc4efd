"""Families of fading: how the amplitude of a path is distributed, whatever its phase does.

A gain g of power P behind Rician fading of factor K has the level u = F_K(|g|^2 / P), uniform over
0..1. Its amplitude is replaced by the u-quantile of another family of second moment P, its phase
is kept:

    g' = g / |g| * sqrt(P) Q(u),    Nakagami:   Q(u)^2 ~ Gamma(m, 1/m)
                                    log-normal: ln Q(u) ~ N(-sigma^2, sigma^2)

(the probability integral transform; with Gaussian parts behind it, a Gaussian copula: Nelsen 2006,
Sec. 2.9). The marginal is exact, and as the map is monotone and acts at each instant by itself,
continuity, Doppler and the correlation between paths stay nearly those of g.
"""

import math
from enum import StrEnum
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

__all__ = ["FadingFamily", "reshape_envelope"]

_SCORES = np.linspace(
    -8.0, 8.0, 4097
)  # normal scores of the levels u between which is interpolated
_NORMAL_K = 300.0  # from here on a Rician amplitude is Gaussian to 1 / K of its spread


class FadingFamily(StrEnum):
    """Distribution of a path's amplitude; `shape` is the parameter that the family needs."""

    RICIAN = "rician"
    """That of a steady part and a diffuse one, with the path's `k_factor`."""
    RAYLEIGH = "rayleigh"
    """That of a diffuse part alone: `k_factor` is 0."""
    NAKAGAMI = "nakagami"
    """Power gamma distributed; `shape` is m, > 0."""
    LOGNORMAL = "lognormal"
    """Logarithm normal; `shape` is the standard deviation of ln |g|, > 0."""

    @property
    def reshapes(self) -> bool:
        """Return whether the amplitude is other than that of Gaussian parts, and has a shape."""
        return self in (FadingFamily.NAKAGAMI, FadingFamily.LOGNORMAL)


def reshape_envelope(
    gains: Tensor, *, power: float, k_factor: float, family: FadingFamily, shape: float
) -> Tensor:
    """Return the gains of a Rician path with the amplitudes of another family.

    Args:
        gains: Gains of one path, any shape, complex128.
        power: Their mean power, > 0.
        k_factor: Rician K behind them, linear, finite, >= 0.
        family: A family that `reshapes`.
        shape: Its parameter.

    Returns:
        Gains like `gains`, of the same mean power.
    """
    before, after = (table.to(gains.device) for table in _table(k_factor, family, shape))
    level = torch.log((gains.abs().square() / power).clamp(min=1e-30))
    right = torch.bucketize(level, before).clamp(1, len(before) - 1)
    slope = (after[right] - after[right - 1]) / (before[right] - before[right - 1])
    # Past the ends of the table (8 standard deviations) the last slope goes on.
    reshaped = after[right - 1] + slope * (level - before[right - 1])
    return gains * torch.exp(0.5 * (reshaped - level))


@lru_cache(maxsize=256)
def _table(k_factor: float, family: FadingFamily, shape: float) -> tuple[Tensor, Tensor]:
    """Return ln of the Rician power and of the family's at the same levels, ascending."""
    before, after = _rician_log_power(k_factor), _log_power(family, shape)
    finite = np.isfinite(before) & np.isfinite(after)
    before, after = before[finite], after[finite]
    rising = np.concatenate([[True], np.diff(before) > 0])
    return torch.from_numpy(before[rising]), torch.from_numpy(after[rising])


def _rician_log_power(k_factor: float) -> NDArray[np.float64]:
    """Return ln |g|^2 of unit mean power at `_SCORES`."""
    if k_factor == 0:
        exponential: NDArray[np.float64] = np.log(-special.log_ndtr(-_SCORES))
        return exponential
    if k_factor > _NORMAL_K:
        spread = math.sqrt(0.5 / (1.0 + k_factor))
        # E|g| of a unit second moment: the square is 1 less the variance.
        normal: NDArray[np.float64] = 2.0 * np.log(math.sqrt(1.0 - spread**2) + spread * _SCORES)
        return normal
    # |g|^2 over half the diffuse power is chi-square with 2 degrees of freedom, not central. Its
    # inverse loses the level's digits near 1: beyond 6 standard deviations the table ends.
    inside = np.abs(_SCORES) <= 6.0
    square = special.chndtrix(special.ndtr(_SCORES[inside]), 2.0, 2.0 * k_factor)
    power: NDArray[np.float64] = np.full(len(_SCORES), np.nan)
    power[inside] = np.log(np.maximum(square, 1e-300) / (2.0 * (1.0 + k_factor)))
    return power


def _log_power(family: FadingFamily, shape: float) -> NDArray[np.float64]:
    """Return ln of the family's power of unit mean at `_SCORES`."""
    if family is FadingFamily.LOGNORMAL:
        return 2.0 * shape * (_SCORES - shape)
    upper = special.gammainccinv(shape, special.ndtr(-_SCORES))
    lower = special.gammaincinv(shape, special.ndtr(_SCORES))
    with np.errstate(divide="ignore"):  # a power that underflows ends the table
        power: NDArray[np.float64] = np.log(np.where(_SCORES > 0, upper, lower) / shape)
    return power
