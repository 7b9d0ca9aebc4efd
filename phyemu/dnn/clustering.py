"""The start of the embeddings: k-means over the slices of the whole training set."""

from collections.abc import Iterable

from torch import Tensor

from .phydnn import PhyDnn

__all__ = ["start_embeddings"]


def start_embeddings(
    model: PhyDnn,
    images: Iterable[Tensor],
    *,
    points: Tensor,
    seed: int,
    slices_per_image: int | None = None,
) -> None:
    """Set the model's embeddings, in place, to the centres of its slices, placed on `points`."""
    raise NotImplementedError
