"""What a batch of images costs on the air."""

import math
from dataclasses import dataclass

from phyemu.errors import ConfigError
from phyemu.waveform import FrameFormat, split_payload

__all__ = ["AirBytes", "bytes_on_air"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AirBytes:
    """Bytes of a batch, a symbol counted as log2(M) / 8 bytes (paper, Fig. 6d).

    Attributes:
        payload: Of the images' symbols.
        overhead: Of preambles, headers and pilots, counted at the same bits a symbol.
        num_frames: Frames that the batch takes.
    """

    payload: float
    overhead: float
    num_frames: int

    @property
    def total(self) -> float:
        """Payload and overhead."""
        return self.payload + self.overhead


def bytes_on_air(
    *, num_images: int, symbols_per_image: int, order: int, frame_format: FrameFormat
) -> AirBytes:
    """Return the bytes of a batch of images.

    A batch of 64 images at 1024 symbols has 32 KiB of payload at M = 16, 24 at 8, 16 at 4.

    Args:
        num_images: Images sent together, >= 1; 64 in the paper.
        symbols_per_image: N_s, >= 1.
        order: M, >= 2.
        frame_format: Frames on the air.

    Raises:
        ConfigError: A number is out of range.
    """
    if num_images < 1 or symbols_per_image < 1 or order < 2:
        raise ConfigError(
            "need num_images >= 1, symbols_per_image >= 1 and order >= 2; got "
            f"{num_images}, {symbols_per_image}, {order}"
        )
    plan = split_payload(num_images * symbols_per_image, frame_format)
    bytes_per_symbol = math.log2(order) / 8
    return AirBytes(
        payload=sum(plan) * bytes_per_symbol,
        overhead=sum(frame_format.overhead_symbols(size) for size in plan) * bytes_per_symbol,
        num_frames=len(plan),
    )
