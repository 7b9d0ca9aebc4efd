"""What a batch of images costs from the device to the class: seconds, joules, bytes."""

import math
from dataclasses import dataclass
from typing import Any

from phyemu.errors import ConfigError

__all__ = ["InferenceCost"]

_FIELDS = (
    "head_s",
    "communication_s",
    "tail_s",
    "head_j",
    "transmit_j",
    "payload_bytes",
    "overhead_bytes",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceCost:
    """The cost of a batch (paper, Sec. IV-C: latency, communication overhead, energy).

    Attributes:
        num_images: Images of the batch.
        head_s: The device computes [s].
        communication_s: From the first sample or packet sent to the last one received [s].
        tail_s: The server computes [s].
        head_j: Energy of the device while it computes [J].
        transmit_j: Energy of the device for sending [J].
        payload_bytes: Of what the images become.
        overhead_bytes: Of everything else on the air: preambles, headers, pilots; with a protocol
            stack also acknowledgements and retransmissions.
        modelled: Names of the fields above that no measurement stands behind, but a model: times
            of a device profile, energies of stated powers, times on the air.
        device: What the head ran on, or whose profile stands for it.
        meter: What measured `head_j`, or the model of it.
    """

    num_images: int
    head_s: float
    communication_s: float
    tail_s: float
    head_j: float
    transmit_j: float
    payload_bytes: float
    overhead_bytes: float
    modelled: frozenset[str]
    device: str
    meter: str

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num_images < 1:
            raise ConfigError(f"num_images must be at least 1, got {self.num_images}")
        for name in _FIELDS:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must not be negative, got {value}")
        unknown = self.modelled - set(_FIELDS)
        if unknown:
            raise ConfigError(f"modelled names no field of a cost: {', '.join(sorted(unknown))}")

    @property
    def total_s(self) -> float:
        """Head, communication and tail, one after the other [s]."""
        return self.head_s + self.communication_s + self.tail_s

    @property
    def device_j(self) -> float:
        """What the device spends: head and transmission [J]."""
        return self.head_j + self.transmit_j

    @property
    def total_bytes(self) -> float:
        """Payload and overhead."""
        return self.payload_bytes + self.overhead_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as JSON values."""
        return {
            "num_images": self.num_images,
            **{name: getattr(self, name) for name in _FIELDS},
            "total_s": self.total_s,
            "device_j": self.device_j,
            "total_bytes": self.total_bytes,
            "modelled": sorted(self.modelled),
            "device": self.device,
            "meter": self.meter,
        }

    def latency_line(self) -> str:
        """Return the times for people; a modelled one is marked ~."""
        parts = ", ".join(
            f"{name} {self._mark(f'{name}_s')}{1e3 * getattr(self, f'{name}_s'):.2f}"
            for name in ("head", "communication", "tail")
        )
        where = " on this machine" if self.tail_s and "head_s" in self.modelled else ""
        return (
            f"latency of {self._images()} on {self.device}: {1e3 * self.total_s:.2f} ms ({parts}"
            f"{where}; ~ is modelled)"
        )

    def energy_line(self) -> str:
        """Return the energies for people; a modelled one is marked ~."""
        return (
            f"energy of {self._images()} on {self.device}: {1e3 * self.device_j:.2f} mJ (head "
            f"{self._mark('head_j')}{1e3 * self.head_j:.2f}, transmission "
            f"{self._mark('transmit_j')}{1e3 * self.transmit_j:.2f}; ~ is modelled; {self.meter})"
        )

    def _mark(self, name: str) -> str:
        return "~" if name in self.modelled else ""

    def _images(self) -> str:
        return "1 image" if self.num_images == 1 else f"{self.num_images} images"
