"""Device profiles by name: shipped ones, files, and this machine's, measured when asked for."""

from pathlib import Path

from phyemu.library import library_names

from .device_profile import DeviceProfile, read_device_profile
from .measured_profile import measure_profile

__all__ = ["load_device_profile", "profile_names"]

_THIS_MACHINE = "this-machine"


def profile_names() -> list[str]:
    """Return the names that `load_device_profile` knows."""
    return sorted({*library_names("devices"), _THIS_MACHINE})


def load_device_profile(name: str | Path) -> DeviceProfile:
    """Return a profile from a TOML file, or by its name.

    Args:
        name: A path, or a name such as `jetson-orin-nano`. `this-machine` is measured now, which
            takes some twenty seconds, unless the library of `$PHYEMU_LIBRARY` has a file of that
            name; `phyemu profile-device` writes one.

    Raises:
        ConfigError: There is none, or a file is no profile; the message says which key is wrong.
    """
    if str(name) == _THIS_MACHINE and _THIS_MACHINE not in library_names("devices"):
        return measure_profile().profile
    return read_device_profile(name)
