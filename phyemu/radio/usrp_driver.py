"""The UHD driver: found, loaded, and asked which devices answer.

PyPI has no Linux build of UHD's Python API. Debian's `python3-uhd` puts it into the system's
dist-packages, which a virtual environment does not see, so it is looked for there too.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from phyemu.errors import ConfigError, RadioError
from phyemu.radio.usrp_config import UsrpConfig, with_device_defaults
from phyemu.radio.usrp_rates import master_clock_hz

__all__ = [
    "DRIVER_ERRORS",
    "UsrpDevice",
    "ask",
    "driver_errors",
    "driver_folders",
    "driver_message",
    "driver_version",
    "find_usrps",
    "load_driver",
    "open_usrp",
    "set_or_refuse",
]

# What the Python binding makes of C++ exceptions: UHD's own all become RuntimeError; the standard
# library's become IndexError (out_of_range), ValueError (invalid_argument, domain, length and range
# errors), OverflowError, MemoryError, and those of the system OSError in newer bindings.
DRIVER_ERRORS = (RuntimeError, LookupError, ValueError, ArithmeticError, MemoryError, OSError)

_LOG = logging.getLogger(__name__)
# UHD writes to the terminal by itself. What it says about lost samples is in our data; its
# warnings stay.
_QUIET = {"UHD_LOG_CONSOLE_LEVEL": "warning", "UHD_LOG_FASTPATH_DISABLE": "1"}
_INSTALL = "install it with: apt-get install python3-uhd uhd-host (or from files.ettus.com)"


@dataclass(frozen=True, slots=True)
class UsrpDevice:
    """A device that answered.

    Attributes:
        args: What opens it, as `--usrp` takes it.
        fields: What it said about itself: type, product, serial, name, address.
    """

    args: str
    fields: Mapping[str, str]


def driver_folders() -> list[Path]:
    """Return the folders of this Python's system where Debian installs Python packages."""
    prefixes = dict.fromkeys((sys.base_prefix, "/usr", "/usr/local"))
    minor = f"python3.{sys.version_info.minor}"
    return [
        Path(prefix, "lib", folder, packages)
        for prefix in prefixes
        for folder, packages in (("python3", "dist-packages"), (minor, "site-packages"))
    ]


def load_driver() -> Any:
    """Return the module `uhd`.

    Raises:
        RadioError: UHD's Python API is not installed, or cannot be loaded by this Python.
    """
    loaded = sys.modules.get("uhd")
    if loaded is not None:
        return loaded
    spec = importlib.util.find_spec("uhd") or _spec_in_system_folders()
    if spec is None:
        raise RadioError(f"UHD's Python API is not installed; {_INSTALL}")
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    noise = io.StringIO()
    try:
        with contextlib.redirect_stderr(noise), _numpy_table_for_old_extensions():
            module = _load(spec)
    except ImportError as exc:
        raise RadioError(
            f"UHD's Python API in {spec.origin} does not load in Python "
            f"{sys.version_info.major}.{sys.version_info.minor} ({exc}); {_INSTALL}, and use the "
            "Python version it was built for"
        ) from exc
    if noise.getvalue():
        _LOG.debug("while loading UHD: %s", noise.getvalue())
    return module


def _spec_in_system_folders() -> importlib.machinery.ModuleSpec | None:
    # Only this one package is taken from there: the folder itself on sys.path would let the
    # system's other packages in.
    for folder in driver_folders():
        package = folder / "uhd"
        if (package / "__init__.py").is_file():
            return importlib.util.spec_from_file_location(
                "uhd", package / "__init__.py", submodule_search_locations=[str(package)]
            )
    return None


def _load(spec: importlib.machinery.ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    if spec.loader is None:
        raise ImportError(f"{spec.origin} is no package")
    sys.modules["uhd"] = module
    try:
        spec.loader.exec_module(module)
    except ImportError:
        for name in [name for name in sys.modules if name.split(".")[0] == "uhd"]:
            del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _numpy_table_for_old_extensions() -> Iterator[None]:
    """Let an extension that was built for NumPy 1 find NumPy 2's function table.

    Debian 12's UHD was. NumPy from 2.3 on refuses it the table, UHD swallows that error, and its
    first `recv` would crash the process. The entries that UHD uses (`PyArray_CheckFromAny` and the
    fields of the array object) are the same in both; the tests receive and send through them.
    """
    if int(np.__version__.split(".")[0]) < 2:
        yield
        return
    shim = vars(importlib.import_module("numpy.core._multiarray_umath"))
    if "_ARRAY_API" in shim:
        yield
        return
    real = importlib.import_module("numpy._core._multiarray_umath")
    shim["_ARRAY_API"] = real._ARRAY_API
    try:
        yield
    finally:
        del shim["_ARRAY_API"]


def driver_message(error: BaseException) -> str:
    """Return what the driver said, on one line; UHD wraps its messages over several."""
    return " ".join(str(error).split()) or f"the driver gave no reason ({type(error).__name__})"


def driver_version(uhd: Any) -> str:
    """Return the version of the driver, or "unknown" where it tells nobody."""
    tell = getattr(uhd, "get_version_string", None)
    if tell is not None:
        return str(tell())
    # UHD 4.3's Python API has no such function, but its library comes with this tool.
    tool = shutil.which("uhd_config_info")
    if tool is None:
        return "unknown"
    try:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip().removeprefix("UHD ") or "unknown"


def find_usrps(args: str = "", *, uhd: Any = None) -> list[UsrpDevice]:
    """Return the USRPs that answer, strongest match of `args` first as UHD lists them.

    Args:
        args: UHD's device arguments that narrow the search, such as "type=b200".
        uhd: The driver; loaded where it is not given.

    Raises:
        RadioError: UHD is not installed, or `args` is malformed.
    """
    driver = load_driver() if uhd is None else uhd
    try:
        found = [dict(address.to_dict()) for address in driver.find(args)]
    except (RuntimeError, TypeError) as exc:
        raise RadioError(f"UHD cannot search for {args!r}: {exc}") from exc
    return [UsrpDevice(_opening_args(fields), fields) for fields in found]


def _opening_args(fields: Mapping[str, str]) -> str:
    # Embedded devices (E3xx, N3xx) tell their address by another name than the one that opens them.
    known = {**fields, "addr": fields.get("addr") or fields.get("mgmt_addr", "")}
    named = ((key, known.get(key, "")) for key in ("type", "addr", "serial"))
    return ",".join(f"{key}={value}" for key, value in named if value)


def ask(getter: Callable[[int], Any], which: int) -> Any:
    """Return an answer of the device, or None: not every device can tell everything."""
    try:
        return getter(which)
    except DRIVER_ERRORS:
        return None


def set_or_refuse(what: str, setter: Callable[..., Any], *values: Any) -> Any:
    """Return what the driver answers to a setting; `what` says in an error what refused it."""
    try:
        return setter(*values)
    except DRIVER_ERRORS as exc:
        shown = values[0] if isinstance(values[0], str | float) else "the frequency"
        raise RadioError(f"the USRP refuses {shown} as {what}: {driver_message(exc)}") from exc


@contextlib.contextmanager
def driver_errors(what: str) -> Iterator[None]:
    """Raise a RadioError that says what the USRP cannot do when the driver raises anything."""
    try:
        yield
    except DRIVER_ERRORS as exc:
        raise RadioError(f"the USRP cannot {what}: {driver_message(exc)}") from exc


def open_usrp(uhd: Any, config: UsrpConfig) -> Any:
    """Return the device that `config.args` name, with the clock that its rate needs.

    Raises:
        RadioError: No such device, or another program has it.
        ConfigError: The device has no clock for that rate and so many channels.
    """
    args = config.args
    try:
        found = uhd.find(args)
        kind = dict(found[0].to_dict()).get("type", "") if found else ""
        clock_hz = master_clock_hz(kind, config.sample_rate_hz, len(config.channels))
        return uhd.usrp.MultiUSRP(with_device_defaults(args, kind, clock_hz))
    except ConfigError:
        raise
    except (*DRIVER_ERRORS, TypeError) as exc:
        what = f"USRP {args!r}" if args else "USRP"
        message = driver_message(exc)
        if "No devices found" in message:
            raise RadioError(
                f"no {what} answers; check power and cable, `phyemu devices` lists those that "
                "answer, and `uhd_usrp_probe` shows the driver's own view"
            ) from exc
        if "claim" in message.lower():
            raise RadioError(f"{what} is in use by another program; close it first") from exc
        raise RadioError(f"{what} cannot be opened: {message}") from exc
