"""A folder for what is made on the way; it is not removed through a file system mounted in it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phyemu.errors import ImageError

__all__ = ["scratch_folder", "unmount_below"]

_MOUNTS = Path("/proc/mounts")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder, and remove it at the end, unless something is still mounted in it."""
    folder = Path(tempfile.mkdtemp(prefix="phyemu-image-"))
    try:
        yield folder
    finally:
        if not _mounts_below(folder):
            shutil.rmtree(folder)


def unmount_below(folder: Path) -> None:
    """Unmount what a program that failed has left mounted below a folder, the deepest first.

    Raises:
        ImageError: Something stays mounted.
    """
    for point in reversed(_mounts_below(folder)):
        done = subprocess.run(["umount", str(point)], capture_output=True, text=True, check=False)
        if done.returncode:
            why = " ".join(done.stderr.split()) or "umount failed"
            raise ImageError(
                f"{point}: is still mounted ({why}); unmount it, then remove {folder}, which is "
                "kept until then"
            )


def _mounts_below(folder: Path) -> list[Path]:
    """Return what is mounted below a folder, in the order in which it was."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:  # no Linux, so no debootstrap
        return []
    points = [Path(line.split()[1].replace("\\040", " ")) for line in lines]
    return [point for point in points if point.is_relative_to(folder.resolve())]
