"""Batches that sound every link of scenarios: one node transmits, all that hear it listen."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from phyemu.batch.drafting import ImageChoice, MadeBatch, contents_by_role, transmitter_drafts
from phyemu.batch.job_scenario import JobScenario
from phyemu.batch.plan import PlanKind
from phyemu.batch.writing import BatchSettings, write_batch
from phyemu.errors import ConfigError
from phyemu.node.radio_conf import RadioConf, Role, SoundSection
from phyemu.waveform.sounder import SounderFormat
from phyemu.waveform.transmission import write_sounder

__all__ = ["sounding_batch"]

_NUM_BURSTS = 100
_AMPLITUDE = 0.5


def sounding_batch(
    folder: Path,
    places: Sequence[JobScenario],
    images: ImageChoice,
    settings: BatchSettings,
    *,
    transmitters: Sequence[int] = (),
    sound: SoundSection | None = None,
    force: bool = False,
) -> MadeBatch:
    """Write a batch that sounds scenarios by bursts of a Zadoff-Chu sequence.

    Args:
        folder: To make.
        places: The scenarios.
        images: Of the nodes.
        settings: What the jobs share.
        transmitters: Nodes that transmit, one in each job; none: as many as every link needs.
        sound: How receivers sound; None: a stretch of 0.2 s every second.
        force: Replace a batch that is there.

    Raises:
        ConfigError: A setting is out of range, a node is missing, or the folder is there.
    """
    sound = sound or SoundSection()
    sounder = SounderFormat(sample_rate_hz=settings.radio.sample_rate_hz)
    interval_s = sounder.interval_samples / sounder.sample_rate_hz
    if sound.window_s < 2 * interval_s:
        raise ConfigError(
            f"window_s must be at least {2 * interval_s:.3g}, two bursts of the sounder, got "
            f"{sound.window_s:g}"
        )
    drafts = transmitter_drafts(
        settings.name or "sound",
        places,
        images,
        transmitters,
        RadioConf(role=Role.SOUND, sound=sound),
    )
    write = partial(_write_sounder, sounder=sounder, name=sound.reference)
    plan = write_batch(
        folder,
        PlanKind.SOUND,
        drafts,
        settings,
        contents_by_role(drafts, (Role.TRANSMIT, Role.SOUND), write),
        pass_s=_NUM_BURSTS * interval_s,
        force=force,
    )
    warnings: tuple[str, ...] = ()
    if settings.duration_s < sound.window_s:
        warnings = (
            f"a duration of {settings.duration_s} s is shorter than one stretch of "
            f"{sound.window_s:g} s: nothing will be sounded",
        )
    return MadeBatch(plan=plan, warnings=warnings)


def _write_sounder(folder: Path, *, sounder: SounderFormat, name: str) -> None:
    write_sounder(folder / name, sounder, num_bursts=_NUM_BURSTS, amplitude=_AMPLITUDE)
