"""What it takes to send a batch: as frames of symbols, or through a protocol stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from phyemu.waveform import FrameFormat, split_payload

from .air_bytes import bytes_on_air

__all__ = ["Communication", "Transferred", "full_stack_communication", "phy_communication"]

_LOST = "lost"


class Transferred(Protocol):
    """What a transfer through a protocol stack tells; `phyemu.fullstack.Transfer` is one."""

    @property
    def duration_s(self) -> float:
        """From the first packet offered to the last byte delivered [s]."""

    @property
    def payload_bytes(self) -> int:
        """What was to be transferred."""

    @property
    def overhead_bytes(self) -> Mapping[str, float]:
        """Everything else on the air, by layer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Communication:
    """What sending a batch takes, whatever it is sent by; nothing where nothing is sent.

    Attributes:
        duration_s: From the first sample or packet to the last [s].
        payload_bytes: Of what the images become.
        overhead_bytes: Everything else on the air.
    """

    duration_s: float = 0.0
    payload_bytes: float = 0.0
    overhead_bytes: float = 0.0


def phy_communication(
    *, num_images: int, symbols_per_image: int, order: int, frame_format: FrameFormat
) -> Communication:
    """Return what the frames of a batch take: their samples over the sample rate, no gaps.

    Args:
        num_images: Images sent together, >= 1.
        symbols_per_image: Channel symbols of an image, >= 1.
        order: Points of the constellation, >= 2.
        frame_format: Frames on the air.

    Raises:
        ConfigError: A number is out of range.
    """
    on_air = bytes_on_air(
        num_images=num_images,
        symbols_per_image=symbols_per_image,
        order=order,
        frame_format=frame_format,
    )
    plan = split_payload(num_images * symbols_per_image, frame_format)
    samples = sum(frame_format.frame_samples(size) for size in plan)
    return Communication(
        duration_s=samples / frame_format.sample_rate_hz,
        payload_bytes=on_air.payload,
        overhead_bytes=on_air.overhead,
    )


def full_stack_communication(transfer: Transferred) -> Communication:
    """Return what a transfer through a protocol stack takes.

    Payload that was sent and lost is payload here, and no overhead.
    """
    overhead = {name: count for name, count in transfer.overhead_bytes.items() if name != _LOST}
    return Communication(
        duration_s=transfer.duration_s,
        payload_bytes=float(transfer.payload_bytes),
        overhead_bytes=float(sum(overhead.values())),
    )
