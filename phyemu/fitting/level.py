"""Carrier-to-noise density, and how the local mean of the power drifts.

C/N0 is taken once per record from sums over all frames (received power without the noise over the
noise), so that the noise of single frames neither biases nor widens it; small-scale fading stays in
the path gains. A model's C/N0 is that of path powers that sum to one. Paths that overlap in delay
or keep a fixed phase to one another interfere over a finite band, so their sum is not the power in
the band; the ratio of the two is known from the fit and divided out. Means of the power over blocks
much longer than the fading's memory vary more than fading allows only if the link itself drifts:
that surplus is the spread of C/N0.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phyemu.channel import Distribution
from phyemu.fitting.interval import Interval
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.path_gains import steering
from phyemu.fitting.rician_link import RicianLink

__all__ = ["LinkLevel", "level_out", "measure_level"]

# Independent ones; the longest first, as a drift of long blocks is not to be chased in short ones.
_FRAMES_PER_BLOCK = (math.inf, 20.0, 10.0, 5.0)
_MIN_BLOCKS = 4
_SIGNIFICANCE = 1e-3
_NEPER_DB = 10.0 / math.log(10.0)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinkLevel:
    """The level of a link.

    Attributes:
        received_power: Mean power over the band without the noise [full scale^2].
        gain: Sum of the mean path powers that receives it [full scale^2 over transmitted].
        explained: Share of the received power that the fitted paths hold, 0..1.
        cn0_dbhz: C/N0 of the received power [dB Hz] and its confidence interval.
        drift_db: Standard deviation of the local mean over the record [dB]; 0 where none shows.
        amplitude: What each frame is to be multiplied by to undo the drift, (N,).
    """

    received_power: float
    gain: float
    explained: float
    cn0_dbhz: Interval
    drift_db: float
    amplitude: NDArray[np.float64]

    def distribution(self) -> Distribution:
        """Return the distribution of C/N0 of unit path powers, small-scale fading aside."""
        value = self.cn0_dbhz.value + 10.0 * math.log10(self.gain / self.received_power)
        if self.drift_db == 0:
            return Distribution.constant(value)
        return Distribution(
            mean=value,
            std=self.drift_db,
            minimum=value - 3 * self.drift_db,
            maximum=value + 3 * self.drift_db,
        )


def level_out(
    frames: LinkFrames,
    link: RicianLink,
    *,
    delays_s: NDArray[np.float64],
    effective_frames: float,
) -> LinkLevel:
    """Return the level with the drift that blocks of the record show beyond fading.

    Args:
        frames: Frames of a link.
        link: Its fading, fitted as if there were no drift.
        delays_s: Delays of its paths, (P,) [s].
        effective_frames: Independent frames that the record is worth.
    """
    level = measure_level(frames, link, delays_s=delays_s, effective_frames=effective_frames)
    for size in _FRAMES_PER_BLOCK:
        drift = _drift(frames, link, level, effective_frames, size)
        if drift is not None:
            return replace(level, drift_db=drift[0], amplitude=drift[1])
    return level


def _drift(
    frames: LinkFrames,
    link: RicianLink,
    level: LinkLevel,
    effective_frames: float,
    frames_per_block: float,
) -> tuple[float, NDArray[np.float64]] | None:
    """Return (spread [dB], factors that undo it) for one block size, if significant."""
    power, mean_power = frames.received_power, level.received_power
    each = frames.num_frames / effective_frames
    blocks = []
    recordings = np.unique(frames.recording)
    for number in recordings:
        index = np.flatnonzero(frames.recording == number)
        count = max(1, int(len(index) / (each * frames_per_block)))
        blocks += np.array_split(index, count)
    if len(blocks) < _MIN_BLOCKS and len(recordings) < 2:
        return None
    means = np.array([float(power[block].mean()) for block in blocks])
    if (means <= 0).any():
        return None
    sizes = np.array([len(block) for block in blocks]) / each
    expected = _power_variance(frames, link, mean_power) * mean_power**2
    # Sum of squares over its expectation under fading alone: chi-square, roughly.
    surplus = float((np.square(means - mean_power) * sizes).sum()) / expected
    freedom = len(blocks) - 1
    if surplus < float(stats.chi2.isf(_SIGNIFICANCE, freedom)):
        return None
    amplitude = np.ones(frames.num_frames)
    for block, mean in zip(blocks, means, strict=True):
        amplitude[block] = math.sqrt(mean_power / mean)
    variance = float(np.var(np.log(means), ddof=1)) * (1.0 - freedom / surplus)
    return _NEPER_DB * math.sqrt(max(variance, 0.0)), amplitude


def measure_level(
    frames: LinkFrames,
    link: RicianLink,
    *,
    delays_s: NDArray[np.float64],
    effective_frames: float,
) -> LinkLevel:
    """Return the mean level, no drift allowed for.

    Args:
        frames: Frames of a link.
        link: Its fading, which bounds how well the mean power is known.
        delays_s: Delays of its paths, (P,) [s].
        effective_frames: Independent frames that the record is worth, >= 1.
    """
    vectors = steering(frames.frequencies_hz, delays_s)
    second = link.covariance + np.outer(link.specular, link.specular.conj())
    in_band = float(np.einsum("fp,pq,fq->f", vectors, second, vectors.conj()).real.mean())
    total = float(link.powers.sum())
    received = float(frames.received_power.mean())
    if received <= 0:  # noise only, as far as this band can tell
        received = in_band
    gain = received * total / in_band
    density = float(frames.noise_density.mean())
    value = 10.0 * math.log10(received / density)
    variance = _power_variance(frames, link, received) / effective_frames
    # The noise density itself: how it varies from frame to frame, or 1 % at least.
    variance += max(
        float(np.var(frames.noise_density)) / density**2 / max(frames.num_frames, 1), 1e-4
    )
    half = float(stats.t.ppf(0.975, max(effective_frames - 1.0, 1.0))) * math.sqrt(variance)
    return LinkLevel(
        received_power=received,
        gain=gain,
        explained=min(1.0, in_band / received),
        cn0_dbhz=Interval(
            value=value,
            low=value - _NEPER_DB * half,
            high=value + _NEPER_DB * half,
        ),
        drift_db=0.0,
        amplitude=np.ones(frames.num_frames),
    )


def _power_variance(frames: LinkFrames, link: RicianLink, received: float) -> float:
    """Return the variance of a frame's power over its squared mean: fading, then noise."""
    covariance, mean = link.covariance, link.specular
    total = float(link.powers.sum()) or 1.0
    fading = float(np.square(np.abs(covariance)).sum())
    fading += 2.0 * float((mean.conj() @ covariance @ mean).real)
    noise = float(frames.noise_variance.mean())
    count = len(frames.frequencies_hz)
    return fading / total**2 + (2.0 * received * noise + noise**2) / count / received**2
