"""Datasets by name, in three splits."""

from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.datasets import load_dataset
from phyemu.errors import DatasetError


def _rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_the_splits_of_the_digits_share_no_image() -> None:
    digits = load_dataset("digits", seed=0)
    sizes = (len(digits.train), len(digits.validation), len(digits.test))
    assert sum(sizes) == 1797
    assert 355 <= sizes[2] <= 364
    parts = [_rows(part.images) for part in (digits.train, digits.validation, digits.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    # Each class holds a tenth of every split, to within the rounding of 0.2 and 0.1 of it.
    for part in (digits.train, digits.validation, digits.test):
        counts = torch.bincount(part.labels, minlength=10)
        assert int(counts.max() - counts.min()) <= 0.06 * len(part)


def test_the_seed_chooses_the_validation_images_but_not_the_test_images() -> None:
    first, same, other = (load_dataset("digits", seed=seed) for seed in (1, 1, 2))
    assert first.validation.images.equal(same.validation.images)
    assert not first.validation.images.equal(other.validation.images)
    assert first.test.images.equal(other.test.images)


def test_a_limit_caps_every_split_and_keeps_classes_even() -> None:
    digits = load_dataset("digits", seed=0, limit=50)
    for part in (digits.train, digits.validation, digits.test):
        assert torch.bincount(part.labels).tolist() == [5] * 10


def test_the_summary_is_plain() -> None:
    summary = load_dataset("digits", seed=0, limit=20).summary()
    assert summary["train"] == 20
    assert summary["image_shape"] == [1, 32, 32]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "did you mean digits"),
        ("cifar10", "cifar10:PATH"),
        ("digits:/tmp", "write digits"),
        ("imagenet:/x", "write digits"),
        ("cifar10:/no/such", "no such folder"),
    ],
)
def test_an_unknown_spec_is_refused_with_the_forms(spec: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(spec, seed=0)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(DatasetError, match="validation_fraction"):
        load_dataset("digits", seed=0, validation_fraction=0.0)
    with pytest.raises(DatasetError, match="limit"):
        load_dataset("digits", seed=0, limit=0)


def test_constant_images_are_refused(tmp_path: Path) -> None:
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes((bytes([0, 5]) + bytes([9]) * 3072) * 20)
    with pytest.raises(DatasetError, match="constant"):
        load_dataset(f"cifar100:{tmp_path}", seed=0)


def test_too_few_images_for_a_validation_split_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(bytes([0, 5]) + rng.bytes(3072))
    with pytest.raises(DatasetError, match="no image is left for the validation split"):
        load_dataset(f"cifar100:{tmp_path}", seed=0)
