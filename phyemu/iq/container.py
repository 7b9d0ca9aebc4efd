"""Where the metadata and the samples of a recording lie: pair, archive or compressed archive.

Every file of a recording is taken for hostile: nothing is unpacked by name, members that climb out
of the archive, links and devices are refused, and sizes are checked before memory is taken.
"""

import gzip
import json
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from sigmf import SIGMF_ARCHIVE_EXTS, SIGMF_DATASET_EXT, SIGMF_METADATA_EXT

from phyemu.errors import RecordingError
from phyemu.iq.unfinished import JOURNAL_EXT, PARTIAL_EXT, refuse_unfinished

__all__ = ["Container", "open_container"]

_Member = TypeVar("_Member", tarfile.TarInfo, zipfile.ZipInfo)
_ARCHIVES = tuple(sorted(SIGMF_ARCHIVE_EXTS, key=len))
_MAX_META_BYTES = 256 << 20
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Container:
    """The bytes of one recording.

    Attributes:
        path: The file that the user named, or that its base name stood for.
        meta_name: Name of the metadata, for messages.
        meta_text: Its content.
        data_file: Open file that holds the samples; an anonymous one for compressed archives.
        data_offset: First byte of the dataset in it.
        data_bytes: Bytes of the dataset.
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
    with ExitStack() as on_failure:
        try:
            if resolved.name.lower().endswith(_ARCHIVES):
                container = _open_archive(resolved, on_failure)
            else:
                container = _open_pair(resolved, on_failure)
        except OSError as error:
            reason = error.strerror or error
            raise RecordingError(f"{resolved}: cannot be read ({reason})") from error
        on_failure.pop_all()
    return container


def _resolve(path: Path) -> Path:
    """Return the file to open; a finished recording wins over an unfinished one of its name."""
    if path.suffix == SIGMF_DATASET_EXT:
        path = path.with_suffix(SIGMF_METADATA_EXT)
    if path.is_file() and not path.name.endswith((PARTIAL_EXT, JOURNAL_EXT)):
        return path
    for suffix in (SIGMF_METADATA_EXT, *_ARCHIVES):
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            return beside
    refuse_unfinished(path)
    if path.suffix == SIGMF_METADATA_EXT:
        return path  # whose data may be there
    raise RecordingError(
        f"{path}: no such recording; looked for it, and for {path.name} with "
        f"{SIGMF_METADATA_EXT}, {', '.join(_ARCHIVES)}"
    )


def _open_pair(path: Path, on_failure: ExitStack) -> Container:
    if path.suffix != SIGMF_METADATA_EXT:
        raise RecordingError(
            f"{path}: no SigMF name; it must end in {SIGMF_METADATA_EXT}, {SIGMF_DATASET_EXT} or "
            f"{', '.join(_ARCHIVES)}"
        )
    if not path.is_file():
        raise RecordingError(f"{path}: the metadata file is missing beside the data")
    _refuse_large_metadata(path, path.stat().st_size)
    text = path.read_bytes()
    data_path = path.with_suffix(SIGMF_DATASET_EXT)
    if not data_path.is_file():
        foreign = _foreign_dataset(text)
        if foreign is None:
            raise RecordingError(f"{path}: its data file {data_path.name} is missing beside it")
        data_path = path.with_name(foreign)
        if not data_path.is_file():
            raise RecordingError(f"{path}: its core:dataset {foreign} is missing beside it")
    data_file = on_failure.enter_context(data_path.open("rb"))
    return Container(path, path.name, text, data_file, 0, data_path.stat().st_size)


def _foreign_dataset(meta_text: bytes) -> str | None:
    """Return the plain file name in core:dataset (samples within another format), or None."""
    try:
        name = json.loads(meta_text)["global"]["core:dataset"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None  # metadata that cannot be read is refused where it is parsed
    is_plain = isinstance(name, str) and name == PurePosixPath(name).name and "\\" not in name
    return name if is_plain else None


def _open_archive(path: Path, on_failure: ExitStack) -> Container:
    if path.stat().st_size == 0:
        raise RecordingError(f"{path}: is empty; copy it again")
    name = path.name.lower()
    try:
        if name.endswith(".zip"):
            return _open_zip(path, on_failure)
        if name.endswith(".sigmf"):
            return _open_tar(path, on_failure.enter_context(path.open("rb")))
        with (gzip.open if name.endswith(".gz") else lzma.open)(path, "rb") as packed:
            return _open_tar(path, _unpack(packed, on_failure))
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        gzip.BadGzipFile,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        NotImplementedError,  # a zip method that Python lacks
    ) as error:
        mend = "copy it again"
        if path.suffix == ".sigmf":
            mend += f", or save what is there with: phyemu inspect --repair {path}"
        raise RecordingError(
            f"{path}: is damaged, truncated, or not the kind of archive that its name says "
            f"({error}); {mend}"
        ) from error


def _unpack(packed: IO[bytes] | gzip.GzipFile | lzma.LZMAFile, on_failure: ExitStack) -> IO[bytes]:
    unpacked = on_failure.enter_context(tempfile.TemporaryFile())
    shutil.copyfileobj(packed, unpacked, _COPY_BYTES)
    unpacked.flush()  # it will be mapped
    return unpacked


def _open_tar(path: Path, file: IO[bytes]) -> Container:
    size = file.seek(0, 2)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        members = archive.getmembers()
    for member in members:
        _refuse_climbing(path, member.name)
        if not (member.isfile() or member.isdir()) or member.issparse():
            raise RecordingError(
                f"{path}: member {member.name!r} is a link, a device or sparse, which no SigMF "
                "archive holds; do not trust it"
            )
        if member.offset_data + member.size > size:
            raise RecordingError(
                f"{path}: truncated, {member.name} should have {member.size} bytes but "
                f"{max(0, size - member.offset_data)} are there; copy it again, or save what is "
                f"there with: phyemu inspect --repair {path}"
            )
    files = {member.name: member for member in members if member.isfile()}
    meta = files[_only(path, files, SIGMF_METADATA_EXT)]
    _refuse_large_metadata(path, meta.size)
    file.seek(meta.offset_data)
    text = file.read(meta.size)
    data = files[_dataset_member(path, files, text)]
    return Container(path, f"{path.name}:{meta.name}", text, file, data.offset_data, data.size)


def _open_zip(path: Path, on_failure: ExitStack) -> Container:
    with zipfile.ZipFile(path) as archive:
        files = {member.filename: member for member in archive.infolist() if not member.is_dir()}
        for name, member in files.items():
            _refuse_climbing(path, name)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise RecordingError(f"{path}: member {name!r} is a link; do not trust it")
            if member.flag_bits & 1:
                raise RecordingError(f"{path}: member {name!r} is encrypted; unpack it first")
        meta = files[_only(path, files, SIGMF_METADATA_EXT)]
        _refuse_large_metadata(path, meta.file_size)
        text = archive.read(meta)
        data = files[_dataset_member(path, files, text)]
        with archive.open(data) as packed:
            unpacked = _unpack(packed, on_failure)
        size = unpacked.tell()
    return Container(path, f"{path.name}:{meta.filename}", text, unpacked, 0, size)


def _refuse_climbing(path: Path, name: str) -> None:
    plain = name.replace("\\", "/")
    if plain.startswith("/") or ".." in PurePosixPath(plain).parts:
        raise RecordingError(f"{path}: member {name!r} climbs out of the archive; do not trust it")


def _refuse_large_metadata(path: Path, size: int) -> None:
    if size > _MAX_META_BYTES:
        raise RecordingError(
            f"{path}: its metadata has {size} bytes, at most {_MAX_META_BYTES} are read; remove "
            "annotations"
        )


def _dataset_member(path: Path, files: dict[str, _Member], meta_text: bytes) -> str:
    foreign = _foreign_dataset(meta_text)
    if foreign is not None and not any(name.endswith(SIGMF_DATASET_EXT) for name in files):
        return _only(path, files, foreign)
    return _only(path, files, SIGMF_DATASET_EXT)


def _only(path: Path, files: dict[str, _Member], suffix: str) -> str:
    found = [name for name in files if name.endswith(suffix)]
    if not found:
        raise RecordingError(f"{path}: holds no {suffix} file: truncated, or no SigMF archive")
    if len(found) > 1:
        raise RecordingError(
            f"{path}: holds {len(found)} recordings ({suffix} files); unpack it and name one"
        )
    return found[0]
