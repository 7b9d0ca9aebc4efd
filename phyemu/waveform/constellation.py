"""Constellations: the points that symbols are sent as, scaled to a peak power of 1."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = [
    "Constellation",
    "constellation",
    "custom_constellation",
    "described_constellation",
    "psk",
    "qam",
]

_MAX_ORDER = 4096
_CUSTOM = "custom"


@dataclass(frozen=True, eq=False, slots=True)
class Constellation:
    """M points in the complex plane.

    Attributes:
        name: Family, "psk", "qam" or "custom".
        points: The points c_m, (M,), complex64, largest |c|^2 is 1.
        labels: Bit label of each point, (M,), int64, 0..M-1: a Gray labelling where one exists
            (nearest neighbours differ in one bit), else 0, 1, 2, ...

    Raises:
        ConfigError: Wrong shape or type, points that are not finite, coincide, or peak elsewhere
            than at power 1, or labels that are no permutation.
    """

    name: str
    points: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Check the points and the labels."""
        points, labels = self.points.detach(), self.labels
        if points.ndim != 1 or not points.is_complex() or not 2 <= len(points) <= _MAX_ORDER:
            raise ConfigError(
                f"a constellation needs 2..{_MAX_ORDER} complex points in one dimension, got "
                f"{points.dtype} {tuple(points.shape)}"
            )
        if not bool(torch.isfinite(torch.view_as_real(points)).all()):
            raise ConfigError("constellation points must be finite")
        peak = float(points.abs().square().max())
        if abs(peak - 1.0) > 1e-4:
            raise ConfigError(f"constellation peak power must be 1, got {peak:g}; scale the points")
        distances = (points[:, None] - points[None, :]).abs()
        distances.fill_diagonal_(math.inf)
        if float(distances.min()) < 1e-5:
            raise ConfigError(
                "constellation points coincide; every symbol needs a point of its own"
            )
        if not torch.equal(labels.sort().values.cpu(), torch.arange(len(points))):
            raise ConfigError(f"labels must be a permutation of 0..{len(points) - 1}")

    @property
    def order(self) -> int:
        """Number of points, M."""
        return len(self.points)

    @property
    def bits_per_symbol(self) -> float:
        """log2(M)."""
        return math.log2(self.order)

    @property
    def peak_power(self) -> float:
        """Largest |c|^2, which is 1."""
        return 1.0

    @property
    def mean_power(self) -> float:
        """Mean |c|^2 over the points, 0..1."""
        return float(self.points.detach().abs().square().mean())

    def detach(self) -> "Constellation":
        """Return the same points without gradients; itself where there are none."""
        if not self.points.requires_grad:
            return self
        return Constellation(self.name, self.points.detach(), self.labels)

    def to_dict(self, *, whole: bool = False) -> dict[str, Any]:
        """Return name and order, and the points where the name does not say them, as JSON values.

        `described_constellation` reads it.

        Args:
            whole: The points in any case.
        """
        described: dict[str, Any] = {"name": self.name, "order": self.order}
        if whole or self.name == _CUSTOM:
            described["points"] = torch.view_as_real(self.points.detach().cpu()).tolist()
        return described

    def to(self, device: torch.device | str) -> "Constellation":
        """Return the same constellation on another device; itself where it is there already."""
        if self.points.device == torch.device(device):
            return self
        return Constellation(self.name, self.points.to(device), self.labels.to(device))


def _gray(count: int) -> Tensor:
    """Return the binary reflected Gray code of 0..count-1: 0 1 3 2 for four."""
    index = torch.arange(count, dtype=torch.int64)
    return index ^ (index >> 1)


def psk(order: int) -> Constellation:
    """Return M points on the unit circle, c_m = exp(2 pi j m / M), Gray where M is a power of two.

    Args:
        order: M, 2..4096; any integer, since a PhyDNN sheds symbols one by one.

    Raises:
        ConfigError: `order` is out of range.
    """
    if not 2 <= order <= _MAX_ORDER:
        raise ConfigError(f"psk order must be 2..{_MAX_ORDER}, got {order}")
    angles = 2.0 * math.pi * torch.arange(order, dtype=torch.float64) / order
    power_of_two = order & (order - 1) == 0
    labels = _gray(order) if power_of_two else torch.arange(order, dtype=torch.int64)
    points = torch.polar(torch.ones_like(angles), angles).to(torch.complex64)
    return Constellation("psk", points, labels)


def qam(order: int) -> Constellation:
    """Return M points of a lattice: a square, for 8 points a rectangle, else a cross.

    Squares (4, 16, 64, ...) and the 4 x 2 rectangle have Gray labels. Odd powers of two from 32 on
    are the square of 3 M / 2^k sides without its corners (for 32: 6 x 6 less 4), which has the
    lower peak but no Gray labelling.

    Args:
        order: M, a power of two, 4..4096.

    Raises:
        ConfigError: `order` is no such power.
    """
    if not 4 <= order <= _MAX_ORDER or order & (order - 1):
        raise ConfigError(f"qam order must be a power of two, 4..{_MAX_ORDER}, got {order}")
    bits = order.bit_length() - 1
    if bits % 2 == 0 or bits == 3:
        rows, columns = 1 << bits // 2, 1 << (bits - bits // 2)
        grid = torch.cartesian_prod(_levels(rows), _levels(columns))
        labels = (_gray(rows)[:, None] * columns + _gray(columns)[None, :]).flatten()
    else:
        # 2^bits = (3 s)^2 - 4 (s / 2)^2 with s = 2^((bits - 3) / 2): 32 = 36 - 4, 128 = 144 - 16.
        unit = 1 << (bits - 3) // 2
        side = _levels(3 * unit)
        grid = torch.cartesian_prod(side, side)
        corner = (grid.abs() > 2 * unit).all(dim=1)
        grid = grid[~corner]
        labels = torch.arange(order, dtype=torch.int64)
    points = torch.complex(grid[:, 1], grid[:, 0])
    points = points / points.abs().max()
    return Constellation("qam", points.to(torch.complex64), labels)


def _levels(count: int) -> Tensor:
    """Return `count` levels 2 apart around 0, ascending: -3 -1 1 3 for four."""
    return 2.0 * torch.arange(count, dtype=torch.float64) - (count - 1)


def custom_constellation(points: Tensor) -> Constellation:
    """Return the points scaled to peak power 1, labelled in the order given.

    Args:
        points: Any distinct points, (M,), complex, such as learned ones; gradients pass through.

    Raises:
        ConfigError: The points are no constellation.
    """
    if not points.is_complex() or points.numel() == 0:
        raise ConfigError(f"points must be complex, got {points.dtype} {tuple(points.shape)}")
    scaled = (points / points.abs().max()).to(torch.complex64)
    return Constellation(_CUSTOM, scaled, torch.arange(points.numel(), dtype=torch.int64))


def constellation(name: str, order: int) -> Constellation:
    """Return the constellation of a family by name.

    Args:
        name: "psk" or "qam".
        order: Number of points.

    Raises:
        ConfigError: An unknown name (the near match is given), or an order it does not have.
    """
    families = {"psk": psk, "qam": qam}
    if name not in families:
        near = get_close_matches(name, families, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(families)}"
        raise ConfigError(f"unknown constellation {name!r}; {hint}")
    return families[name](order)


def described_constellation(described: Mapping[str, Any]) -> Constellation:
    """Return the constellation that `Constellation.to_dict` described.

    Args:
        described: `name` and `order`; `points` as [real, imaginary] pairs where the name is
            "custom".

    Raises:
        ConfigError: Something is missing, of the wrong type, or no constellation.
    """
    name, order = described.get("name"), described.get("order")
    if not isinstance(name, str) or not isinstance(order, int) or isinstance(order, bool):
        raise ConfigError(
            f"a constellation needs a name and a whole order, got {name!r}, {order!r}"
        )
    if name != _CUSTOM:
        return constellation(name, order)
    pairs = described.get("points")
    try:
        points = torch.tensor(pairs, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError) as exc:
        raise ConfigError(f"points must be [real, imaginary] pairs ({exc})") from exc
    if points.shape != (order, 2):
        raise ConfigError(f"points must be {order} [real, imaginary] pairs, got {pairs!r:.80}")
    return custom_constellation(torch.view_as_complex(points))
