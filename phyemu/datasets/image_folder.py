"""Image trees train/CLASS/IMAGE and test/CLASS/IMAGE, as folders or tar archives.

All images have one size and are decoded once, by several threads, into one byte array.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.errors import DatasetError

from .archive import read_members
from .dataset import ImageSet
from .image_file import IMAGE_SUFFIXES, decode_image

__all__ = ["load_image_folder"]

_SPLITS = ("train", "test")
_MAX_BYTES = 1 << 34
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class _Entry:
    split: str
    class_name: str
    name: str


def load_image_folder(path: Path) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test images; classes in the order of their sorted names.

    Args:
        path: A folder that holds train/CLASS/IMAGE and test/CLASS/IMAGE (.jpg, .png, .bmp), or a
            tar archive of one, also under a folder of its own.

    Raises:
        DatasetError: The path is missing, a split is empty or lacks a class, an image is damaged,
            or its size or number of channels differs from that of the first.
    """
    if path.is_dir():
        entries, blobs = _listed_folder(path)
    elif path.is_file():
        entries, blobs = _listed_archive(path)
    else:
        raise DatasetError(
            f"{path}: no such folder or archive of images; say where it is: image-folder:PATH"
        )
    if not entries:
        raise DatasetError(f"{path}: holds no train/CLASS/IMAGE ({', '.join(IMAGE_SUFFIXES)})")
    pixels = _decode_all(path, entries, blobs)
    return _split(path, entries, pixels, "train"), _split(path, entries, pixels, "test")


def _listed_folder(path: Path) -> tuple[list[_Entry], Iterable[bytes]]:
    files: list[Path] = []
    entries: list[_Entry] = []
    for split in _SPLITS:
        for file in sorted((path / split).glob("*/*")):
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
                files.append(file)
                entries.append(_Entry(split, file.parent.name, str(file.relative_to(path))))
    return entries, _contents(files)


def _contents(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        try:
            yield file.read_bytes()
        except OSError as exc:
            raise DatasetError(f"{file}: cannot be read ({exc})") from exc


def _listed_archive(path: Path) -> tuple[list[_Entry], Iterable[bytes]]:
    found: list[tuple[_Entry, bytes]] = []
    for name, content in read_members(path):
        entry = _entry(name)
        if entry is not None:
            found.append((entry, content))
    # As a folder would list them, so that both give the same data set.
    found.sort(key=lambda item: (_SPLITS.index(item[0].split), item[0].name))
    return [entry for entry, _ in found], [content for _, content in found]


def _entry(name: PurePosixPath) -> _Entry | None:
    parts = name.parts
    if len(parts) < 3 or parts[-3] not in _SPLITS or name.suffix.lower() not in IMAGE_SUFFIXES:
        return None
    return _Entry(parts[-3], parts[-2], "/".join(parts[-3:]))


def _decode_all(path: Path, entries: list[_Entry], blobs: Iterable[bytes]) -> NDArray[np.uint8]:
    """Return all images, (num_images, channels, height, width)."""
    source = iter(blobs)
    first = next(source)
    sample = _decode(path, entries[0], first, None)
    shape = (sample.shape[0], sample.shape[1], sample.shape[2])
    if len(entries) * sample.nbytes > _MAX_BYTES:
        raise DatasetError(
            f"{path}: {len(entries)} images of {sample.shape[1]}x{sample.shape[0]} do not fit into "
            f"{_MAX_BYTES >> 30} GiB; make them smaller"
        )
    pixels = np.empty((len(entries), *shape), dtype=np.uint8)
    pixels[0] = sample

    def fill(start: int, chunk: list[bytes]) -> None:
        for index, content in enumerate(chunk, start):
            pixels[index] = _decode(path, entries[index], content, shape)

    # Pillow releases the interpreter while it decodes; chunks keep the overhead of tasks low.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        tasks = []
        start = 1
        while chunk := list(islice(source, _CHUNK)):
            tasks.append(pool.submit(fill, start, chunk))
            start += len(chunk)
        for task in tasks:
            task.result()
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _decode(
    path: Path, entry: _Entry, content: bytes, expected: tuple[int, int, int] | None
) -> NDArray[np.uint8]:
    return decode_image(content, where=f"{path}: {entry.name}", expected=expected)


def _split(path: Path, entries: list[_Entry], pixels: NDArray[np.uint8], split: str) -> ImageSet:
    class_names = tuple(sorted({entry.class_name for entry in entries}))
    numbers = {name: number for number, name in enumerate(class_names)}
    chosen = [index for index, entry in enumerate(entries) if entry.split == split]
    labels = torch.tensor([numbers[entries[index].class_name] for index in chosen])
    absent = [name for name in class_names if not bool((labels == numbers[name]).any())]
    if absent:
        raise DatasetError(f"{path}: {split}/ holds no image of class {absent[0]}")
    # Entries of a split are neighbours, so this is a view.
    return ImageSet(
        torch.from_numpy(pixels[chosen[0] : chosen[-1] + 1]), labels.to(torch.int64), class_names
    )
