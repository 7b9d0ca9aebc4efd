"""Members of a folder or a tar archive, read into memory; nothing is ever unpacked."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from phyemu.errors import DatasetError

__all__ = ["read_members"]

_MAX_MEMBER_BYTES = 1 << 28  # CIFAR's largest file has 155 MB
_MAX_TOTAL_BYTES = 1 << 34


def read_members(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield name and content of each regular file of a tar archive, in its order.

    Args:
        path: A .tar, plain or compressed (.gz, .bz2, .xz).

    Raises:
        DatasetError: The archive is missing or damaged, a name climbs out of it, or it unpacks to
            more than a data set has.
    """
    total = 0
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    raise DatasetError(f"{path}: member {member.name!r} climbs out of the archive")
                if not member.isfile():
                    continue  # folders, links and devices hold no image
                total += member.size
                if member.size > _MAX_MEMBER_BYTES or total > _MAX_TOTAL_BYTES:
                    raise DatasetError(
                        f"{path}: member {member.name!r} takes it beyond "
                        f"{_MAX_MEMBER_BYTES >> 20} MiB a file or {_MAX_TOTAL_BYTES >> 30} GiB"
                    )
                stream = archive.extractfile(member)
                if stream is not None:
                    yield name, stream.read()
    except (
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
    ) as exc:
        raise DatasetError(f"{path}: cannot be read as a tar archive ({exc})") from exc
