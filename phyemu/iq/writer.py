"""Writing recordings: streamed to a temporary name, hashed on the way, renamed at the end."""

import hashlib
import os
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RecordingError
from phyemu.iq.metadata import (
    Annotation,
    CaptureSegment,
    Metadata,
    check_extent,
    parse_metadata,
    render_metadata,
)
from phyemu.iq.sample_format import first_non_finite, sample_format

__all__ = ["RecordingWriter", "write_recording"]

_TAR_BLOCK = 512
# Components of this many samples stay in the second-level cache while they are scaled and hashed.
_CHUNK_SAMPLES = 1 << 15
# What the writer itself states, or what does not fit what it writes.
_RESERVED = frozenset(
    f"core:{key}"
    for key in (
        "datatype",
        "dataset",
        "metadata_only",
        "num_channels",
        "offset",
        "sample_rate",
        "sha512",
        "trailing_bytes",
        "version",
    )
)


class RecordingWriter:
    """Writes a recording; use it in a `with` block, where an exception leaves nothing behind.

    A path that ends in `.sigmf` becomes an archive, any other a pair beside each other. Samples go
    to a hidden file `.NAME.*.partial` in the same folder, are hashed on their way, and get their
    name when the recording is closed. Archives hold the samples first: their place is fixed before
    their length is known, so nothing is copied at the end.

    Attributes:
        path: What will be there when it is closed (the metadata file of a pair).
        num_samples: Samples per channel written so far.
        num_clipped: How many samples (of any channel) had to be clipped to full scale.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        sample_rate_hz: float,
        datatype: str = "ci16_le",
        num_channels: int = 1,
        center_frequency_hz: float | None = None,
        description: str | None = None,
        global_fields: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> None:
        """Start a recording.

        Args:
            path: Name of the archive (.sigmf) or of the pair (.sigmf-meta, or the base name).
            sample_rate_hz: Samples per second [Hz], > 0.
            datatype: How samples are stored.
            num_channels: Interleaved channels, >= 1.
            center_frequency_hz: Carrier of the first segment [Hz].
            description: core:description.
            global_fields: More keys of the global object.
            force: Whether an existing recording may be replaced.

        Raises:
            RecordingError: It exists already, cannot be written, or a value is not allowed.
        """
        self.path, self._archive = _target(Path(path))
        for there in (self.path,) if self._archive else (self.path, self._data_path):
            if there.exists() and not force:
                raise RecordingError(f"{there}: exists already; name another file, or use --force")
        self._format = sample_format(datatype, where=f"{self.path}: core:datatype")
        self._sample_rate_hz = sample_rate_hz
        self._num_channels = num_channels
        self._globals: dict[str, Any] = {"core:recorder": "phyemu"}
        if description is not None:
            self._globals["core:description"] = description
        for key, value in (global_fields or {}).items():
            self.set_global(key, value)
        self._captures = [CaptureSegment(sample_start=0, center_frequency_hz=center_frequency_hz)]
        self._annotations: list[Annotation] = []
        self.num_samples = 0
        self.num_clipped = 0
        self._hash = hashlib.sha512()
        self._finished = self._aborted = False
        self._render(None)
        name = self.path.stem
        # In an archive the header of the data waits here for its size, which is known at the end.
        self._data_start = len(_tar_header(f"{name}/{name}.sigmf-data", 0)) if self._archive else 0
        self._position = self._data_start
        self._partial = self.path.with_name(f".{name[:40]}.{uuid.uuid4().hex[:12]}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("xb", buffering=0)
            self._file.seek(self._position)
        except OSError as error:
            raise RecordingError(
                f"{self.path}: cannot be written ({error.strerror}); choose another folder"
            ) from error

    def write(self, iq: NDArray[np.complexfloating[Any]]) -> None:
        """Append samples, all of them or, when it fails, whole chunks of 32768 from the front.

        Args:
            iq: (num_samples,) for one channel, else (num_channels, num_samples), complex.

        Raises:
            RecordingError: Wrong shape or type, a sample that is NaN or infinite (then none is
                written), or a full disk (what fitted stays, and the recording can be closed).
        """
        if self._file.closed:
            raise RecordingError(f"{self.path}: is closed; start another recording")
        iq = np.asarray(iq)
        channels = iq[None] if iq.ndim == 1 else iq
        if channels.ndim != 2 or channels.shape[0] != self._num_channels:
            raise RecordingError(
                f"{self.path}: samples must be ({self._num_channels}, num_samples), got {iq.shape}"
            )
        if not np.iscomplexobj(iq):
            raise RecordingError(f"{self.path}: samples must be complex, got {iq.dtype}")
        starts = range(0, channels.shape[1], _CHUNK_SAMPLES)
        for start in starts:
            with np.errstate(over="ignore", invalid="ignore"):
                chunk = channels[:, start : start + _CHUNK_SAMPLES]
                bad = first_non_finite(np.ascontiguousarray(chunk, np.complex64))
            if bad is not None:
                raise RecordingError(
                    f"{self.path}: sample {self.num_samples + start + bad} is NaN, infinite or "
                    "beyond single precision; correct what makes it"
                )
        for start in starts:
            # As stored, (num_samples, num_channels); no copy for one plain channel.
            chunk = channels[:, start : start + _CHUNK_SAMPLES].T
            stored, clipped = self._format.encode(np.ascontiguousarray(chunk, np.complex64))
            stored_bytes = stored.reshape(-1).view(np.uint8).data
            self._append(stored_bytes)
            self._hash.update(stored_bytes)
            self.num_samples += len(chunk)
            self.num_clipped += clipped

    def start_segment(
        self,
        *,
        center_frequency_hz: float | None = None,
        global_index: int | None = None,
        datetime: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a capture segment at the next sample; one that has no samples yet is replaced."""
        if self._captures[-1].sample_start == self.num_samples:
            before = self._captures.pop()
            datetime = datetime or before.datetime
            if center_frequency_hz is None:
                center_frequency_hz = before.center_frequency_hz
        self._captures.append(
            CaptureSegment(
                sample_start=self.num_samples,
                global_index=global_index,
                center_frequency_hz=center_frequency_hz,
                datetime=datetime,
                fields=dict(fields or {}),
            )
        )

    def annotate(self, annotation: Annotation) -> None:
        """Add an annotation; it may refer to samples that come later.

        Raises:
            RecordingError: It starts before the recording, or has a negative length.
        """
        if annotation.sample_start < 0 or (annotation.sample_count or 0) < 0:
            raise RecordingError(
                f"{self.path}: an annotation needs sample_start and sample_count >= 0, got "
                f"{annotation.sample_start} and {annotation.sample_count}"
            )
        self._annotations.append(annotation)

    def set_global(self, key: str, value: Any) -> None:
        """Set a key of the global object, such as what is known only at the end.

        Raises:
            RecordingError: The writer itself states that key.
        """
        if key in _RESERVED:
            raise RecordingError(f"{self.path}: {key} is stated by the writer; leave it out")
        self._globals[key] = value

    def close(self) -> Path:
        """Finish the recording, give it its name, and return that path.

        Raises:
            RecordingError: It holds no samples, or its metadata is not valid SigMF; nothing is
                left behind.
        """
        if self._aborted:
            raise RecordingError(f"{self.path}: was given up; start another recording")
        if self._finished:
            return self.path
        try:
            if self.num_samples == 0:
                raise RecordingError(f"{self.path}: no samples were written; nothing is kept")
            text = self._render(self._hash.hexdigest()).encode()
            if self._archive:
                self._finish_archive(text)
            else:
                self._finish_pair(text)
        except OSError as error:
            self.abort()
            raise RecordingError(f"{self.path}: cannot be written ({error.strerror})") from error
        except BaseException:
            self.abort()
            raise
        self._finished = True
        return self.path

    def abort(self) -> None:
        """Give up; nothing is left behind. A recording that is closed stays."""
        if not self._finished:
            self._aborted = True
            self._file.close()
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish, or give up when there was an exception."""
        if kind is not None:
            self.abort()
        elif not self._aborted:
            self.close()

    @property
    def _data_path(self) -> Path:
        return self.path.with_suffix(".sigmf-data")

    def _render(self, sha512: str | None) -> str:
        """Return the metadata as they stand; what we would refuse to read is refused here."""
        metadata = Metadata(
            datatype=self._format.datatype,
            sample_rate_hz=self._sample_rate_hz,
            num_channels=self._num_channels,
            sha512=sha512,
            global_fields=self._globals,
            captures=tuple(self._captures),
            annotations=tuple(self._annotations),
        )
        where = str(self.path)
        text = render_metadata(metadata, where=where)
        parse_metadata(text, where=where)
        if sha512 is not None:
            check_extent(metadata, self.num_samples, where=where)
        return text

    def _append(self, chunk: memoryview | bytes) -> None:
        """Write all of a chunk, or none of it."""
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            self._file.truncate(self._position)
            self._file.seek(self._position)
            raise RecordingError(
                f"{self.path}: cannot be written ({error.strerror}); make room, or choose another "
                "folder"
            ) from error
        self._position += len(chunk)

    def _finish_archive(self, text: bytes) -> None:
        name = self.path.stem
        size = self._position - self._data_start
        self._append(bytes(-size % _TAR_BLOCK))
        self._append(_tar_header(f"{name}/{name}.sigmf-meta", len(text)))
        # Two empty blocks end a tar file.
        self._append(text + bytes(-len(text) % _TAR_BLOCK + 2 * _TAR_BLOCK))
        self._file.seek(0)
        self._file.write(_tar_header(f"{name}/{name}.sigmf-data", size))
        self._sync()
        self._partial.replace(self.path)

    def _finish_pair(self, text: bytes) -> None:
        meta = self._partial.with_name(self._partial.name + "-meta")
        try:
            with meta.open("xb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._sync()
            # Old metadata must never describe new samples, whenever this is interrupted.
            self.path.unlink(missing_ok=True)
            self._partial.replace(self._data_path)
            try:
                meta.replace(self.path)
            except OSError:
                self._data_path.unlink()
                raise
        finally:
            meta.unlink(missing_ok=True)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def _target(path: Path) -> tuple[Path, bool]:
    """Return the file that the user will open, and whether it is an archive."""
    name = path.name.lower()
    if name.endswith((".sigmf.gz", ".sigmf.xz", ".sigmf.zip")):
        raise RecordingError(
            f"{path}: compressed archives are read, not written; name it .sigmf and compress it"
        )
    if path.suffix in (".sigmf", ".sigmf-meta"):
        return path, path.suffix == ".sigmf"
    base = path.with_suffix("") if path.suffix == ".sigmf-data" else path
    return base.with_name(base.name + ".sigmf-meta"), False


def _tar_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    # GNU headers write sizes beyond 8 GiB in base 256, so their length does not depend on it.
    return member.tobuf(tarfile.GNU_FORMAT)


def write_recording(
    path: Path | str,
    iq: NDArray[np.complex64],
    *,
    sample_rate_hz: float,
    datatype: str = "ci16_le",
    center_frequency_hz: float | None = None,
    description: str | None = None,
    global_fields: Mapping[str, Any] | None = None,
    annotations: Sequence[Annotation] = (),
    force: bool = False,
) -> Path:
    """Write samples that are in memory, and return the path; arguments as `RecordingWriter`.

    Args:
        iq: (num_samples,) or (num_channels, num_samples), complex.
        annotations: Notes to store.
    """
    num_channels = 1 if np.ndim(iq) == 1 else int(np.shape(iq)[0])
    with RecordingWriter(
        path,
        sample_rate_hz=sample_rate_hz,
        datatype=datatype,
        num_channels=num_channels,
        center_frequency_hz=center_frequency_hz,
        description=description,
        global_fields=global_fields,
        force=force,
    ) as writer:
        writer.write(iq)
        for annotation in annotations:
            writer.annotate(annotation)
        return writer.close()
