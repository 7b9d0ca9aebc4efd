"""The fitted channel model with its uncertainty, from the parts that were fitted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phyemu import __version__
from phyemu.channel import (
    DopplerSpectrum,
    EmpiricalChannel,
    FadingFamily,
    FrontEnd,
    LargeScaleDrift,
)
from phyemu.fitting.amplitude_family import AmplitudeFit
from phyemu.fitting.bootstrap import LinkUncertainty
from phyemu.fitting.config import FitConfig
from phyemu.fitting.interval import Interval
from phyemu.fitting.link_fading import LinkFading
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.rician_link import RicianLink
from phyemu.sounding import Sounding

__all__ = ["FittedParts", "empirical_channel"]

_MIN_BLOCK_S = 0.02
_MIN_SHARE = 0.01  # of the power, for a family of its own


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FittedParts:
    """What was fitted; each entry per path where it says (P,).

    Attributes:
        link: Steady and diffuse parts.
        fading: Gains, memory, level.
        families: Amplitudes, (P,).
        delays_s: Delays after the first path with intervals, (P,) [s].
        uncertainty: Of powers and K.
        front_end: Distributions of the radios' impairments.
        front_end_means: Mean of each with its interval; what no sounding knows is left out.
    """

    link: RicianLink
    fading: LinkFading
    families: Sequence[AmplitudeFit]
    delays_s: tuple[Interval, ...]
    uncertainty: LinkUncertainty
    front_end: FrontEnd
    front_end_means: Mapping[str, Interval]

    def family(self, path: int) -> FadingFamily:
        """Return the family that the model draws a path from.

        Nakagami or log-normal where the amplitudes prefer it; Rice or Rayleigh is the joint fit's
        decision, which sees the phases too. Paths that hold next to nothing are often what others
        leak into the band between delays: their amplitudes choose no family.
        """
        preferred = self.families[path].family
        share = float(self.link.powers[path] / self.link.powers.sum())
        if preferred.reshapes and share >= _MIN_SHARE:
            return preferred
        steady = self.link.k_factor[path] > 0
        return FadingFamily.RICIAN if steady else FadingFamily.RAYLEIGH

    def shape(self, path: int) -> Interval:
        """Return the parameter of a path's family; 0 where it has none."""
        return self.families[path].shapes.get(self.family(path), _NONE)


_NONE = Interval(value=0.0, low=0.0, high=0.0)


def empirical_channel(
    config: FitConfig, soundings: Sequence[Sounding], frames: LinkFrames, parts: FittedParts
) -> EmpiricalChannel:
    """Return the model: path powers of sum one, delays from the first path on."""
    link, num_paths = parts.link, len(parts.families)
    diffuse = np.sqrt(np.maximum(link.diffuse, 1e-300))
    correlation = link.covariance / np.outer(diffuse, diffuse)
    np.fill_diagonal(correlation, 1.0)
    off_diagonal = correlation - np.eye(len(diffuse))
    fading, level = parts.fading, parts.fading.level
    doppler = fading.doppler_hz.value
    known = math.isfinite(doppler) and doppler > 0
    recordings = [
        {"name": item.recording_name, "sha512": item.recording_sha512} for item in soundings
    ]
    return EmpiricalChannel(
        name=config.name,
        delays_s=tuple(delay.value for delay in parts.delays_s),
        powers=tuple((link.powers / link.powers.sum()).tolist()),
        k_factor=tuple(link.k_factor.tolist()),
        doppler_hz=(doppler if known else 0.0,) * num_paths,
        cn0_dbhz=level.distribution(),
        front_end=parts.front_end,
        spectrum=fading.memory.spectrum if known else DopplerSpectrum.JAKES,
        specular_phase_rad=tuple(np.angle(link.specular).tolist()),
        correlation=(
            tuple(tuple(row) for row in correlation.tolist())
            if float(np.abs(off_diagonal).max()) > 1e-9
            else ()
        ),
        family=tuple(parts.family(path) for path in range(num_paths)),
        shape=tuple(parts.shape(path).value for path in range(num_paths)),
        drift=(
            None
            if level.memory is None
            else LargeScaleDrift(
                std_db=level.memory.std_db, correlation_s=level.memory.correlation_s
            )
        ),
        block_s=None if known else max(frames.interval_s, _MIN_BLOCK_S),
        sample_rate_hz=soundings[0].sample_rate_hz,
        bandwidth_hz=frames.bandwidth_hz,
        center_frequency_hz=soundings[0].center_frequency_hz,
        uncertainty=_uncertainty(parts),
        provenance={
            "recordings": recordings,
            "calibration": soundings[0].provenance.get("calibration"),
            "transmitter": config.transmitter,
            "probe": soundings[0].probe,
            "frames": frames.num_frames,
            "effective_frames": fading.worth,
            "gain_db": 10.0 * math.log10(level.gain),
            "command": "phyemu fit",
            "version": __version__,
            "seed": config.seed,
        },
    )


def _uncertainty(parts: FittedParts) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the intervals that are known, by the names of the model."""
    level = parts.fading.level
    paths = range(len(parts.families))
    offset_db = level.unit_power_offset_db
    cn0_dbhz = level.cn0_dbhz
    intervals: dict[str, tuple[Interval, ...]] = {
        "delays_s": parts.delays_s,
        "powers": parts.uncertainty.powers,
        "k_factor": parts.uncertainty.k_factor,
        "shape": tuple(parts.shape(path) for path in paths),
        "doppler_hz": (parts.fading.doppler_hz,),
        "cn0_dbhz": (
            Interval(
                value=cn0_dbhz.value + offset_db,
                low=cn0_dbhz.low + offset_db,
                high=cn0_dbhz.high + offset_db,
            ),
        ),
        **{
            name: (interval,)
            for name, interval in parts.front_end_means.items()
            if math.isfinite(interval.low)
        },
    }
    if level.memory is not None:
        memory = level.memory
        intervals["drift_db"] = (
            Interval(value=memory.std_db, low=memory.std_low_db, high=memory.std_high_db),
        )
    return {
        name: tuple((item.low, item.high) for item in items)
        for name, items in intervals.items()
        if not any(math.isnan(item.low) or math.isnan(item.high) for item in items)
    }
