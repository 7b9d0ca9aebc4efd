"""Where a device's images come from: a data set, a folder of files, or one that fills."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.datasets import ImageSet, load_dataset
from phyemu.datasets.image_file import IMAGE_SUFFIXES, decode_image
from phyemu.datasets.stratified import stratified_subset
from phyemu.errors import ConfigError, DatasetError

from .sent_record import SentImage

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
        indices: Place of each among the test images of its data set; None: they are of none.
        labels: Class of each; None where that is not known.
    """

    images: Tensor
    names: tuple[str, ...]
    indices: tuple[int, ...] | None = None
    labels: tuple[int, ...] | None = None

    def part(self, begin: int, end: int) -> "ImageBatch":
        """Return the images from `begin` on, before `end`."""
        here = slice(begin, end)
        return ImageBatch(
            images=self.images[here],
            names=self.names[here],
            indices=None if self.indices is None else self.indices[here],
            labels=None if self.labels is None else self.labels[here],
        )

    def sent(self, row: int, frame: int, position: int) -> SentImage:
        """Return what is told of an image that a frame ends."""
        return SentImage(
            name=self.names[row],
            frame=frame,
            position=position,
            index=None if self.indices is None else self.indices[row],
            label=None if self.labels is None else self.labels[row],
        )


def spec_images(spec: str, shape: tuple[int, int, int], *, limit: int | None = None) -> ImageBatch:
    """Return the test images of a data set, named by their place in it.

    Args:
        spec: Of the data set, as `load_dataset` reads it.
        shape: (channels, height, width) that the head takes.
        limit: At most so many, classes kept even, each with its place among all; None: all.

    Raises:
        DatasetError: They cannot be read, or are of another shape.
    """
    found: ImageSet = load_dataset(spec, seed=0).test
    if found.image_shape != shape:
        raise DatasetError(f"{spec}: images are {found.image_shape}, but the head takes {shape}")
    kept = torch.arange(len(found))
    if limit is not None:
        generator = torch.Generator().manual_seed(0)
        kept = stratified_subset(found.labels, limit, generator=generator)
    indices = tuple(kept.tolist())
    return ImageBatch(
        images=found.images[kept],
        names=tuple(map(str, indices)),
        indices=indices,
        labels=tuple(found.labels[kept].tolist()),
    )


def folder_images(folder: Path, shape: tuple[int, int, int]) -> ImageBatch:
    """Return the images that lie in a folder (.jpg, .png, .bmp), in the order of their names.

    Args:
        folder: An image of a subfolder is named with it, as in `left/0001.png`.
        shape: (channels, height, width) that the head takes.

    Raises:
        DatasetError: There are none, or one cannot be read or is of another shape.
    """
    paths = sorted(_listed(folder))
    if not paths:
        raise DatasetError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    pixels = [_read(path, shape) for path in paths]
    return ImageBatch(images=_stacked(pixels), names=tuple(_name(path, folder) for path in paths))


def watched_images(
    folder: Path,
    shape: tuple[int, int, int],
    *,
    stop: threading.Event,
    on_bad: Callable[[str], None],
) -> Iterator[ImageBatch]:
    """Yield the images that come into a folder from now on, until `stop` is set.

    What comes together is sent together, in the order of the files' times, and a batch of nothing
    where nothing came for a moment. A file that is written anew comes again. One that cannot be
    decoded is looked at again until nobody has written to it for a second.

    Args:
        folder: As a camera fills it; its subfolders, too.
        shape: (channels, height, width) that the head takes.
        stop: Ends it.
        on_bad: Told of files that hold no such image, a line each; they are left out.

    Raises:
        DatasetError: The folder cannot be read.
    """
    known = _listed(folder)
    while not stop.wait(_POLL_S):
        names, pixels = [], []
        found = _listed(folder)
        # What was taken away is new when it comes back.
        known = {path: state for path, state in known.items() if path in found}
        fresh = [(state, path) for path, state in found.items() if known.get(path) != state]
        for state, path in sorted(fresh):
            try:
                image = _read(path, shape)
                if _state(path) != state:
                    continue  # it is being written
                pixels.append(image)
            except DatasetError as exc:
                if time.time() - state.changed_ns / 1e9 < _SETTLED_S:
                    continue
                on_bad(str(exc))
            else:
                names.append(_name(path, folder))
            known[path] = state
        yield ImageBatch(
            images=_stacked(pixels) if pixels else torch.empty((0, *shape), dtype=torch.uint8),
            names=tuple(names),
        )


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
            yield images.part(begin, begin + size)
        done += 1


class _FileState(NamedTuple):
    """What changes when a file is written anew, or another one takes its name."""

    changed_ns: int
    size: int
    inode: int


def _listed(folder: Path) -> dict[Path, _FileState]:
    """Return the images in a folder and its subfolders, but for hidden ones."""

    def refuse(exc: OSError) -> None:
        if exc.filename is None or Path(exc.filename) == folder:
            raise DatasetError(f"{folder}: cannot be read ({exc.strerror})") from exc

    found: dict[Path, _FileState] = {}
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if path.suffix.lower() not in IMAGE_SUFFIXES or name.startswith("."):
                continue
            if (state := _state(path)) is not None:
                found[path] = state
    return found


def _state(path: Path) -> _FileState | None:
    """Return the state of a file; None: it is gone again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _FileState(found.st_mtime_ns, found.st_size, found.st_ino)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


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
