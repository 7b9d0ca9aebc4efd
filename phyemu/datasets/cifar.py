"""CIFAR-10 and CIFAR-100 as published: binary and python versions (Krizhevsky, 2009).

A binary record is one label byte (CIFAR-100: coarse, then fine) and 3072 pixels, plane by plane. A
python batch is a pickled dictionary with `data` (num_images, 3072) and `labels` or `fine_labels`.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.errors import DatasetError

from .archive import read_members
from .dataset import ImageSet
from .restricted_pickle import load_plain_pickle

__all__ = ["load_cifar"]

_PIXELS = 3 * 32 * 32
_FOLDERS = {
    10: ("cifar-10-batches-bin", "cifar-10-batches-py"),
    100: ("cifar-100-binary", "cifar-100-python"),
}
_BINARY = {
    10: ([f"data_batch_{n}.bin" for n in range(1, 6)], "test_batch.bin", "batches.meta.txt"),
    100: (["train.bin"], "test.bin", "fine_label_names.txt"),
}
_PYTHON = {
    10: ([f"data_batch_{n}" for n in range(1, 6)], "test_batch", "batches.meta"),
    100: (["train"], "test", "meta"),
}
_NAMES_KEY = {10: "label_names", 100: "fine_label_names"}
_LABELS_KEY = {10: "labels", 100: "fine_labels"}


def load_cifar(path: Path, *, num_classes: int) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test images.

    Args:
        path: The folder with the batches, the one above it, or the published tar archive.
        num_classes: 10 or 100 (fine labels).

    Raises:
        DatasetError: Files are missing, truncated or malformed, or a pickle holds more than data.
    """
    files = _read_files(path, num_classes)
    for names, read, name_classes in (
        (_BINARY[num_classes], _read_binary, _binary_class_names),
        (_PYTHON[num_classes], _read_python, _python_class_names),
    ):
        train_names, test_name, meta_name = names
        if test_name not in files:
            continue
        missing = [name for name in train_names if name not in files]
        if missing:
            raise DatasetError(f"{path}: lacks {', '.join(missing)}")
        class_names = name_classes(files.get(meta_name), num_classes, f"{path}: {meta_name}")
        parts = [read(files[name], num_classes, f"{path}: {name}") for name in train_names]
        train = _image_set(parts, class_names)
        test = _image_set(
            [read(files[test_name], num_classes, f"{path}: {test_name}")], class_names
        )
        return train, test
    raise DatasetError(
        f"{path}: holds neither {_BINARY[num_classes][1]} nor {_PYTHON[num_classes][1]} of "
        f"CIFAR-{num_classes}"
    )


def _read_files(path: Path, num_classes: int) -> dict[str, bytes]:
    """Return the contents of the files that may belong to the data set, by name."""
    wanted: set[str] = set()
    for train_names, test_name, meta_name in (_BINARY[num_classes], _PYTHON[num_classes]):
        wanted |= {*train_names, test_name, meta_name}
    if path.is_file():
        return {name.name: content for name, content in read_members(path) if name.name in wanted}
    if not path.is_dir():
        raise DatasetError(
            f"{path}: no such folder or archive of CIFAR-{num_classes}; say where it is: "
            f"cifar{num_classes}:PATH"
        )
    inside = (path / folder for folder in _FOLDERS[num_classes])
    folder = next((candidate for candidate in inside if candidate.is_dir()), path)
    try:
        return {name: (folder / name).read_bytes() for name in wanted if (folder / name).is_file()}
    except OSError as exc:
        raise DatasetError(f"{folder}: cannot be read ({exc})") from exc


def _read_binary(
    content: bytes, num_classes: int, source: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    num_labels = 1 if num_classes == 10 else 2
    record = num_labels + _PIXELS
    if not content or len(content) % record:
        raise DatasetError(
            f"{source}: {len(content)} bytes are no whole number of {record}-byte records; "
            "is the file truncated?"
        )
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    labels = rows[:, num_labels - 1].astype(np.int64)
    return rows[:, num_labels:], _checked(labels, num_classes, source)


def _read_python(
    content: bytes, num_classes: int, source: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = load_plain_pickle(content, source=source)
    key = _LABELS_KEY[num_classes]
    pixels, listed = batch.get("data"), batch.get(key)
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise DatasetError(f"{source}: data must be a uint8 array (num_images, {_PIXELS})")
    if (
        not isinstance(listed, list)
        or len(listed) != len(pixels)
        or not all(type(label) is int and 0 <= label < num_classes for label in listed)
    ):
        raise DatasetError(
            f"{source}: {key} must list {len(pixels)} integers in 0..{num_classes - 1}"
        )
    return pixels, np.array(listed, dtype=np.int64)


def _checked(labels: NDArray[np.int64], num_classes: int, source: str) -> NDArray[np.int64]:
    if labels.max() >= num_classes:
        where = int(labels.argmax())
        raise DatasetError(
            f"{source}: record {where} has label {labels[where]}, must be 0..{num_classes - 1}; is "
            "it the other CIFAR?"
        )
    return labels


def _binary_class_names(content: bytes | None, num_classes: int, source: str) -> tuple[str, ...]:
    if content is None:
        return _numbered(num_classes)
    return _named(
        [line.encode() for line in content.decode("utf-8", "replace").split()], num_classes, source
    )


def _python_class_names(content: bytes | None, num_classes: int, source: str) -> tuple[str, ...]:
    if content is None:
        return _numbered(num_classes)
    names = load_plain_pickle(content, source=source).get(_NAMES_KEY[num_classes])
    return _named(names, num_classes, source)


def _named(names: object, num_classes: int, source: str) -> tuple[str, ...]:
    if not isinstance(names, list) or len(names) != num_classes:
        raise DatasetError(f"{source}: must name {num_classes} classes")
    return tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names
    )


def _numbered(num_classes: int) -> tuple[str, ...]:
    return tuple(str(label) for label in range(num_classes))


def _image_set(
    parts: list[tuple[NDArray[np.uint8], NDArray[np.int64]]], class_names: tuple[str, ...]
) -> ImageSet:
    pixels = np.concatenate([part for part, _ in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([part for _, part in parts])
    return ImageSet(torch.from_numpy(pixels), torch.from_numpy(labels), class_names)
