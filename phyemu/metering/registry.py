"""Energy meters by name: those of phyemu, and those that other packages bring.

A package brings one with an entry point of the group `phyemu.energy_meters`: a name, and a callable
without arguments that returns an `EnergyMeter`, or raises `MeterError` where there is none of its
kind on the machine.
"""

import difflib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

import torch

from phyemu.errors import MeterError

from .energy import EnergyMeter
from .power_model import assumed_power

__all__ = ["find_meter", "meter_names", "open_meter"]

GROUP = "phyemu.energy_meters"

# Each is a module of this package with `open_meter()`, loaded when it is asked for. The order is
# that of preference: a board's own sensors see all of it.
_OWN = ("ina3221", "jetson", "nvml", "rapl")
# Meters that see no GPU, or nothing but one.
_CPU_ONLY, _GPU_ONLY = {"rapl"}, {"nvml"}


def meter_names() -> list[str]:
    """Return the names of all meters, those of other packages first."""
    return [*sorted(_brought()), *_OWN]


def open_meter(name: str) -> EnergyMeter:
    """Return a meter by its name.

    Raises:
        MeterError: There is none of that name, or none of its kind on this machine; the message
            says why, and what would help.
    """
    brought = _brought()
    if name in brought:
        return _load(brought[name])()
    if name in _OWN:
        opener: Callable[[], EnergyMeter] = import_module(f".{name}", __package__).open_meter
        return opener()
    near = difflib.get_close_matches(name, meter_names(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(meter_names())}"
    raise MeterError(f"there is no energy meter {name!r}; {hint}")


def find_meter(*, device: torch.device | None = None) -> EnergyMeter:
    """Return the first meter that works here, or the assumed power of this processor.

    Args:
        device: What computes; None: the CPU. RAPL sees no GPU, and NVML nothing else.
    """
    unseeing = _GPU_ONLY if device is None or device.type == "cpu" else _CPU_ONLY
    for name in meter_names():
        if name not in unseeing:
            try:
                return open_meter(name)
            except MeterError:
                continue  # the next; who wants this very one calls open_meter and is told why
    return assumed_power()


def _brought() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in _OWN}


def _load(point: EntryPoint) -> Callable[[], EnergyMeter]:
    try:
        opener: Callable[[], EnergyMeter] = point.load()
    except (ImportError, AttributeError) as exc:
        raise MeterError(
            f"energy meter {point.name} ({point.value}) cannot be loaded: {exc}; install what it "
            "needs, or uninstall its package"
        ) from exc
    return opener
