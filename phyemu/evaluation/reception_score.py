"""Frames as received to classes, and the score of both."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phyemu.dnn import Lookup, evaluating
from phyemu.errors import CheckpointError, ConfigError, RecordingError
from phyemu.iq import Recording
from phyemu.listening import recorded_frames
from phyemu.progress import ProgressCallback, no_progress
from phyemu.receiver import ReceivedFrame, Reception, assemble
from phyemu.waveform import Constellation, described_constellation
from phyemu.waveform.sent_frames import SentFrames, sounder_refusal

from .air_bytes import bytes_on_air
from .exported import ExportedPhyDnn, check_exported, check_two_devices
from .result import Evaluation
from .transmission import SentImages, load_exported_of, load_sent_images

__all__ = ["RecordingScore", "score_frames", "score_recording"]

_BATCH = 256
SENT_FILE = "sent.npz"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RecordingScore:
    """A score with what was received.

    Attributes:
        evaluation: The result.
        reception: All symbols in order, and the sample indices of whatever went wrong.
        frames: Every frame found.
        predictions: Class found for each image, (num_images,), int64.
    """

    evaluation: Evaluation
    reception: Reception
    frames: tuple[ReceivedFrame, ...]
    predictions: torch.Tensor

    def to_dict(self) -> dict[str, Any]:
        """Return result and losses as JSON values."""
        losses = {
            "lost_frames": list(self.reception.lost_frames),
            "partial_samples": list(self.reception.partial_samples),
            "truncated_samples": list(self.reception.truncated_samples),
            "header_error_samples": list(self.reception.header_error_samples),
            "unexpected_samples": list(self.reception.unexpected_samples),
        }
        return {**asdict(self.evaluation), **losses}


def score_frames(
    frames: Sequence[ReceivedFrame],
    sent: SentImages,
    phydnn: ExportedPhyDnn,
    *,
    channel: str,
    fidelity: str,
    lookup: Lookup | None = None,
) -> RecordingScore:
    """Return how many images were understood.

    Symbols of lost frames have equal posteriors: the tail is given the mean embedding for them.

    Args:
        frames: As received, in the order of their samples.
        sent: What was sent.
        phydnn: Its tail is used alone.
        channel: Named in the result.
        fidelity: Named in the result.
        lookup: Hard, soft or learned; None: as in training.

    Raises:
        CheckpointError: What was sent is of another PhyDNN.
    """
    num_images, symbols_per_image = sent.symbols.shape
    if sent.order != phydnn.order or symbols_per_image != phydnn.symbols_per_image:
        raise CheckpointError(
            f"{symbols_per_image} symbols an image of order {sent.order} were sent, but this "
            f"PhyDNN has {phydnn.symbols_per_image} of order {phydnn.order}"
        )
    reception = assemble(frames, sent.payload_plan, order=sent.order)
    posteriors = torch.from_numpy(reception.posteriors).view(num_images, symbols_per_image, -1)
    device = phydnn.tail.embedding.vectors.device
    with evaluating(phydnn.tail):
        parts = posteriors.split(_BATCH)  # type: ignore[no-untyped-call]
        logits = [phydnn.tail(part.to(device), lookup).cpu() for part in parts]
    predictions = torch.cat(logits).argmax(-1)
    decided = posteriors.argmax(-1).flatten().numpy()
    right = (decided == sent.symbols.flatten().numpy()) & reception.received
    batch = bytes_on_air(
        num_images=64,
        symbols_per_image=symbols_per_image,
        order=sent.order,
        frame_format=phydnn.frame_format,
    )
    levels = [frame.snr_db for frame in frames if frame.frame_index is not None]
    evaluation = Evaluation(
        channel=channel,
        fidelity=fidelity,
        num_images=num_images,
        accuracy=100 * int((predictions == sent.labels).sum()) / num_images,
        ser=1 - float(np.mean(right)),
        frames_sent=reception.frames_sent,
        frames_lost=reception.frames_lost,
        bytes_on_air_per_batch_of_64=batch.total,
        snr_db=float(np.mean(levels)) if levels else float("nan"),
    )
    return RecordingScore(
        evaluation=evaluation,
        reception=reception,
        frames=tuple(frames),
        predictions=predictions,
    )


def score_recording(
    recording: Recording,
    run: Path,
    *,
    sent: SentImages | None = None,
    order: int | None = None,
    channel: int = 0,
    lookup: Lookup | None = None,
    model: str | None = None,
    progress: ProgressCallback = no_progress,
) -> RecordingScore:
    """Return the score of a recording of frames that a run's head sent.

    The recording is read in blocks; the receiver is told the waveform, never where frames are.

    Args:
        recording: What was received.
        run: Run folder with head, tail and `sent.npz`.
        sent: What was sent; None: from `sent.npz`.
        order: M, where the run holds several; None: that of `sent`.
        channel: Channel of the recording.
        lookup: Hard, soft or learned; None: as in training.
        model: Name of a network that is not phyemu's, which may be imported.
        progress: Told of the samples read.

    Raises:
        CheckpointError: The run lacks a file, what was sent is of another PhyDNN, or the recording
            is of another sample rate, frame format or constellation.
        RecordingError: The recording is damaged, or one of the sounder.
    """
    if sent is None:
        if run.is_dir():
            check_exported(run)
            check_two_devices(run)
        sent = load_sent_images(run / SENT_FILE)
    phydnn = load_exported_of(run, sent, order=order, model=model)
    rate_hz = phydnn.frame_format.sample_rate_hz
    if abs(recording.sample_rate_hz - rate_hz) > 1e-6 * rate_hz:
        raise CheckpointError(
            f"{recording.path}: recorded at {recording.sample_rate_hz / 1e6:g} MHz, but the frames "
            f"of {run} have {rate_hz / 1e6:g} MHz; record at that rate"
        )
    _check_waveform(recording, run, phydnn)
    waveform = SentFrames(frame_format=phydnn.frame_format, constellation=phydnn.constellation)
    frames = recorded_frames(recording, waveform, channel=channel, progress=progress)
    return score_frames(
        frames,
        sent,
        phydnn,
        channel=recording.path.name,
        fidelity="recording",
        lookup=lookup,
    )


def _check_waveform(recording: Recording, run: Path, phydnn: ExportedPhyDnn) -> None:
    """Raise unless what the metadata say of the waveform, if anything, is what the run sends."""
    refusal = sounder_refusal(recording.global_fields, name=recording.path.name)
    if refusal:
        raise RecordingError(refusal)
    expected: dict[str, dict[str, Any]] = {
        "phyemu:frame_format": phydnn.frame_format.to_dict(),
        "phyemu:constellation": phydnn.constellation.to_dict(),
    }
    for field, ours in expected.items():
        theirs = recording.global_fields.get(field)
        if theirs is None:
            continue
        if not isinstance(theirs, Mapping):
            raise RecordingError(
                f"{recording.path.name}: {field} must be an object, got {theirs!r}"
            )
        differing = [
            f"{key} {theirs[key]} instead of {value}"
            for key, value in ours.items()
            if key in theirs and key != "points" and theirs[key] != value
        ]
        if differing:
            raise CheckpointError(
                f"{recording.path.name}: its {field} is not that of {run}: {', '.join(differing)}; "
                f"score it with the run whose images were sent"
            )
    _check_points(recording, run, phydnn.constellation)


def _check_points(recording: Recording, run: Path, ours: Constellation) -> None:
    """Raise where the metadata name learned points, and others than those of the run."""
    named = recording.global_fields.get("phyemu:constellation")
    if not isinstance(named, Mapping) or "points" not in named:
        return
    try:
        theirs = described_constellation(named).points
    except ConfigError as exc:
        raise RecordingError(f"{recording.path.name}: phyemu:constellation: {exc}") from exc
    if theirs.shape != ours.points.shape or not torch.allclose(theirs, ours.points, atol=1e-4):
        raise CheckpointError(
            f"{recording.path.name}: its frames have another learned constellation than {run}; "
            "score it with the run whose images were sent"
        )
