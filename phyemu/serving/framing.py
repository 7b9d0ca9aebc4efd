"""How images go into frames when they come one by one: an image is a frame, or several.

The receiver is told nothing but the tail's card: the length of a payload says how many images a
frame holds; where an image takes several frames, the frame's index modulo their number says which
part of it this is. So a frame that is lost costs the images in it and no others. The last index of
all is left to the introduction (`phyemu.serving.introduction`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.waveform import NUM_FRAME_INDICES, FrameFormat, split_payload

__all__ = ["GAP_SAMPLES", "INTRODUCTION_INDEX", "FramedImages", "ImageFraming"]

GAP_SAMPLES: Final = 1024
"""Silence around each frame."""

INTRODUCTION_INDEX: Final = NUM_FRAME_INDICES - 1
"""Index of the frame by which a head introduces itself."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FramedImages:
    """A frame of images, or of a part of one.

    Attributes:
        frame_index: What its header states.
        symbols: Its payload, (payload_symbols,), int64.
        num_images: Images that end in it; 0: a part of one whose last part follows.
    """

    frame_index: int
    symbols: Tensor
    num_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFraming:
    """What the frames of images are.

    Attributes:
        symbols_per_image: Channel symbols of an image, >= 1.
        frame_format: Frames on the air.
        images_per_frame: Images that go into a frame together, >= 1; the receiver need not know.

    Raises:
        ConfigError: So many do not fit into a frame.
    """

    symbols_per_image: int
    frame_format: FrameFormat
    images_per_frame: int = 1

    def __post_init__(self) -> None:
        """Refuse frames that could not be."""
        if not 1 <= self.images_per_frame <= self.most_images:
            raise ConfigError(
                f"images_per_frame must be 1..{self.most_images}: an image takes "
                f"{self.symbols_per_image} symbols, and a frame holds "
                f"{self.frame_format.max_payload_symbols}; got {self.images_per_frame}"
            )

    @property
    def most_images(self) -> int:
        """Return how many images may go into a frame together."""
        return max(1, self.frame_format.max_payload_symbols // self.symbols_per_image)

    @property
    def plan(self) -> tuple[int, ...]:
        """Return the payloads of the frames that one image takes."""
        return tuple(split_payload(self.symbols_per_image, self.frame_format))

    @property
    def num_indices(self) -> int:
        """Return how many indices are used, one after the other, before they begin again."""
        parts = len(self.plan)
        return INTRODUCTION_INDEX // parts * parts

    def frames(self, symbols: Tensor, *, first_index: int) -> Iterator[FramedImages]:
        """Yield the frames of images.

        Args:
            symbols: (num_images, symbols_per_image), int64.
            first_index: Index of the first frame.
        """
        index = first_index
        if len(self.plan) == 1:
            for group in torch.split(symbols, self.images_per_frame):
                yield FramedImages(
                    frame_index=index, symbols=group.flatten(), num_images=len(group)
                )
                index = (index + 1) % self.num_indices
            return
        for image in symbols:
            parts = torch.split(image, list(self.plan))
            for number, part in enumerate(parts, 1):
                ends = int(number == len(parts))
                yield FramedImages(frame_index=index, symbols=part, num_images=ends)
                index = (index + 1) % self.num_indices

    def images_in(self, payload_symbols: int) -> int:
        """Return how many whole images a payload holds; 0: it holds no whole number of them."""
        images, rest = divmod(payload_symbols, self.symbols_per_image)
        return images if rest == 0 and len(self.plan) == 1 else 0
