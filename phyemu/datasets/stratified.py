"""Splits that keep the share of every class."""

import torch
from torch import Tensor

from phyemu.errors import DatasetError

__all__ = ["stratified_split", "stratified_subset"]


def stratified_split(
    labels: Tensor, *, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the indices of two disjoint parts, of which the second holds `fraction` of each class.

    Args:
        labels: Class of each item, (num_items,), int64.
        fraction: Share of the second part, in [0, 1); rounded for each class by itself.
        generator: CPU source of the choice; it is advanced.

    Returns:
        Indices of the first and of the second part, each int64 and sorted.

    Raises:
        DatasetError: `fraction` is out of range.
    """
    if not 0 <= fraction < 1:
        raise DatasetError(f"the held-out fraction must lie in [0, 1), got {fraction}")
    order = torch.randperm(len(labels), generator=generator)
    first, second = [], []
    for label in torch.unique(labels).tolist():
        members = order[labels[order] == label]
        count = round(fraction * len(members))
        second.append(members[:count])
        first.append(members[count:])
    return _sorted(first), _sorted(second)


def stratified_subset(labels: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """Return `count` sorted indices (all where there are fewer) with classes as even as may be.

    Items are taken in rounds, one of each class a round, so a count below the number of classes
    still holds no class twice.
    """
    order = torch.randperm(len(labels), generator=generator)
    rank = torch.empty(len(labels), dtype=torch.int64)
    for label in torch.unique(labels).tolist():
        members = order[labels[order] == label]
        rank[members] = torch.arange(len(members))
    # Stable: within a round, the shuffled order decides which classes come first.
    chosen = order[torch.argsort(rank[order], stable=True)][:count]
    return chosen.sort().values


def _sorted(parts: list[Tensor]) -> Tensor:
    if not parts:
        return torch.empty(0, dtype=torch.int64)
    return torch.cat(parts).sort().values
