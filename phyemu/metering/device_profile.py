"""What a device takes for a network, from a few numbers: seconds by its work, joules by its powers.

A profile is a model, so everything it says is modelled: `uncertainty` is how far it may be off.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.library import find_in_library
from phyemu.toml_config import from_table, read_toml, to_toml
from phyemu.whole_file import write_whole

from .compute_model import ComputeModel
from .work import Inputs, count_work

__all__ = [
    "DeviceProfile",
    "Powers",
    "ProfileUncertainty",
    "read_device_profile",
    "save_device_profile",
]


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


def read_device_profile(name: str | Path) -> DeviceProfile:
    """Return a profile from a TOML file, or by its name in the library.

    Raises:
        ConfigError: There is none, or a file is no profile; the message says which key is wrong.
    """
    path = find_in_library(str(name), "devices")
    return from_table(DeviceProfile, read_toml(path), where=str(path))


def save_device_profile(profile: DeviceProfile, path: Path) -> None:
    """Write a profile as TOML, whole or not at all.

    Raises:
        ConfigError: It cannot be written there.
    """
    try:
        write_whole(path, to_toml(profile))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written ({exc.strerror})") from exc
