"""What a rehearsed node's image holds: a content folder, or an image that was packaged.

Of a packaged image only what a node reads is taken: /root/phyemu and /root/radio_api. The rest is
the base image's and the vendored environment's, in whose place the running Python stands.
"""

import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from phyemu.batch.plan import PlannedImage, planned_files
from phyemu.errors import ConfigError

__all__ = ["find_content", "install_content"]

_SUFFIX = ".tar.gz"
_WANTED = (PurePosixPath("root/phyemu"), PurePosixPath("root/radio_api"))
# More than any waveform that fits a node; what would fill the disk is no image of ours.
_MAX_BYTES = 64 << 30
_CHUNK = 1 << 20


def find_content(
    images: Sequence[str], given: Sequence[Path], planned: Mapping[str, Path]
) -> dict[str, Path]:
    """Return where the content of each image is.

    Args:
        images: Names of the images.
        given: Packaged images (NAME.tar.gz), and folders: with a folder for each image, named as
            it, or the content of all of them.
        planned: Content folders by image, as the plan of the batch has them; what is given counts
            more.

    Raises:
        ConfigError: A file or folder is missing, or belongs to no image.
    """
    found = dict(planned)
    for path in given:
        if path.is_dir():
            named = {name: path / name for name in images if (path / name).is_dir()}
            found |= named or dict.fromkeys(images, path)
        elif not path.is_file():
            raise ConfigError(f"{path}: no such image or content folder")
        elif path.name.removesuffix(_SUFFIX) not in images or not path.name.endswith(_SUFFIX):
            raise ConfigError(
                f"{path}: the job has no such image; it has {', '.join(sorted(set(images)))} "
                f"(NAME{_SUFFIX})"
            )
        else:
            found[path.name.removesuffix(_SUFFIX)] = path
    return {name: path for name, path in found.items() if name in images}


def install_content(source: Path, root: Path, planned: PlannedImage | None) -> None:
    """Put the content of an image below a node's root.

    Args:
        source: A content folder (what lies below /root/phyemu), or a packaged image.
        root: The node's root, with nothing but the node's own files in it.
        planned: What must be there; None: nothing is known of it.

    Raises:
        ConfigError: The source is damaged or hostile, or holds not what is planned.
    """
    content = root / _WANTED[0]
    if source.is_dir():
        planned_files(source)  # refuses links
        shutil.copytree(source, content, dirs_exist_ok=True)
    else:
        _extract(source, root)
    if planned is None:
        return
    there = {item.path: item for item in planned_files(content)}
    for wanted in planned.files:
        if there.get(wanted.path) != wanted:
            fault = "differs from" if wanted.path in there else "lacks a file of"
            raise ConfigError(
                f"{source}: {fault} plan.json: {wanted.path}; make batch or image again"
            )


def _extract(image: Path, root: Path) -> None:
    left = _MAX_BYTES
    found = False
    try:
        with tarfile.open(image, "r|gz") as archive:
            for member in archive:
                path = _below_root(member.name)
                if path is None or not any(path.is_relative_to(wanted) for wanted in _WANTED):
                    continue
                found = True
                if member.isdir():
                    (root / path).mkdir(parents=True, exist_ok=True)
                    continue
                data = archive.extractfile(member) if member.isreg() else None
                if data is None:
                    raise ConfigError(f"{image}: {member.name} is neither a file nor a folder")
                left -= member.size
                if left < 0:
                    raise ConfigError(f"{image}: holds more than {_MAX_BYTES >> 30} GiB")
                _write(data, root / path, executable=bool(member.mode & 0o100))
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise ConfigError(f"{image}: cannot be read as an image ({exc})") from exc
    if not found:
        raise ConfigError(
            f"{image}: holds no rootfs/root/phyemu; it was not packaged by phyemu colosseum package"
        )


def _below_root(name: str) -> PurePosixPath | None:
    """Return a member's path below the root file system; None: it is none that is written."""
    parts = PurePosixPath(name).parts
    parts = parts[1:] if parts[:1] == (".",) else parts
    if parts[:1] != ("rootfs",) or ".." in parts or any("\0" in part for part in parts):
        return None
    return PurePosixPath(*parts[1:])


def _write(data: IO[bytes], path: Path, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nothing here is ever a link: only files and folders are made.
    with path.open("wb") as file:
        shutil.copyfileobj(data, file, _CHUNK)
    path.chmod(0o755 if executable else 0o644)
