"""What a device takes for a network, from a few numbers: seconds by its work, joules by its powers.

A profile is a model, so everything it says is modelled: `uncertainty` is how far it may be off.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.library import find_in_library, library_names
from phyemu.toml_config import from_table, read_toml

from .work import Inputs, OperationKind, Work, WorkShare, count_work

__all__ = [
    "Combination",
    "ComputeModel",
    "DeviceProfile",
    "Powers",
    "ProfileUncertainty",
    "load_device_profile",
    "profile_names",
]


class Combination(StrEnum):
    """How the time of arithmetic and of memory make the time of a network.

    SUM: one after the other, operation by operation, as an interpreter does with layers that are
    not fused. OVERLAP: the longer of the two, as where normalisations and activations are fused
    into convolutions and memory is read while the arithmetic runs.
    """

    SUM = "sum"
    OVERLAP = "overlap"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeModel:
    """Seconds for a network's work: a roofline of few numbers.

    t = arithmetic (+) memory + num_operations x operation_s, with

    arithmetic = MACs of convolutions / convolution_macs_per_s + other MACs / product_macs_per_s,
    memory = bytes / memory_bytes_per_s, and (+) by `combination`. In a SUM, the bytes of operations
    that have MACs are not counted: their rates hold with the memory they read.

    Attributes:
        combination: Sum, or overlap.
        convolution_macs_per_s: Of convolutions, > 0.
        product_macs_per_s: Of linear layers, matrix products and attention, > 0.
        memory_bytes_per_s: Read and written, > 0.
        operation_s: Of each operation besides: its launch, >= 0.
    """

    combination: Combination
    convolution_macs_per_s: float
    product_macs_per_s: float
    memory_bytes_per_s: float
    operation_s: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("convolution_macs_per_s", "product_macs_per_s", "memory_bytes_per_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be positive, got {value}")
        if not (math.isfinite(self.operation_s) and self.operation_s >= 0):
            raise ConfigError(f"operation_s must not be negative, got {self.operation_s}")

    def seconds(self, work: Work) -> float:
        """Return the time of the work [s]."""
        convolutions = work.shares.get(OperationKind.CONVOLUTION, WorkShare()).macs
        arithmetic_s = convolutions / self.convolution_macs_per_s
        arithmetic_s += (work.macs - convolutions) / self.product_macs_per_s
        launches_s = work.num_operations * self.operation_s
        if self.combination is Combination.OVERLAP:
            return max(arithmetic_s, work.bytes_moved / self.memory_bytes_per_s) + launches_s
        bytes_moved = sum(share.bytes_moved for share in work.shares.values() if not share.macs)
        return arithmetic_s + bytes_moved / self.memory_bytes_per_s + launches_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Powers:
    """Powers of a device [W], each >= 0.

    Attributes:
        compute_w: While it computes.
        transmit_w: For sending, as long as the communication takes.
    """

    compute_w: float
    transmit_w: float

    def __post_init__(self) -> None:
        """Check the powers."""
        for name in ("compute_w", "transmit_w"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must not be negative, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileUncertainty:
    """How far a profile may be off, as a share of what it says (0.2: 20 %).

    Attributes:
        latency: Of times.
        energy: Of energies.
    """

    latency: float
    energy: float

    def __post_init__(self) -> None:
        """Check the shares."""
        for name in ("latency", "energy"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must not be negative, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceProfile:
    """A device that networks run on, as a few numbers.

    Attributes:
        name: For results.
        source: Where the numbers come from: text.
        compute: Seconds for a network.
        powers: Watts.
        uncertainty: How far off that may be.
        assumptions: What nobody measured or derived, and what was put in its place.
    """

    name: str
    source: str
    compute: ComputeModel
    powers: Powers
    uncertainty: ProfileUncertainty
    assumptions: tuple[str, ...] = field(default=())

    def latency_s(self, module: Callable[..., Any], inputs: Inputs) -> float:
        """Return the modelled time of a forward pass [s].

        Args:
            module: A module, or any callable on tensors.
            inputs: What it is called with, or the shape of it, batch first.

        Raises:
            ConfigError: The module refuses such an input.
        """
        return self.compute.seconds(count_work(module, inputs))

    def energy_j(self, module: Callable[..., Any], inputs: Inputs) -> float:
        """Return the modelled energy of a forward pass [J]: its time at `compute_w`.

        Raises:
            ConfigError: The module refuses such an input.
        """
        return self.latency_s(module, inputs) * self.powers.compute_w

    def transmit_j(self, communication_s: float) -> float:
        """Return the modelled energy of sending for so long [J]."""
        return communication_s * self.powers.transmit_w


def profile_names() -> list[str]:
    """Return the names of profiles in the library."""
    return library_names("devices")


def load_device_profile(name: str | Path) -> DeviceProfile:
    """Return a profile from a TOML file, or by its name in the library.

    Args:
        name: A path, or a name such as `jetson-orin-nano`.

    Raises:
        ConfigError: There is none, or a file is no profile; the message says which key is wrong.
    """
    path = find_in_library(str(name), "devices")
    return from_table(DeviceProfile, read_toml(path), where=str(path))
