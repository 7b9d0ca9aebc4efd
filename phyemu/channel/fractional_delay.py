"""Fractional delays by windowed-sinc interpolation, the same filters in both executors.

x(n - d) = sum over k of h(k - d) x[n - k],  h(t) = sinc(t) w(t), w a Kaiser window of 32 samples.
Within +-0.42 of the sample rate the response deviates from the ideal delay by less than -70 dB.
"""

import math
from functools import cache, lru_cache

import torch
from torch import Tensor

__all__ = ["delay_filters", "interpolator"]

NUM_TAPS = 32
_BETA = 7.6
# A delay nearer than this to the grid [samples] takes one tap, exactly.
_GRID_TOLERANCE = 1e-6
# Table of the interpolator over fractions -MARGIN ... 1 + MARGIN.
TABLE_STEPS = 2048
TABLE_MARGIN = 128


def interpolator(offsets: Tensor) -> Tensor:
    """Return h(t) at `offsets` t [samples], any shape, float64; 0 from |t| = 16 on."""
    t = offsets.double()
    half = NUM_TAPS / 2
    inside = (1 - (t / half).square()).clamp(min=0)
    window = torch.special.i0(_BETA * inside.sqrt()) / torch.special.i0(
        torch.tensor(_BETA, dtype=torch.float64, device=t.device)
    )
    values: Tensor = torch.sinc(t) * window * (t.abs() < half)
    return values


def delay_filters(delays_samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the filters that delay by `delays_samples`, over their common lags.

    Args:
        delays_samples: Delays [samples], (path,), float64, any sign.

    Returns:
        (lags, filters): ascending lags (lag,) int64, those that any path needs; and real filters
        (path, lag) float64, so that x(n - d_p) = sum over lags of filters[p] x[n - lags]; read
        only, as the filters of the latest delays are kept.
    """
    return _delay_filters(tuple(delays_samples.detach().double().tolist()))


@lru_cache(maxsize=64)
def _delay_filters(delays_samples: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    delays = torch.tensor(delays_samples, dtype=torch.float64)
    nearest = delays.round()
    on_grid = (delays - nearest).abs() < _GRID_TOLERANCE
    needed: set[int] = set()
    for delay, near, exact in zip(delays.tolist(), nearest.tolist(), on_grid.tolist(), strict=True):
        if exact:
            needed.add(int(near))
        else:
            first = math.floor(delay) - NUM_TAPS // 2 + 1
            needed.update(range(first, first + NUM_TAPS))
    lags = torch.tensor(sorted(needed), dtype=torch.int64)
    offsets = lags.double()[None, :] - torch.where(on_grid, nearest, delays)[:, None]
    filters = torch.where(on_grid[:, None], (offsets == 0).double(), interpolator(offsets))
    return lags, filters


@cache
def interpolator_table() -> Tensor:
    """Return h(l - f) of taps l = -15 ... 16, a row per fraction f, (rows, 32) float64.

    Row r is the fraction (r - TABLE_MARGIN) / TABLE_STEPS; linear interpolation between rows errs
    by less than (pi / TABLE_STEPS)^2 / 8 = 3e-7.
    """
    rows = torch.arange(TABLE_STEPS + 2 * TABLE_MARGIN + 1, dtype=torch.float64)
    fractions = (rows - TABLE_MARGIN) / TABLE_STEPS
    taps = torch.arange(NUM_TAPS, dtype=torch.float64) - NUM_TAPS // 2 + 1
    return interpolator(taps[None, :] - fractions[:, None])
