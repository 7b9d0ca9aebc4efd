"""What a machine needs to run phyemu with a radio, what it has, and how to mend the difference."""

import importlib
import importlib.metadata
import os
import platform
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from phyemu.errors import MeterError, RadioError
from phyemu.radio.usrp_driver import driver_version, find_usrps, load_driver

__all__ = ["Finding", "Level", "diagnose"]

_DISK_PROBE_BYTES = 64 << 20
# ci16 at 20 Msps on one channel, twice over.
_DISK_NEEDED_MB_S = 160.0
# What UHD 4 asks the system for (its message "Target sock buff size").
_SOCKET_BUFFER_BYTES = 25_000_000
# Ettus, and National Instruments' versions of the same boards.
_USB_VENDORS = {"2500", "3923"}
_USB3_MBIT_S = 5000


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    """As it should be."""
    NOTE = "note"
    """Something optional is missing."""
    PROBLEM = "problem"
    """Something will not work, or will lose samples."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What was looked at.
        level: How much it matters.
        state: What was found.
        remedy: What to do about it; empty where nothing is to be done.
    """

    subject: str
    level: Level
    state: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding with JSON types only."""
        return asdict(self) | {"level": str(self.level)}


def diagnose(folder: Path | str = ".") -> list[Finding]:
    """Return what was found: Python, packages, CUDA, ZeroMQ, radios, disk, processor, meters.

    Args:
        folder: Where recordings will be written; 64 MiB are written there and removed.
    """
    return [
        _python(),
        *(_package(name) for name in ("numpy", "torch", "numba", "sigmf", "h5py")),
        _cuda(),
        _zeromq(),
        *_usrps(),
        # After the search, which loads the firmware of a B200 family device.
        *_usb_speeds(Path("/sys/bus/usb/devices")),
        _disk(Path(folder)),
        _governor(),
        _energy(),
        _real_time(),
        *(_socket_buffer(kind) for kind in ("rmem", "wmem")),
    ]


def _python() -> Finding:
    # Older ones than 3.11 do not install phyemu in the first place.
    return Finding("Python", Level.OK, f"{platform.python_version()} in {sys.prefix}")


def _package(name: str) -> Finding:
    try:
        importlib.import_module(name)
    except ImportError as error:
        remedy = f"install it: python -m pip install {name}"
        return Finding(name, Level.PROBLEM, f"does not load ({error})", remedy)
    return Finding(name, Level.OK, importlib.metadata.version(name))


def _cuda() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("CUDA", Level.NOTE, "none; training runs on the processor")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Finding("CUDA", Level.OK, ", ".join(names))


def _zeromq() -> Finding:
    try:
        zmq = importlib.import_module("zmq")
    except ImportError:
        remedy = "for live streams through ZeroMQ: python -m pip install 'phyemu[live]'"
        return Finding("ZeroMQ", Level.NOTE, "pyzmq is not installed", remedy)
    return Finding("ZeroMQ", Level.OK, f"{zmq.zmq_version()}, pyzmq {zmq.__version__}")


def _usrps() -> list[Finding]:
    try:
        uhd = load_driver()
    except RadioError as error:
        state, _, remedy = str(error).partition("; ")
        return [Finding("UHD", Level.NOTE, state, remedy)]
    findings = [Finding("UHD", Level.OK, driver_version(uhd))]
    try:
        usrps = find_usrps(uhd=uhd)
    except RadioError as error:
        return [*findings, Finding("USRP", Level.PROBLEM, str(error))]
    if not usrps:
        remedy = "check power, cable and network; uhd_find_devices shows the driver's own view"
        return [*findings, Finding("USRP", Level.NOTE, "none answers", remedy)]
    return findings + [Finding("USRP", Level.OK, device.args) for device in usrps]


def _usb_speeds(devices: Path) -> list[Finding]:
    findings = []
    for device in sorted(devices.glob("*")):
        try:
            vendor, speed = (device / name for name in ("idVendor", "speed"))
            if vendor.read_text().strip() not in _USB_VENDORS:
                continue
            mbit_s = float(speed.read_text())
        except (OSError, ValueError):
            continue  # a hub's interface, or it was unplugged just now
        state = f"the USRP at {device.name} runs at {mbit_s:g} Mbit/s"
        if mbit_s >= _USB3_MBIT_S:
            findings.append(Finding("USB", Level.OK, state))
            continue
        remedy = "above 8 Msps it will overflow; use a USB 3 port (blue) and a USB 3 cable"
        findings.append(Finding("USB", Level.PROBLEM, state, remedy))
    return findings


def _energy() -> Finding:
    from phyemu.metering import meter_names, open_meter  # which loads torch

    found, missing = [], []
    for name in meter_names():
        try:
            found.append(open_meter(name).name)
        except MeterError as error:
            missing.append(f"{name}: {error}")
    if found:
        return Finding("energy", Level.OK, ", ".join(found))
    state = "no meter; energies are those of stated powers"
    return Finding("energy", Level.NOTE, state, "; ".join(missing))


def _real_time() -> Finding:
    kind = getattr(resource, "RLIMIT_RTPRIO", None)
    if kind is None:
        return Finding("priority", Level.NOTE, "this system has no limit of real-time priorities")
    limit = resource.getrlimit(kind)[0]
    if limit == 0 and os.geteuid() != 0:
        remedy = (
            "UHD's USB thread asks for real-time priority and may lose samples without; allow it: "
            "usermod -aG usrp $USER (Debian's uhd-host gives that group priority 99), log in again"
        )
        return Finding("priority", Level.NOTE, "no real-time priority is allowed", remedy)
    return Finding("priority", Level.OK, "real-time priority is allowed")


def _disk(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            block = os.urandom(1 << 20)
            begun = time.perf_counter()
            for _ in range(_DISK_PROBE_BYTES >> 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            rate = _DISK_PROBE_BYTES / (time.perf_counter() - begun) / 1e6
    except OSError as error:
        remedy = "choose another folder, or make room"
        return Finding("disk", Level.PROBLEM, f"{folder}: {error.strerror}", remedy)
    state = f"{folder} takes {rate:.0f} MB/s"
    if rate < _DISK_NEEDED_MB_S:
        remedy = (
            f"one channel at {rate / 8:.0f} Msps (ci16) leaves half of that to spare; record "
            "faster signals on a faster disk"
        )
        return Finding("disk", Level.NOTE, state, remedy)
    return Finding("disk", Level.OK, state)


def _governor() -> Finding:
    folder = Path("/sys/devices/system/cpu")
    governors = {
        path.read_text().strip() for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")
    }
    if not governors:
        return Finding("CPU governor", Level.OK, "the system sets no frequency")
    state = ", ".join(sorted(governors))
    if governors == {"performance"}:
        return Finding("CPU governor", Level.OK, state)
    remedy = "fast streams may overflow; set it: cpupower frequency-set --governor performance"
    return Finding("CPU governor", Level.NOTE, state, remedy)


def _socket_buffer(kind: str) -> Finding:
    subject = f"net.core.{kind}_max"
    try:
        size = int(Path(f"/proc/sys/net/core/{kind}_max").read_text())
    except (OSError, ValueError):
        return Finding(subject, Level.NOTE, "cannot be read on this system")
    if size >= _SOCKET_BUFFER_BYTES:
        return Finding(subject, Level.OK, f"{size} bytes")
    remedy = (
        f"USRPs on Ethernet may lose packets; set it: sysctl -w {subject}={_SOCKET_BUFFER_BYTES}"
    )
    return Finding(subject, Level.NOTE, f"{size} bytes", remedy)
