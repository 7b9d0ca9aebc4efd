"""The parts of a PhyDNN at work, whatever runs them: heads, relays and tails."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phyemu.dnn.card import ArtefactCard
from phyemu.waveform import Constellation, FrameFormat

__all__ = ["AirSide", "HeadSide", "RelaySide", "TailSide"]


class AirSide(Protocol):
    """What both sides of a link know of the air between them."""

    @property
    def card(self) -> ArtefactCard:
        """Return what it is."""

    @property
    def constellation(self) -> Constellation:
        """Return the points: m is sent for symbol m."""

    @property
    def frame_format(self) -> FrameFormat:
        """Return what the frames on the air are."""

    @property
    def order(self) -> int:
        """Return the points of the constellation."""

    @property
    def symbols_per_image(self) -> int:
        """Return the channel symbols that an image takes."""


class HeadSide(AirSide, Protocol):
    """A head at work."""

    def symbols(self, images: Tensor) -> Tensor:
        """Return symbols (batch, symbols_per_image) int64 of uint8 images, both on the CPU."""


class TailSide(AirSide, Protocol):
    """A tail at work."""

    def logits(self, posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits (batch, num_classes) of posteriors (batch, symbols_per_image, order)."""


class RelaySide(Protocol):
    """A relay at work: it hears one link as a tail does, and sends on the next as a head."""

    @property
    def arriving(self) -> AirSide:
        """Return what it hears."""

    @property
    def sending(self) -> AirSide:
        """Return what it sends."""

    def symbols(self, posteriors: NDArray[np.float32]) -> Tensor:
        """Return the symbols to send on, on the CPU.

        Args:
            posteriors: Of what arrived, (batch, symbols_per_image, order).

        Returns:
            (batch, symbols_per_image of what is sent), int64.
        """
