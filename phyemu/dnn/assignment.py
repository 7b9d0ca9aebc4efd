"""Which embedding goes to which constellation point."""

from torch import Tensor

__all__ = ["assign_to_constellation", "assignment_cost"]


def assignment_cost(vectors: Tensor, points: Tensor) -> float:
    """Return the sum of |e_a - e_b|^2 over neighbouring points a, b, row m of `vectors` on point m."""
    raise NotImplementedError


def assign_to_constellation(vectors: Tensor, points: Tensor, *, seed: int) -> Tensor:
    """Return `order` (M,) int64 so that `vectors[order]` has close embeddings on adjacent points."""
    raise NotImplementedError
