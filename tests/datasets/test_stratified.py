"""Splits keep the share of every class."""

import pytest
import torch

from phyemu.datasets.stratified import stratified_split, stratified_subset
from phyemu.errors import DatasetError

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)


def test_both_parts_have_every_class_in_its_share_and_nothing_twice(
    generator: torch.Generator,
) -> None:
    first, second = stratified_split(LABELS, fraction=0.1, generator=generator)
    assert torch.bincount(LABELS[second]).tolist() == [5, 3, 2]
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(100))


def test_a_subset_takes_classes_in_rounds(generator: torch.Generator) -> None:
    chosen = stratified_subset(LABELS, 63, generator=generator)
    # 20 rounds of three exhaust class 2; three more images are one or two of class 0 and 1 each.
    counts = torch.bincount(LABELS[chosen]).tolist()
    assert counts[2] == 20
    assert sorted(counts[:2]) == [21, 22]
    assert len(set(chosen.tolist())) == 63


def test_a_subset_larger_than_the_whole_is_the_whole(generator: torch.Generator) -> None:
    assert stratified_subset(LABELS, 1000, generator=generator).tolist() == list(range(100))


def test_the_same_seed_gives_the_same_split() -> None:
    splits = [
        stratified_split(LABELS, fraction=0.3, generator=torch.Generator().manual_seed(seed))[1]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(splits[0], splits[1])
    assert not torch.equal(splits[0], splits[2])


def test_a_fraction_of_one_is_refused(generator: torch.Generator) -> None:
    with pytest.raises(DatasetError, match=r"\[0, 1\)"):
        stratified_split(LABELS, fraction=1.0, generator=generator)
