"""The settings of sounding a recording."""

import math
from dataclasses import dataclass
from enum import StrEnum

from phyemu.errors import ConfigError

__all__ = ["Probe", "SoundingConfig"]


class Probe(StrEnum):
    """What is looked for in a recording."""

    AUTO = "auto"
    """What the metadata names; else a given reference; else Wi-Fi legacy preambles."""
    SOUNDER = "sounder"
    """The bursts of `phyemu waveform sounder`."""
    WIFI = "wifi"
    """The preamble of every 802.11 frame."""
    REFERENCE = "reference"
    """The samples of a given recording, or each frame of it where it is annotated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundingConfig:
    """How a recording is sounded.

    Attributes:
        probe: What to look for.
        max_paths: Most paths that are extracted per link, 1..256.
        dynamic_range_db: Paths further below the strongest are left out [dB], > 0.
        false_path_rate: Probability that noise alone adds a path to a link, 0..1 exclusive.
        min_frames: A transmitter with fewer frames is dropped, >= 1.
        band_edge_fraction: Part of the sample rate left out at each band edge, where receivers
            roll off, for probes that fill the band, 0 <= x < 0.5.
        channel: Channel of a multichannel recording, >= 0.
    """

    probe: Probe = Probe.AUTO
    max_paths: int = 32
    dynamic_range_db: float = 35.0
    false_path_rate: float = 1e-3
    min_frames: int = 1
    band_edge_fraction: float = 0.05
    channel: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: A setting is out of range.
        """
        if not 1 <= self.max_paths <= 256:
            raise ConfigError(f"max_paths must be 1..256, got {self.max_paths}")
        if not (math.isfinite(self.dynamic_range_db) and self.dynamic_range_db > 0):
            raise ConfigError(f"dynamic_range_db must be > 0, got {self.dynamic_range_db}")
        if not 0 < self.false_path_rate < 1:
            raise ConfigError(f"false_path_rate must be within 0..1, got {self.false_path_rate}")
        if self.min_frames < 1:
            raise ConfigError(f"min_frames must be at least 1, got {self.min_frames}")
        if not 0 <= self.band_edge_fraction < 0.5:
            raise ConfigError(
                f"band_edge_fraction must be 0 or more and below 0.5, got {self.band_edge_fraction}"
            )
        if self.channel < 0:
            raise ConfigError(f"channel must be 0 or more, got {self.channel}")
