"""Carrier-to-noise density, and how the local mean of the power drifts.

C/N0 is taken once per record from sums over all frames (received power without the noise over the
noise), so that the noise of single frames neither biases nor widens it; small-scale fading stays in
the path gains. A model's C/N0 is that of path powers that sum to one. Paths that overlap in delay
or keep a fixed phase to one another interfere over a finite band, so their sum is not the power in
the band; the ratio of the two is known from the fit and divided out. Means of the power over blocks
much longer than the fading's memory vary more than fading allows only if the link itself drifts:
that surplus is the spread of C/N0. Where the record's time is to be trusted, the correlation time
of that drift is estimated as well (`drift_memory`), and the model drifts as the link did.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phyemu.channel import Distribution
from phyemu.fitting.drift_memory import DriftMemory, measure_drift
from phyemu.fitting.interval import Interval
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.rician_link import RicianLink
from phyemu.sounding.path_problem import steering_vectors

__all__ = ["LinkLevel", "level_out", "measure_level"]

# Independent ones; the longest first, as a drift of long blocks is not to be chased in short ones.
_FRAMES_PER_BLOCK = (math.inf, 20.0, 10.0, 5.0)
_MIN_BLOCKS = 4
_SIGNIFICANCE = 1e-3
_FRAMES_PER_LEVEL = 5.0  # independent ones, behind each level whose memory is looked for
_MAX_LEVELS = 120
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
        memory: The drift as a process in time; None where none shows or its time is not told.
        amplitude: What each frame is to be multiplied by to undo the drift, (N,).
    """

    received_power: float
    gain: float
    explained: float
    cn0_dbhz: Interval
    drift_db: float
    memory: DriftMemory | None
    amplitude: NDArray[np.float64]

    def distribution(self) -> Distribution:
        """Return the distribution of C/N0 of unit path powers, small-scale fading aside.

        A drift whose memory is known is the path gains' (`LargeScaleDrift`): C/N0 is constant then.
        Otherwise C/N0 differs from draw to draw; its mean in decibels lies below that of the power.
        """
        value = self.cn0_dbhz.value + self.unit_power_offset_db
        if self.drift_db == 0 or self.memory is not None:
            return Distribution.constant(value)
        # The mean of 10^(x / 10) is 10^((mean + std^2 ln(10) / 20) / 10) for a normal x.
        mean = value - 0.5 * self.drift_db**2 / _NEPER_DB
        return Distribution(
            mean=mean,
            std=self.drift_db,
            minimum=mean - 3 * self.drift_db,
            maximum=mean + 3 * self.drift_db,
        )

    @property
    def unit_power_offset_db(self) -> float:
        """C/N0 of path powers that sum to one over that of the received power [dB]."""
        return 10.0 * math.log10(self.gain / self.received_power)


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
            memory = _memory(frames, link, level, effective_frames) if frames.real_time else None
            if memory is not None and memory.at_least:
                # The record is part of one swing: its own spread says more than the likelihood's.
                memory = replace(
                    memory, std_db=drift[0], std_low_db=min(memory.std_low_db, drift[0])
                )
            drift_db = drift[0] if memory is None else memory.std_db
            return replace(
                level,
                drift_db=drift_db,
                memory=memory,
                amplitude=drift[1] if memory is None else _undoing(frames, level, memory),
                cn0_dbhz=_widened(level.cn0_dbhz, _level_error_db(frames, drift_db, memory)),
            )
    return level


def _memory(
    frames: LinkFrames, link: RicianLink, level: LinkLevel, effective_frames: float
) -> DriftMemory | None:
    """Return the memory of the levels of short blocks of time."""
    size = max(
        _FRAMES_PER_LEVEL * frames.num_frames / effective_frames,
        frames.num_frames / _MAX_LEVELS,
    )
    blocks = _blocks(frames, size)
    means = np.array([float(frames.received_power[block].mean()) for block in blocks])
    if (means <= 0).any():
        return None
    counts = np.array([len(block) for block in blocks]) * effective_frames / frames.num_frames
    error = np.sqrt(_power_variance(frames, link, level.received_power) / np.maximum(counts, 1.0))
    return measure_drift(
        _NEPER_DB * np.log(means),
        error_db=_NEPER_DB * error,
        time_s=np.array([float(frames.time_s[block].mean()) for block in blocks]),
        recording=np.array([int(frames.recording[block[0]]) for block in blocks]),
        frame_time_s=frames.time_s,
        frame_recording=frames.recording,
    )


def _undoing(frames: LinkFrames, level: LinkLevel, memory: DriftMemory) -> NDArray[np.float64]:
    """Return the factors that undo the drift and leave the mean power as it is, (N,)."""
    factor = 10.0 ** (-memory.level_db / 20.0)
    mean_power = float((frames.received_power * np.square(factor)).mean())
    undoing: NDArray[np.float64] = factor * math.sqrt(level.received_power / mean_power)
    return undoing


def _level_error_db(frames: LinkFrames, drift_db: float, memory: DriftMemory | None) -> float:
    """Return the standard error that a drift gives the mean level of the record [dB]."""
    independent = float(len(np.unique(frames.recording)))
    if memory is not None:
        # N / (1 + 2 sum of correlations) of a stretch T long, in the limit of many: T / (2 tau).
        durations_s = [
            float(np.ptp(frames.time_s[frames.recording == number]))
            for number in np.unique(frames.recording)
        ]
        independent = sum(max(1.0, item / (2.0 * memory.correlation_s)) for item in durations_s)
    return drift_db / math.sqrt(independent)


def _widened(interval: Interval, error_db: float) -> Interval:
    """Return the interval with another error of normal distribution in it."""
    half = math.hypot(interval.high - interval.value, 1.96 * error_db)
    return Interval(value=interval.value, low=interval.value - half, high=interval.value + half)


def _blocks(frames: LinkFrames, size: float) -> list[NDArray[np.int64]]:
    """Return the indices of the frames in blocks of `size` frames or more, by recording."""
    blocks: list[NDArray[np.int64]] = []
    for number in np.unique(frames.recording):
        index = np.flatnonzero(frames.recording == number)
        blocks += np.array_split(index, max(1, int(len(index) / size)))
    return blocks


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
    blocks = _blocks(frames, each * frames_per_block)
    if len(blocks) < _MIN_BLOCKS and len(np.unique(frames.recording)) < 2:
        return None
    means = np.array([float(power[block].mean()) for block in blocks])
    if (means <= 0).any():
        return None
    sizes = np.array([len(block) for block in blocks]) / each
    # Amplitudes of heavier tails than Rice's vary by more: what frames vary within their block.
    fewest = np.maximum(sizes - 1.0, 0.5)
    inner = [float(power[block].var()) for block in blocks]
    within = float(np.mean(np.array(inner) * sizes / fewest))
    expected = max(_power_variance(frames, link, mean_power) * mean_power**2, within)
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
    vectors = steering_vectors(frames.frequencies_hz, delays_s)
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
        memory=None,
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
