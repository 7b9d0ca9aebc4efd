"""Batches that record what nodes of scenarios hear of one that transmits."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from phyemu.batch.drafting import (
    ImageChoice,
    MadeBatch,
    WriteContent,
    contents_by_role,
    transmitter_drafts,
)
from phyemu.batch.job_scenario import JobScenario
from phyemu.batch.plan import PlanKind
from phyemu.batch.writing import BatchSettings, write_batch
from phyemu.errors import ConfigError
from phyemu.iq import open_recording
from phyemu.iq.sample_format import sample_format
from phyemu.node.radio_conf import CaptureSection, RadioConf, Role
from phyemu.waveform import FrameFormat
from phyemu.waveform.transmission import write_frames

__all__ = ["capture_batch"]

_WAVEFORM = "tx.sigmf"
_NUM_SYMBOLS = 65536
_ORDER = 4
_AMPLITUDE = 0.4
_GAP_SAMPLES = 1024


def capture_batch(
    folder: Path,
    places: Sequence[JobScenario],
    images: ImageChoice,
    settings: BatchSettings,
    *,
    transmitters: Sequence[int] = (),
    recording: Path | None = None,
    capture: CaptureSection | None = None,
    force: bool = False,
) -> MadeBatch:
    """Write a batch of captures.

    Args:
        folder: To make.
        places: The scenarios.
        images: Of the nodes.
        settings: What the jobs share.
        transmitters: Nodes that transmit, one in each job; none: as many as every link needs.
        recording: What they send, a SigMF archive at the radios' rate; None: frames of random
            4-PSK symbols.
        capture: What is kept; None: 16 bit, at most 20 GB.
        force: Replace a batch that is there.

    Raises:
        ConfigError: A setting is out of range, a node is missing, or the folder is there.
        RecordingError: The recording cannot be read.
    """
    capture = capture or CaptureSection()
    drafts = transmitter_drafts(
        settings.name or "capture",
        places,
        images,
        transmitters,
        RadioConf(role=Role.CAPTURE, capture=capture),
    )
    rate_hz = settings.radio.sample_rate_hz
    write: WriteContent = partial(_write_frames, rate_hz=rate_hz)
    pass_s = None
    if recording is not None:
        pass_s = _checked_duration_s(recording, rate_hz)
        write = partial(_copy, recording=recording)
    plan = write_batch(
        folder,
        PlanKind.CAPTURE,
        drafts,
        settings,
        contents_by_role(drafts, (Role.TRANSMIT,), write),
        pass_s=pass_s,
        force=force,
    )
    return MadeBatch(plan=plan, warnings=_warnings(settings, capture, pass_s))


def _checked_duration_s(recording: Path, rate_hz: float) -> float:
    if recording.suffix != ".sigmf":
        raise ConfigError(
            f"{recording}: what is put into an image must be one file, a SigMF archive (.sigmf)"
        )
    with open_recording(recording) as opened:
        if opened.sample_rate_hz != rate_hz:
            raise ConfigError(
                f"{recording}: was recorded at {opened.sample_rate_hz:g} samples/s, but the radios "
                f"run at {rate_hz:g}; give --rate {opened.sample_rate_hz:g}"
            )
        return opened.duration_s


def _write_frames(folder: Path, *, rate_hz: float) -> None:
    write_frames(
        folder / _WAVEFORM,
        FrameFormat(sample_rate_hz=rate_hz),
        constellation_name="psk",
        order=_ORDER,
        num_symbols=_NUM_SYMBOLS,
        amplitude=_AMPLITUDE,
        gap_samples=_GAP_SAMPLES,
        seed=0,
    )


def _copy(folder: Path, *, recording: Path) -> None:
    shutil.copyfile(recording, folder / _WAVEFORM)


def _warnings(
    settings: BatchSettings, capture: CaptureSection, pass_s: float | None
) -> tuple[str, ...]:
    warnings = []
    heard_s = settings.num_loops * settings.duration_s
    heard_bytes = (
        sample_format(capture.datatype, where="[capture]").sample_bytes
        * settings.radio.sample_rate_hz
        * heard_s
    )
    if heard_bytes > capture.max_bytes:
        warnings.append(
            f"each receiver hears {heard_bytes / 1e9:.3g} GB in {heard_s} s; it stops capturing at "
            f"{capture.max_bytes / 1e9:.3g} GB"
        )
    if pass_s is not None and settings.duration_s < pass_s:
        warnings.append(
            f"a duration of {settings.duration_s} s is shorter than the recording ({pass_s:.3g} s)"
        )
    return tuple(warnings)
