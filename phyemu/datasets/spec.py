"""Datasets by a short text: `digits`, `cifar10:PATH`, `cifar100:PATH`, `image-folder:PATH`."""

import difflib
from pathlib import Path

import torch

from phyemu.errors import DatasetError

from .cifar import load_cifar
from .dataset import Dataset, ImageSet, channel_statistics
from .digits import load_digits
from .image_folder import load_image_folder
from .stratified import stratified_split, stratified_subset

__all__ = ["load_dataset"]

_WITH_PATH = ("cifar10", "cifar100", "image-folder")
_DIGITS_TEST_FRACTION = 0.2


def load_dataset(
    spec: str, *, seed: int, validation_fraction: float = 0.1, limit: int | None = None
) -> Dataset:
    """Return the dataset that `spec` names, in three disjoint splits.

    Where a collection has a test split, it stays as published; validation is cut from train by
    class. The digits have none, so a fifth of each class becomes the test split, and that cut does
    not depend on `seed`: results of different seeds are on the same test images.

    Args:
        spec: `digits`; `cifar10:PATH` or `cifar100:PATH`, the folder or the tar archive of the
            binary or the python version; `image-folder:PATH`, a folder or tar archive that holds
            train/CLASS/IMAGE and test/CLASS/IMAGE.
        seed: Chooses the validation images, and those that `limit` keeps.
        validation_fraction: Share of the training images held out, in (0, 1).
        limit: At most so many images in each split, classes kept even; None keeps all.

    Raises:
        DatasetError: The spec is unknown, or the files are missing or malformed.
    """
    name, _, location = spec.partition(":")
    if name not in (*_WITH_PATH, "digits") or bool(location) != (name in _WITH_PATH):
        near = difflib.get_close_matches(name, (*_WITH_PATH, "digits"), n=1)
        hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
        raise DatasetError(
            f"dataset {spec!r}: write digits, cifar10:PATH, cifar100:PATH or image-folder:PATH"
            f"{hint}"
        )
    if not 0 < validation_fraction < 1:
        raise DatasetError(f"validation_fraction must lie in (0, 1), got {validation_fraction}")
    if limit is not None and limit < 1:
        raise DatasetError(f"limit must be at least 1 image, got {limit}")

    train, test = _load_published(name, Path(location).expanduser())
    generator = torch.Generator().manual_seed(seed)
    kept, held_out = stratified_split(
        train.labels, fraction=validation_fraction, generator=generator
    )
    splits = [train.subset(kept), train.subset(held_out), test]
    for label, split in zip(("train", "validation", "test"), splits, strict=True):
        if not len(split):
            raise DatasetError(
                f"dataset {spec}: no image is left for the {label} split; give more images"
            )
    if limit is not None:
        splits = [
            split.subset(stratified_subset(split.labels, limit, generator=generator))
            for split in splits
        ]
    mean, std = channel_statistics(splits[0].images)
    if min(std) == 0:
        raise DatasetError(f"dataset {spec}: a channel of the training images is constant")
    return Dataset(
        name=name, train=splits[0], validation=splits[1], test=splits[2], mean=mean, std=std
    )


def _load_published(name: str, path: Path) -> tuple[ImageSet, ImageSet]:
    if name == "digits":
        digits = load_digits()
        # A fixed seed: the test images are the same in every run.
        generator = torch.Generator().manual_seed(0)
        train, test = stratified_split(
            digits.labels, fraction=_DIGITS_TEST_FRACTION, generator=generator
        )
        return digits.subset(train), digits.subset(test)
    if name == "image-folder":
        return load_image_folder(path)
    return load_cifar(path, num_classes=10 if name == "cifar10" else 100)
