"""Images as the symbols and samples that a radio should send."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from phyemu.datasets import ImageSet, ordered_batches
from phyemu.datasets.array_file import read_arrays
from phyemu.dnn import evaluating
from phyemu.errors import CheckpointError, ConfigError, DatasetError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.waveform import (
    Constellation,
    FrameFormat,
    FramePlacement,
    modulate,
    split_payload,
    transmit_waveform,
)

from .exported import ExportedHead, ExportedPhyDnn, load_exported, load_exported_for

__all__ = [
    "SentImages",
    "encode_images",
    "image_waveform",
    "load_exported_of",
    "load_sent_images",
    "save_sent_images",
]

_BATCH = 256


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SentImages:
    """What was sent, to score what arrives.

    Attributes:
        symbols: Of each image, (num_images, symbols_per_image), int64.
        labels: Class of each image, (num_images,), int64.
        payload_plan: Length of the payload of each frame, in order.
        order: Of the modulation.
    """

    symbols: Tensor
    labels: Tensor
    payload_plan: tuple[int, ...]
    order: int


def encode_images(
    phydnn: ExportedPhyDnn | ExportedHead,
    images: ImageSet,
    *,
    repetitions: int = 1,
    progress: ProgressCallback = no_progress,
) -> SentImages:
    """Return the symbols that the device sends for the images, and the plan of the frames.

    Args:
        phydnn: Its head is used alone.
        images: What to send.
        repetitions: How often all of them are sent, one pass after the other, >= 1.
        progress: Told of the images encoded.

    Raises:
        ConfigError: There are no images, or `repetitions` is below 1.
    """
    if not len(images) or repetitions < 1:
        raise ConfigError(f"there is nothing to send: {len(images)} images, {repetitions=}")
    with evaluating(phydnn.head):
        parts = []
        for batch in ordered_batches(images, _BATCH):
            parts.append(phydnn.head(batch.images))
            progress("encode", min(len(parts) * _BATCH, len(images)), len(images))
    symbols = torch.cat(parts).cpu().repeat(repetitions, 1)
    return SentImages(
        symbols=symbols,
        labels=images.labels.cpu().repeat(repetitions),
        payload_plan=tuple(split_payload(symbols.numel(), phydnn.frame_format)),
        order=phydnn.order,
    )


def image_waveform(
    sent: SentImages,
    constellation: Constellation,
    frame_format: FrameFormat,
    *,
    amplitude: float,
    gap_samples: int,
) -> tuple[Tensor, list[FramePlacement]]:
    """Return the samples that send the images as frames, complex64, and where each frame lies.

    Args:
        sent: The symbols.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
        amplitude: Of a symbol [full scale].
        gap_samples: Silence around each frame [samples], >= 0.
    """
    return transmit_waveform(
        modulate(sent.symbols.flatten(), constellation),
        frame_format=frame_format,
        amplitude=amplitude,
        gap_samples=gap_samples,
    )


def load_exported_of(run: Path, sent: SentImages, *, order: int | None = None) -> ExportedPhyDnn:
    """Return the PhyDNN of a run that sent these images.

    Args:
        run: Run folder, or one of its .safetensors files.
        sent: What was sent.
        order: M, where it is known; None: found by the symbols that were sent.

    Raises:
        CheckpointError: There is none, or a file is damaged.
    """
    if order is not None:
        return load_exported(run, order=order)
    return load_exported_for(run, order=sent.order, symbols_per_image=sent.symbols.shape[1])


def save_sent_images(sent: SentImages, path: Path) -> None:
    """Write what was sent to an .npz file, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            symbols=sent.symbols.numpy().astype(np.uint16),
            labels=sent.labels.numpy(),
            payload_plan=np.array(sent.payload_plan, dtype=np.int64),
            order=np.int64(sent.order),
        )
    partial.replace(path)


def load_sent_images(path: Path) -> SentImages:
    """Return what `save_sent_images` wrote; nothing in the file is executed.

    Raises:
        CheckpointError: The file is missing, damaged, or contradicts itself.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; write it with what is to be sent: "
            f"phyemu waveform images {path.parent} -o tx.sigmf"
        )
    try:
        content = read_arrays(path, ("symbols", "labels", "payload_plan", "order"))
        symbols = torch.from_numpy(content["symbols"].astype(np.int64))
        labels = torch.from_numpy(content["labels"].astype(np.int64))
        plan = tuple(int(size) for size in content["payload_plan"])
        order = int(content["order"])
    except (DatasetError, ValueError, TypeError) as exc:
        raise CheckpointError(f"{path}: holds no sent images ({exc})") from exc
    fits = symbols.ndim == 2 and labels.shape == symbols.shape[:1] and sum(plan) == symbols.numel()
    if not fits or not len(symbols) or int(symbols.max()) >= order:
        raise CheckpointError(f"{path}: symbols, labels and frames do not fit each other")
    return SentImages(symbols=symbols, labels=labels, payload_plan=plan, order=order)
