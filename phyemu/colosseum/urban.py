"""The urban street canyon of 3GPP TR 38.901 (UMi), as links of a scenario.

Cluster delays, powers and the K factor are drawn as in Sec. 7.5, steps 4 and 5, with the parameters
of Table 7.5-6; each cluster then fades with Jakes' Doppler spectrum. Angles, polarisation and the
split of the two strongest clusters are not modelled: the emulator has four taps and one antenna.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import FadingProcess
from phyemu.colosseum.link_paths import LinkPaths
from phyemu.errors import ConfigError

__all__ = ["UrbanStreet"]

_LIGHT_M_PER_S = 299_792_458.0
_CLUSTER_SHADOWING_DB = 3.0
# Step 6: clusters this far below the strongest are removed.
_WEAKEST_DB = 25.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UrbanStreet:
    """A street with or without line of sight.

    Attributes:
        line_of_sight: Which column of Table 7.5-6.
        frequency_hz: Modelled carrier [Hz]; below 2 GHz the parameters are those of 2 GHz.
        speed_m_s: Speed of the terminals; 3 km/h as in Table 7.2-1.
    """

    line_of_sight: bool
    frequency_hz: float = 2.4e9
    speed_m_s: float = 3.0 / 3.6

    def __post_init__(self) -> None:
        """Refuse what the table does not cover."""
        if not 0.5e9 <= self.frequency_hz <= 100e9:
            raise ConfigError(f"TR 38.901 covers 0.5 to 100 GHz, got {self.frequency_hz} Hz")
        if not 0 <= self.speed_m_s < 1000:
            raise ConfigError(f"speed_m_s must be in 0..1000, got {self.speed_m_s}")

    @property
    def doppler_hz(self) -> float:
        """Return the largest Doppler shift [Hz]."""
        return self.speed_m_s * self.frequency_hz / _LIGHT_M_PER_S

    def draw(
        self,
        *,
        path_loss_db: float,
        num_steps: int,
        interval_s: float,
        generator: np.random.Generator,
    ) -> LinkPaths:
        """Return one link; its earliest path has delay 0, its mean gain is -`path_loss_db`.

        Args:
            path_loss_db: Mean path loss [dB].
            num_steps: Steps.
            interval_s: Time between two steps [s].
            generator: Source of the clusters and their fading; it advances.
        """
        delays_s, powers, k_factor = self._clusters(generator)
        direct_doppler_hz = self.doppler_hz * math.cos(generator.uniform(0.0, 2.0 * math.pi))
        fading = FadingProcess(
            powers=tuple(powers.tolist()),
            k_factor=(k_factor, *(0.0,) * (powers.size - 1)),
            doppler_hz=(self.doppler_hz,) * powers.size,
            # The direct path arrives from one direction, at random to that of the motion.
            specular_doppler_hz=(direct_doppler_hz, *(0.0,) * (powers.size - 1)),
        )
        seed = int(generator.integers(2**62))
        realisation = fading.realise(torch.Generator().manual_seed(seed))
        times_s = torch.arange(num_steps, dtype=torch.float64) * interval_s
        gains = realisation.gains(times_s).numpy().astype(np.complex128)
        return LinkPaths(gains * 10 ** (-path_loss_db / 20), delays_s[None], interval_s)

    def _clusters(
        self, generator: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Return delays [s], powers (sum 1) and the K factor of the first cluster."""
        decades = math.log10(1 + max(self.frequency_hz / 1e9, 2.0))
        if self.line_of_sight:
            num_clusters, delay_scaling = 12, 3.0
            mean, deviation = -0.24 * decades - 7.14, 0.38
        else:
            num_clusters, delay_scaling = 19, 2.1
            mean, deviation = -0.24 * decades - 6.83, 0.16 * decades + 0.28
        spread_s = 10 ** generator.normal(mean, deviation)
        # Eq. (7.5-1) and (7.5-2).
        delays_s = -delay_scaling * spread_s * np.log(generator.uniform(size=num_clusters))
        delays_s = np.sort(delays_s - delays_s.min())
        # Eq. (7.5-5): per cluster shadowing on an exponential profile.
        shadowing_db = generator.normal(0.0, _CLUSTER_SHADOWING_DB, num_clusters)
        powers = np.exp(-delays_s * (delay_scaling - 1) / (delay_scaling * spread_s))
        powers *= 10 ** (-shadowing_db / 10)
        powers /= powers.sum()
        k_factor = 0.0
        if self.line_of_sight:
            k_db = generator.normal(9.0, 5.0)
            ricean = 10 ** (k_db / 10)
            # Eq. (7.5-3), (7.5-4): delays are scaled for what the direct path adds to the spread.
            scaling = 0.7705 - 0.0433 * k_db + 0.0002 * k_db**2 + 0.000017 * k_db**3
            delays_s = delays_s / scaling
            powers = powers / (1 + ricean)
            # Eq. (7.5-8): the direct path comes on top of the first cluster.
            k_factor = float(ricean / (1 + ricean) / powers[0])
            powers[0] += ricean / (1 + ricean)
        kept = powers >= powers.max() * 10 ** (-_WEAKEST_DB / 10)
        kept[0] = kept[0] or self.line_of_sight
        powers, delays_s = powers[kept], delays_s[kept]
        return delays_s - delays_s[0], powers / powers.sum(), k_factor
