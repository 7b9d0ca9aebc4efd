"""Stretches of a frame whose noise stands out: bursts of interference, fades, clipped samples.

One variance for all of a frame makes the posteriors of such a stretch far too sure of themselves.
The errors of the symbols, averaged over blocks, show where it is; the variance there is the most
likely one of the mixture that points and noise are (expectation maximisation; Dempster, Laird and
Rubin, J. R. Stat. Soc. B 39(1), 1977). Where nothing stands out, nothing changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import Constellation
from phyemu.waveform.phase_tracking import posterior_moments
from phyemu.waveform.posterior_kernel import mean_errors

__all__ = ["NOISE_BLOCK", "Disturbance", "disturbance_of"]

NOISE_BLOCK = 32
"""Symbols over which the noise is taken as constant."""

_STANDS_OUT = 7.0  # standard deviations of a block's mean error
_LEAST_RISE = 2.0  # of a block's variance over the frame's
_DEAF = 10.0  # the same, of a block that says nothing of the carrier
_LEAST_BLOCKS = 8  # fewer show no level to stand out of
_LEAST_NOISE = 1e-9
# Of the symbols' power: what is left of a signal without noise varies, and costs no decision.
_LEAST_LEVEL = 1e-4
_STEPS = 12


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Disturbance:
    """Noise of the payload symbols that were received.

    Attributes:
        variances: Total complex variance of the error of each, (num_received,), float32.
        disturbed: Which of them lie where the noise stands out, (num_received,).
    """

    variances: NDArray[np.float32]
    disturbed: NDArray[np.bool_]

    @property
    def deafening(self) -> NDArray[np.bool_]:
        """Which of them say nothing of the carrier's phase, (num_received,)."""
        loud: NDArray[np.bool_] = self.variances > _DEAF * self.variances.min()
        return loud


def disturbance_of(
    points: NDArray[np.complex64],
    errors: NDArray[np.floating],
    constellation: Constellation,
    *,
    noise_variance: float,
) -> Disturbance | None:
    """Return where the noise of a payload stands out, and how much; None where it does nowhere.

    Args:
        points: Payload symbols as received, the carrier undone, (num_received,).
        errors: Squared distance of each from the nearest point of the constellation.
        constellation: What was sent.
        noise_variance: Total complex variance of the error of `points`, taken as the same all over.
    """
    num_blocks = len(points) // NOISE_BLOCK
    if num_blocks < _LEAST_BLOCKS:
        return None
    # What is left at the end goes with the last whole block.
    starts = np.arange(num_blocks) * NOISE_BLOCK
    sizes = np.diff(np.append(starts, len(points)))
    levels = np.add.reduceat(errors, starts) / sizes
    squares = np.add.reduceat(np.square(errors), starts) / sizes
    usual = float(np.median(levels))
    spread = float(np.sqrt(np.median(np.maximum(squares - levels**2, 0.0)) / NOISE_BLOCK))
    least = max(usual + _STANDS_OUT * spread, _LEAST_LEVEL * constellation.mean_power)
    candidates = np.flatnonzero(levels > least)
    if not len(candidates):
        return None
    quiet = np.ones(len(points), bool)
    for block in candidates:
        quiet[starts[block] : starts[block] + sizes[block]] = False
    # The frame's variance, without those that stand out.
    ours = _most_likely(points[quiet][None], constellation, start=np.array([noise_variance]))[0]
    variances = np.full(len(points), ours, np.float32)
    disturbed = np.zeros(len(points), bool)
    for block in candidates:
        part = slice(starts[block], starts[block] + sizes[block])
        mine = points[part]
        # From above, where every symbol is as likely as any other: decisions are not trusted yet.
        most = float(np.mean(np.square(np.abs(mine)))) + constellation.mean_power
        variance = _most_likely(mine[None], constellation, start=np.array([most]))[0]
        if variance > _LEAST_RISE * ours:
            variances[part], disturbed[part] = variance, True
    return Disturbance(variances=variances, disturbed=disturbed) if disturbed.any() else None


def _most_likely(
    points: NDArray[np.complex64], constellation: Constellation, *, start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the variance under which points are most likely, each row on its own, (rows,)."""
    variance = np.maximum(start, _LEAST_NOISE)
    for _ in range(_STEPS):
        means, _, energy = posterior_moments(points, constellation, noise_variance=variance)
        variance = np.maximum(mean_errors(points, means, energy), _LEAST_NOISE)
    return variance
