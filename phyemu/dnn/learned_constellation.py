"""A constellation whose points are trained with the rest, under the peak power of any other."""

import torch
from torch import nn

from phyemu.errors import ConfigError
from phyemu.waveform import Constellation, custom_constellation, psk, qam

__all__ = ["LearnedConstellation", "start_constellation"]


class LearnedConstellation(nn.Module):
    """Points as parameters; whatever they are, the largest power is 1.

    Args:
        start: Where they begin.
    """

    def __init__(self, start: Constellation) -> None:
        super().__init__()
        coordinates = torch.view_as_real(start.points.detach()).clone().float()
        self.coordinates = nn.Parameter(coordinates)

    def forward(self) -> Constellation:
        """Return the points scaled to peak power 1; gradients flow to the parameters.

        Raises:
            ConfigError: Points coincide or are not finite.
        """
        return custom_constellation(torch.view_as_complex(self.coordinates))


def start_constellation(order: int) -> Constellation:
    """Return PSK or QAM, whichever keeps its points farther apart at the same peak power.

    Args:
        order: Number of points, >= 2.
    """
    ring = psk(order)
    try:
        lattice = qam(order)
    except ConfigError:  # not of that order
        return ring
    return lattice if _least_distance(lattice) > _least_distance(ring) else ring


def _least_distance(constellation: Constellation) -> float:
    points = torch.view_as_real(constellation.points)
    return float(torch.pdist(points).min())
