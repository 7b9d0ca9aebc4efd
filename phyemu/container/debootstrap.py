"""A base made from a distribution's packages, where there is no base image to build on."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from phyemu.errors import ConfigError, ImageError
from phyemu.progress import ProgressCallback, no_progress

from .scratch_folder import unmount_below

__all__ = ["DEBOOTSTRAP", "PACKAGES", "build_base"]

DEBOOTSTRAP = "debootstrap:"

PACKAGES = (
    "ca-certificates",
    "dbus",
    "ifupdown",
    "iproute2",
    "isc-dhcp-client",
    "netbase",
    "openssh-server",
    "python3",
    "python3-uhd",
    "rsync",
    "systemd",
    "systemd-sysv",
    "uhd-host",
)
"""What a node needs beside the smallest system."""

# Ubuntu's suites whose python3 is older than phyemu's, and the newer one in `universe`.
_EXTRA = {"jammy": ("python3.11",)}
_UBUNTU = {"jammy", "mantic", "noble", "oracular", "plucky", "questing"}
# As the containers of LXD's own images: one interface, configured by the host.
_INTERFACES = """auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
"""

_ARGUMENT = re.compile(r"debootstrap:([a-z0-9][a-z0-9.-]*)(?::([a-z]+:/[^\s]+))?")
_LAST_LINES = 3


def build_base(
    argument: str,
    folder: Path,
    *,
    packages: Sequence[str] = PACKAGES,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Return the archive of a root file system that debootstrap builds.

    Args:
        argument: `debootstrap:SUITE`, or `debootstrap:SUITE:MIRROR`.
        folder: Empty; it is built there.
        packages: What is installed beside the smallest system.
        progress: Told of the steps.

    Raises:
        ConfigError: The argument is malformed.
        ImageError: debootstrap is not there, this is not root, or it fails (its last lines are
            shown), or it leaves something mounted that cannot be unmounted.
    """
    match = _ARGUMENT.fullmatch(argument)
    if match is None:
        raise ConfigError(
            f"{argument!r}: write debootstrap:SUITE or debootstrap:SUITE:MIRROR, such as "
            "debootstrap:bookworm"
        )
    suite, mirror = match[1], match[2]
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise ImageError(f"{argument}: there is no debootstrap here (apt-get install debootstrap)")
    if os.geteuid() != 0:
        raise ImageError(f"{argument}: debootstrap must be run by root")
    root, archive = folder / "root", folder / "base.tar"
    progress("debootstrap", 0, 2, suite)
    command = [
        program,
        "--variant=minbase",
        "--arch=amd64",
        "--force-check-gpg",  # without the suite's keyring it would only warn
        f"--include={','.join([*packages, *_EXTRA.get(suite, ())])}",
        *(("--components=main,universe",) if suite in _UBUNTU else ()),
        suite,
        str(root),
        *((mirror,) if mirror else ()),
    ]
    try:
        _run(command, argument)
    finally:
        unmount_below(root)
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    (root / "etc/machine-id").write_text("")  # each container makes its own
    if "ifupdown" in packages:
        (root / "etc/network/interfaces").write_text(_INTERFACES)
    progress("debootstrap", 1, 2, suite)
    # Sorted, and with all that a file system holds.
    tar = ["tar", "--numeric-owner", "--sort=name", "--xattrs", "--xattrs-include=*"]
    _run([*tar, "--one-file-system", "-C", str(root), "-cf", str(archive), "."], argument)
    shutil.rmtree(root, ignore_errors=True)
    progress("debootstrap", 2, 2, suite)
    return archive


def _run(command: list[str], argument: str) -> None:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if done.returncode:
        last = " / ".join(done.stdout.strip().splitlines()[-_LAST_LINES:])
        raise ImageError(f"{argument}: {Path(command[0]).name} failed: {last}")
