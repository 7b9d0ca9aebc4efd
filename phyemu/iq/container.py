"""Where the metadata and the samples of a recording lie: pair, archive or compressed archive."""

import gzip
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from phyemu.errors import RecordingError

__all__ = ["Container", "open_container"]

_Member = TypeVar("_Member", tarfile.TarInfo, zipfile.ZipInfo)
_META, _DATA = ".sigmf-meta", ".sigmf-data"
_MAX_META_BYTES = 256 << 20
_ARCHIVES = (".sigmf", ".sigmf.gz", ".sigmf.xz", ".sigmf.zip")


@dataclass(frozen=True, slots=True)
class Container:
    """The bytes of one recording.

    Attributes:
        path: The file that the user named, or that its base name stood for.
        meta_name: Name of the metadata, for messages.
        meta_text: Its content.
        data_file: Open file that holds the samples; an anonymous one for compressed archives.
        data_offset: First byte of the samples in it.
        data_bytes: Bytes of the samples.
    """

    path: Path
    meta_name: str
    meta_text: bytes
    data_file: IO[bytes]
    data_offset: int
    data_bytes: int


def open_container(path: Path) -> Container:
    """Return the recording at a path: an archive, either file of a pair, or their base name.

    Raises:
        RecordingError: Missing, damaged or hostile.
    """
    resolved = _resolve(path)
    try:
        if resolved.name.lower().endswith(_ARCHIVES):
            return _open_archive(resolved)
        return _open_pair(resolved)
    except OSError as error:
        raise RecordingError(f"{resolved}: cannot be read ({error.strerror or error})") from error


def _resolve(path: Path) -> Path:
    if path.suffix == _DATA:
        return path.with_suffix(_META)
    if path.is_file():
        return path
    for suffix in (_META, *_ARCHIVES):
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            return beside
    raise RecordingError(
        f"{path}: no such recording; looked for it, and for {path.name} with {_META}, "
        f"{', '.join(_ARCHIVES)}"
    )


def _open_pair(path: Path) -> Container:
    if path.suffix != _META:
        raise RecordingError(
            f"{path}: no SigMF name; it must end in {_META}, {_DATA} or {', '.join(_ARCHIVES)}"
        )
    if not path.is_file():
        raise RecordingError(f"{path}: the metadata file is missing beside the data")
    data_path = path.with_suffix(_DATA)
    if not data_path.is_file():
        raise RecordingError(f"{path}: its data file {data_path.name} is missing beside it")
    data_file = data_path.open("rb")
    return Container(path, path.name, path.read_bytes(), data_file, 0, data_path.stat().st_size)


def _open_archive(path: Path) -> Container:
    if path.stat().st_size == 0:
        raise RecordingError(f"{path}: is empty")
    try:
        if path.name.lower().endswith(".zip"):
            return _open_zip(path)
        if path.suffix == ".sigmf":
            return _open_tar(path, path.open("rb"))
        opener = gzip.open if path.suffix == ".gz" else lzma.open
        unpacked = tempfile.TemporaryFile()
        with opener(path, "rb") as packed:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        return _open_tar(path, unpacked)
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise RecordingError(
            f"{path}: is damaged or no archive ({error}); copy it again"
        ) from error
    except gzip.BadGzipFile as error:
        raise RecordingError(f"{path}: is no gzip file ({error}); copy it again") from error


def _open_tar(path: Path, file: IO[bytes]) -> Container:
    size = file.seek(0, 2)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        members = archive.getmembers()
        for member in members:
            _refuse_hostile(path, member.name)
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise RecordingError(
                    f"{path}: member {member.name} is a link or a device; make the archive again"
                )
        meta = _only(path, [member for member in members if member.name.endswith(_META)], _META)
        data = _only(path, [member for member in members if member.name.endswith(_DATA)], _DATA)
        _refuse_large_metadata(path, meta.size)
        if data.offset_data + data.size > size:
            raise RecordingError(
                f"{path}: truncated, {data.name} should have {data.size} bytes but "
                f"{max(0, size - data.offset_data)} are there; copy it again"
            )
        file.seek(meta.offset_data)
        text = file.read(meta.size)
    return Container(path, f"{path.name}:{meta.name}", text, file, data.offset_data, data.size)


def _open_zip(path: Path) -> Container:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            _refuse_hostile(path, member.filename)
        metas = [member for member in members if member.filename.endswith(_META)]
        datas = [member for member in members if member.filename.endswith(_DATA)]
        meta, data = _only(path, metas, _META), _only(path, datas, _DATA)
        _refuse_large_metadata(path, meta.file_size)
        text = archive.read(meta)
        unpacked = tempfile.TemporaryFile()
        with archive.open(data) as packed:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        size = unpacked.tell()
    return Container(path, f"{path.name}:{meta.filename}", text, unpacked, 0, size)


def _refuse_hostile(path: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        raise RecordingError(f"{path}: member {name!r} climbs out of the archive; do not trust it")


def _refuse_large_metadata(path: Path, size: int) -> None:
    if size > _MAX_META_BYTES:
        raise RecordingError(
            f"{path}: its metadata has {size} bytes, at most {_MAX_META_BYTES} are read"
        )


def _only(path: Path, found: list[_Member], suffix: str) -> _Member:
    if len(found) != 1:
        raise RecordingError(
            f"{path}: holds {len(found)} {suffix} files, one is needed; unpack it and open one pair"
        )
    return found[0]
