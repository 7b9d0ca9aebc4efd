"""What a record cannot support, said in words."""

from collections.abc import Sequence

import numpy as np

from phyemu.fitting.amplitude_family import AmplitudeFit
from phyemu.fitting.config import FitConfig, FitMethod
from phyemu.fitting.holdout import HoldoutReport
from phyemu.fitting.link_fading import LinkFading
from phyemu.fitting.link_frames import LinkFrames
from phyemu.sounding import Sounding

__all__ = ["about_families", "about_holdout", "about_identity", "about_record", "about_turning"]

FEW_FRAMES = 10.0
_FRAMES_FOR_FAMILIES = 50.0
_FRAMES_FOR_HOLDOUT = 8.0
_FEW_FRAMES_IN_TIME = 30
_SAME_CFO_HZ = 5e3
_MIN_EXPLAINED = 0.95
_MAJOR_SHARE = 0.05  # of the power, that a path needs to be worth a sentence


def about_identity(soundings: Sequence[Sounding]) -> list[str]:
    """Return whether recordings may show different radios."""
    centres = [float(np.median(sounding.cfo_hz)) for sounding in soundings]
    if max(centres) - min(centres) <= _SAME_CFO_HZ:
        return []
    return [
        f"the recordings' carrier offsets differ by {(max(centres) - min(centres)) / 1e3:.1f} kHz: "
        "transmitters are matched by their rank in power and may not be the same radio"
    ]


def about_record(frames: LinkFrames, fading: LinkFading, config: FitConfig) -> list[str]:
    """Return what the record is too short, too slow or too fast for."""
    warnings = []
    worth, count = fading.worth, frames.num_frames
    # Frames too few to tell how they fade may be worth less than they are counted as.
    untold = count < _FEW_FRAMES_IN_TIME and not fading.memory.resolved
    if worth < FEW_FRAMES or untold:
        remedy = (
            "record for longer, or while something moves"
            if config.method is FitMethod.MEASURED
            else "record for longer, or while something moves, or take --method measured, which "
            "claims no more than the record holds"
        )
        warnings.append(
            f"the record is short: its {count} frames are worth {'at most ' if untold else ''}"
            f"{worth:.1f} independent ones, so powers and K describe this record more than the "
            f"place; {remedy}"
        )
    if config.method is FitMethod.MEASURED:
        warnings.append(
            f"the model plays {count} responses that are worth {worth:.0f} independent ones: "
            "fades rarer than that are not in it"
        )
    if not frames.real_time:
        warnings.append(
            "the frames are taken as independent blocks: the recording may have had its silence "
            "cut, so it tells no Doppler"
        )
    elif count < _FEW_FRAMES_IN_TIME:
        warnings.append(f"too few frames ({count}) to tell how fast they fade")
    elif not fading.memory.resolved and fading.memory.lags_s.size:
        warnings.append(
            f"the frames lie {frames.interval_s * 1e3:.3g} ms apart and show no memory of "
            "one another: the Doppler is faster than they can tell, or the record too short; sound "
            "more often or for longer"
        )
    elif not fading.memory.resolved or fading.doppler_hz.value == 0:
        warnings.append("nothing in the record fades above the noise: the model stands still")
    drift = fading.level.memory
    if fading.level.drift_db > 0 and drift is None and frames.real_time:
        warnings.append(
            f"the level drifts by {fading.level.drift_db:.1f} dB, but the record does not tell how "
            "fast: each draw of the model gets a level of its own and keeps it"
        )
    elif drift is not None and drift.at_least:
        warnings.append(
            f"the level drifts by {drift.std_db:.1f} dB as slowly as the record is long: its "
            f"correlation time of {drift.correlation_s:.3g} s is a lower bound"
        )
    if fading.level.explained < _MIN_EXPLAINED:
        warnings.append(
            f"the paths hold {100 * fading.level.explained:.0f} % of the received power; "
            "allow more of them (--max-paths)"
        )
    return warnings


def about_families(families: Sequence[AmplitudeFit], fading: LinkFading) -> list[str]:
    """Return what the record says too little about to choose a fading family by it."""
    worth = fading.worth
    if FEW_FRAMES <= worth < _FRAMES_FOR_FAMILIES and not any(
        family.family.reshapes for family in families
    ):
        return [
            f"{worth:.0f} independent frames hardly tell fading families apart: paths are Rician "
            "or Rayleigh until the record says otherwise"
        ]
    return []


def about_turning(fading: LinkFading, unlocked: Sequence[int]) -> list[str]:
    """Return which steady parts turn against one another."""
    shares = fading.link.powers / fading.link.powers.sum()
    delays_ns = (fading.paths.delays_s - fading.paths.delays_s[0]) * 1e9
    turning = [path for path in unlocked if shares[path] > _MAJOR_SHARE]
    if not turning:
        return []
    names = ", ".join(f"{delays_ns[path]:.0f} ns" for path in turning)
    return [
        f"the steady parts of the paths at {names} turn against the others; the model keeps "
        "their K and holds their phases"
    ]


def about_holdout(config: FitConfig, frames: LinkFrames, report: HoldoutReport | None) -> list[str]:
    """Return what the held-out check cannot say."""
    if config.holdout == 0:
        return []
    if report is None:
        return [
            f"nothing was held out: {frames.num_frames} frames are too few to keep "
            f"{config.holdout:g} of them back; record for longer"
        ]
    warnings = []
    if report.effective_frames < _FRAMES_FOR_HOLDOUT:
        warnings.append(
            f"the {report.num_frames} held-out frames are worth {report.effective_frames:.1f} "
            f"independent ones: distances below {report.critical:.2f} say nothing about the fit"
        )
    if report.exceeded:
        warnings.append(
            f"the held-out frames differ from the model in {', '.join(report.exceeded)} by more "
            "than chance allows: the record changes over time, or the model is too simple for it; "
            "record for longer, or compare --method measured"
        )
    if np.isnan(report.coherence_time):
        warnings.append("the held-out frames cannot tell a coherence time")
    return warnings
