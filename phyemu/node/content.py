"""What a node of a PhyDNN job needs beside its settings: one side of the PhyDNN, and the images.

The transmitter gets head/ and images.npz, the receiver tail/ and sent.npz. The symbols in sent.npz
are those that the head gives for the same images, so what arrives can be scored without the head.
"""

import shutil
from pathlib import Path

import numpy as np
import torch

from phyemu.datasets import ImageSet
from phyemu.datasets.array_file import read_arrays
from phyemu.dnn.card import card_path
from phyemu.errors import CheckpointError, ConfigError, DatasetError
from phyemu.evaluation import (
    ExportedPhyDnn,
    encode_images,
    load_exported,
    run_test_images,
    save_sent_images,
)
from phyemu.waveform import NUM_FRAME_INDICES, split_payload

__all__ = [
    "IMAGES_FILE",
    "SENT_FILE",
    "load_images",
    "write_head_content",
    "write_tail_content",
]

IMAGES_FILE = "images.npz"
SENT_FILE = "sent.npz"


def write_head_content(
    run: Path, folder: Path, *, order: int | None = None, max_images: int | None = None
) -> list[Path]:
    """Write what a transmitter of a run's test images needs, and return the files.

    Equal arguments give equal bytes.

    Args:
        run: Run folder with head, tail and settings.
        folder: Where head/ and images.npz go; it is made. Files that are there are replaced.
        order: M, where the run holds several; None: the smallest.
        max_images: At most so many of the test images, the first ones, >= 1; None: all that the
            run was limited to.

    Raises:
        CheckpointError: The run holds no such export.
        ConfigError: `max_images` is out of range, or so many images take too many frames.
        DatasetError: The images cannot be read.
        OSError: A file cannot be written.
    """
    phydnn = load_exported(run, order=order)
    images = _images(run, phydnn, max_images)
    written = _copy_side(run, folder, "head", phydnn.messages_per_position)
    path = folder / IMAGES_FILE
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            images=images.images.numpy(),
            labels=images.labels.numpy(),
            class_names=np.array(images.class_names, dtype=np.str_),
        )
    partial.replace(path)
    return [*written, path]


def write_tail_content(
    run: Path, folder: Path, *, order: int | None = None, max_images: int | None = None
) -> list[Path]:
    """Write what a receiver of a run's test images needs, and return the files.

    Args:
        run: Run folder with head, tail and settings.
        folder: Where tail/ and sent.npz go; it is made. Files that are there are replaced.
        order: As for `write_head_content`.
        max_images: As for `write_head_content`.

    Raises:
        PhyemuError: As `write_head_content`.
        OSError: A file cannot be written.
    """
    phydnn = load_exported(run, order=order)
    sent = encode_images(phydnn, _images(run, phydnn, max_images))
    written = _copy_side(run, folder, "tail", phydnn.messages_per_position)
    save_sent_images(sent, folder / SENT_FILE)
    return [*written, folder / SENT_FILE]


def load_images(path: Path) -> ImageSet:
    """Return the images that `write_head_content` wrote; nothing in the file is executed.

    Raises:
        DatasetError: The file is missing, damaged, or contradicts itself.
    """
    if not path.is_file():
        raise DatasetError(
            f"{path}: no such file; put the images into the image with its head: "
            "phyemu colosseum package --head RUN"
        )
    try:
        content = read_arrays(path, ("images", "labels", "class_names"))
        images = torch.from_numpy(content["images"])
        labels = torch.from_numpy(content["labels"].astype(np.int64))
        return ImageSet(images, labels, tuple(str(name) for name in content["class_names"]))
    except (DatasetError, ValueError, TypeError) as exc:
        raise DatasetError(f"{path}: holds no images ({exc})") from exc


def _images(run: Path, phydnn: ExportedPhyDnn, max_images: int | None) -> ImageSet:
    if max_images is not None and max_images < 1:
        raise ConfigError(f"max_images must be at least 1, got {max_images}")
    images = run_test_images(run, phydnn)
    if max_images is not None:
        images = images.subset(torch.arange(min(max_images, len(images))))
    num_symbols = len(images) * phydnn.symbols_per_image
    num_frames = len(split_payload(num_symbols, phydnn.frame_format))
    if num_frames > NUM_FRAME_INDICES:
        # They are sent in a circle: an index that comes twice in it would name two frames.
        most = NUM_FRAME_INDICES * phydnn.frame_format.max_payload_symbols
        raise ConfigError(
            f"{len(images)} images take {num_frames} frames, and {NUM_FRAME_INDICES} have numbers; "
            f"send at most {most // phydnn.symbols_per_image}"
        )
    return images


def _copy_side(run: Path, folder: Path, side: str, order: int) -> list[Path]:
    """Copy weights and card of one side; return both, as they lie in `folder`."""
    source = run if run.is_dir() else run.parent.parent
    weights = source / side / f"m{order}.safetensors"
    target = folder / side
    target.mkdir(parents=True, exist_ok=True)
    copied = []
    for path in (weights, card_path(weights)):
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; export again: phyemu train")
        copied.append(Path(shutil.copyfile(path, target / path.name)))
    return copied
