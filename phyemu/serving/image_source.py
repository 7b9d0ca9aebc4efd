"""Where a device's images come from: a data set, a folder of files, or one that fills."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.datasets import ImageSet, load_dataset
from phyemu.datasets.image_file import IMAGE_SUFFIXES, decode_image
from phyemu.errors import ConfigError, DatasetError

__all__ = ["ImageBatch", "batches_of", "folder_images", "spec_images", "watched_images"]

_POLL_S = 0.05
# A file that is still being written is looked at again until it is unchanged for so long [s].
_SETTLED_S = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ImageBatch:
    """Images that are sent together.

    Attributes:
        images: (num_images, channels, height, width), uint8.
        names: Of each image, for whoever reads what was sent.
    """

    images: Tensor
    names: tuple[str, ...]


def spec_images(spec: str, shape: tuple[int, int, int], *, limit: int | None = None) -> ImageBatch:
    """Return the test images of a data set, named by their place in it.

    Args:
        spec: Of the data set, as `load_dataset` reads it.
        shape: (channels, height, width) that the head takes.
        limit: At most so many, as training limits them; None: all.

    Raises:
        DatasetError: They cannot be read, or are of another shape.
    """
    found: ImageSet = load_dataset(spec, seed=0, limit=limit).test
    if found.image_shape != shape:
        raise DatasetError(f"{spec}: images are {found.image_shape}, but the head takes {shape}")
    return ImageBatch(images=found.images, names=tuple(map(str, range(len(found)))))


def folder_images(folder: Path, shape: tuple[int, int, int]) -> ImageBatch:
    """Return the images that lie in a folder (.jpg, .png, .bmp), in the order of their names.

    Args:
        folder: Its subfolders are not looked at.
        shape: (channels, height, width) that the head takes.

    Raises:
        DatasetError: There are none, or one cannot be read or is of another shape.
    """
    paths = sorted(_listed(folder))
    if not paths:
        raise DatasetError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    pixels = [_read(path, shape) for path in paths]
    return ImageBatch(images=_stacked(pixels), names=tuple(path.name for path in paths))


def watched_images(
    folder: Path,
    shape: tuple[int, int, int],
    *,
    stop: threading.Event,
    on_bad: Callable[[str], None],
) -> Iterator[ImageBatch]:
    """Yield the images that come into a folder from now on, until `stop` is set.

    What comes together is sent together, in the order of the files' times. A file that cannot be
    decoded is looked at again until nobody has written to it for a second.

    Args:
        folder: As a camera fills it.
        shape: (channels, height, width) that the head takes.
        stop: Ends it.
        on_bad: Told of files that hold no such image, a line each; they are left out.

    Raises:
        DatasetError: The folder cannot be read.
    """
    known = set(_listed(folder))
    while not stop.wait(_POLL_S):
        names, pixels = [], []
        fresh = [(_changed_s(path), path) for path in _listed(folder) - known]
        for changed_s, path in sorted(fresh):
            try:
                pixels.append(_read(path, shape))
            except DatasetError as exc:
                if time.time() - changed_s < _SETTLED_S:
                    continue
                on_bad(str(exc))
            else:
                names.append(path.name)
            known.add(path)
        if names:
            yield ImageBatch(images=_stacked(pixels), names=tuple(names))


def batches_of(images: ImageBatch, size: int, *, passes: int | None = 1) -> Iterator[ImageBatch]:
    """Yield the images in batches.

    Args:
        images: All of them.
        size: Images in a batch, at most.
        passes: How often all of them come; None: without end.

    Raises:
        ConfigError: A number is below 1.
    """
    if size < 1 or (passes is not None and passes < 1):
        raise ConfigError(f"batches need a size and passes of at least 1, got {size=}, {passes=}")
    done = 0
    while passes is None or done < passes:
        for begin in range(0, len(images.names), size):
            part = slice(begin, begin + size)
            yield ImageBatch(images=images.images[part], names=images.names[part])
        done += 1


def _listed(folder: Path) -> set[Path]:
    try:
        return {
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        }
    except OSError as exc:
        raise DatasetError(f"{folder}: cannot be read ({exc.strerror})") from exc


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone again
        return 0.0


def _read(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    channels, height, width = shape
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise DatasetError(f"{path}: cannot be read ({exc.strerror})") from exc
    return decode_image(
        content, where=str(path), expected=(height, width, channels), like="what the head takes"
    )


def _stacked(pixels: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(pixels).transpose(0, 3, 1, 2)))
