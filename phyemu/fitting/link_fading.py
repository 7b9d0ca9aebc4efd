"""How a link fades: its paths' distribution, memory and level, each with the others undone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.fitting.fading_memory import FadingMemory, effective_frames, measure_memory
from phyemu.fitting.holdout import frame_slots
from phyemu.fitting.interval import Interval
from phyemu.fitting.level import LinkLevel, level_out
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.link_memory import measure_link_memory
from phyemu.fitting.link_selection import select_link
from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink

__all__ = ["LinkFading", "fit_fading"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinkFading:
    """What the frames say about fading, drift undone.

    Attributes:
        paths: Path gains, drift undone.
        link: Steady and diffuse parts.
        memory: Fading over time.
        path_dopplers: Doppler that each path alone shows, (P,).
        level: C/N0 and drift.
        worth: Independent frames that the record is worth.
        real_time: Whether the record's time is to be trusted.
    """

    paths: PathGains
    link: RicianLink
    memory: FadingMemory
    path_dopplers: tuple[Interval, ...]
    level: LinkLevel
    worth: float
    real_time: bool

    @property
    def doppler_hz(self) -> Interval:
        """Doppler of the link; NaN where the record's time is not to be trusted."""
        return self.memory.doppler_hz if self.real_time else Interval(value=math.nan)

    @property
    def coherence_time_s(self) -> float:
        """Coherence time of the link [s]; NaN likewise."""
        return self.memory.coherence_time_s if self.real_time else math.nan


def fit_fading(frames: LinkFrames, paths: PathGains) -> LinkFading:
    """Return the link, its memory and its level; a drift is undone and the link fitted again."""
    slots, interval_s = frame_slots(frames), frames.interval_s
    count = frames.num_frames

    def memory_of(gains: PathGains) -> tuple[FadingMemory, float]:
        memory = measure_link_memory(gains, slots, interval_s=interval_s, calibrate=True)
        return memory, effective_frames(memory, num_frames=count, interval_s=interval_s)

    memory, worth = memory_of(paths)
    link = select_link(paths, effective_frames=worth)
    level = level_out(frames, link, delays_s=paths.delays_s, effective_frames=worth)
    if level.drift_db > 0:
        paths = paths.scaled(level.amplitude)
        memory, worth = memory_of(paths)
        link = select_link(paths, effective_frames=worth)
    dopplers = [
        _path_doppler(paths, link, path, slots, interval_s) for path in range(paths.num_paths)
    ]
    return LinkFading(
        paths=paths,
        link=link,
        memory=memory,
        path_dopplers=tuple(dopplers),
        level=level,
        worth=worth,
        real_time=frames.real_time,
    )


def _path_doppler(
    paths: PathGains, link: RicianLink, path: int, slots: NDArray[np.int64], interval_s: float
) -> Interval:
    """Return the Doppler that one path alone shows."""
    alone = PathGains(
        delays_s=paths.delays_s[[path]],
        gains=paths.gains[:, [path]],
        noise_level=paths.noise_level,
        noise_shape=paths.noise_shape[np.ix_([path], [path])],
    )
    part = RicianLink(
        specular=link.specular[[path]],
        covariance=link.covariance[np.ix_([path], [path])],
        log_likelihood=0.0,
    )
    return measure_memory(alone, part, slots, interval_s=interval_s).doppler_hz
