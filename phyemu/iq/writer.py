"""Writing recordings: streamed to a temporary name, hashed on the way, renamed at the end."""

import datetime as clock
import hashlib
import os
import tarfile
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
    parse_metadata,
    render_metadata,
)
from phyemu.iq.sample_format import sample_format

__all__ = ["RecordingWriter", "write_recording"]

_TAR_BLOCK = 512


class RecordingWriter:
    """Writes a recording; use it in a `with` block, where an exception leaves nothing behind.

    A path that ends in `.sigmf` becomes an archive, any other a pair beside each other. Archives
    hold the samples first: their place is fixed before their length is known, so nothing is
    copied at the end.

    Attributes:
        path: What will be there when it is closed (the metadata file of a pair).
        num_samples: Samples per channel written so far.
        num_clipped: How many of them had to be clipped to full scale.
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
            sample_rate_hz: Samples per second [Hz].
            datatype: How samples are stored.
            num_channels: Interleaved channels.
            center_frequency_hz: Carrier of the first segment [Hz].
            description: core:description.
            global_fields: More keys of the global object.
            force: Whether an existing recording may be replaced.

        Raises:
            RecordingError: It exists already, cannot be written, or a value is not allowed.
        """
        target = Path(path)
        self._archive = target.suffix == ".sigmf"
        if not self._archive and target.suffix != ".sigmf-meta":
            base = target.with_suffix("") if target.suffix == ".sigmf-data" else target
            target = base.with_name(base.name + ".sigmf-meta")
        self.path = target
        if self.path.exists() and not force:
            raise RecordingError(f"{self.path}: exists already; name another file, or use --force")
        if num_channels < 1:
            raise RecordingError(
                f"{self.path}: num_channels must be at least 1, got {num_channels}"
            )
        self._format = sample_format(datatype, where=f"{self.path}: core:datatype")
        globals_ = dict(global_fields or {})
        globals_.setdefault("core:recorder", "phyemu")
        if description is not None:
            globals_["core:description"] = description
        self._sample_rate_hz = sample_rate_hz
        self._num_channels = num_channels
        self._globals = globals_
        self._captures = [
            CaptureSegment(
                sample_start=0,
                center_frequency_hz=center_frequency_hz,
                datetime=clock.datetime.now(clock.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            )
        ]
        self._annotations: list[Annotation] = []
        self.num_samples = 0
        self.num_clipped = 0
        self._hash = hashlib.sha512()
        parse_metadata(render_metadata(self._metadata()), where=str(self.path))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._partial = self.path.with_name(f".{self.path.stem}.{os.getpid()}.partial")
            self._file = self._partial.open("wb")
            if self._archive:
                self._file.write(bytes(_TAR_BLOCK))
        except OSError as error:
            raise RecordingError(
                f"{self.path}: cannot be written ({error.strerror}); choose another folder"
            ) from error

    def write(self, iq: NDArray[np.complex64]) -> None:
        """Append samples.

        Args:
            iq: (num_samples,) for one channel, else (num_channels, num_samples), complex.

        Raises:
            RecordingError: Wrong shape, a sample that is NaN or infinite, or a full disk.
        """
        iq = np.asarray(iq)
        channels = iq[None] if iq.ndim == 1 else iq
        if channels.ndim != 2 or channels.shape[0] != self._num_channels:
            raise RecordingError(
                f"{self.path}: samples must be ({self._num_channels}, n), got {iq.shape}"
            )
        frames = np.ascontiguousarray(channels.T, np.complex64)
        if not np.isfinite(frames.sum(dtype=np.complex128)):
            bad = np.argwhere(~np.isfinite(frames))
            if bad.size:
                raise RecordingError(
                    f"{self.path}: sample {self.num_samples + int(bad[0, 0])} is NaN or infinite; "
                    "correct what makes it"
                )
        stored, clipped = self._format.encode(frames)
        block = np.ascontiguousarray(stored).data
        try:
            self._file.write(block)
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be written ({error.strerror})") from error
        self._hash.update(block)
        self.num_samples += frames.shape[0]
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
        """Add an annotation; it may refer to samples that come later."""
        self._annotations.append(annotation)

    def set_global(self, key: str, value: Any) -> None:
        """Set a key of the global object, such as what is known only at the end."""
        self._globals[key] = value

    def close(self) -> Path:
        """Finish the recording, give it its name, and return that path.

        Raises:
            RecordingError: The metadata is not valid SigMF; nothing is left behind.
        """
        try:
            text = render_metadata(self._metadata(self._hash.hexdigest()))
            parse_metadata(text, where=str(self.path))
            if self._archive:
                self._finish_archive(text.encode())
            else:
                self._finish_pair(text.encode())
        except OSError as error:
            self.abort()
            raise RecordingError(f"{self.path}: cannot be written ({error.strerror})") from error
        except BaseException:
            self.abort()
            raise
        return self.path

    def abort(self) -> None:
        """Give up; nothing is left behind."""
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
        elif not self._file.closed:
            self.close()

    def _metadata(self, sha512: str | None = None) -> Metadata:
        return Metadata(
            datatype=self._format.datatype,
            sample_rate_hz=self._sample_rate_hz,
            num_channels=self._num_channels,
            sha512=sha512,
            global_fields=self._globals,
            captures=tuple(self._captures),
            annotations=tuple(self._annotations),
        )

    def _finish_archive(self, text: bytes) -> None:
        name = self.path.stem
        size = self._file.tell() - _TAR_BLOCK
        self._file.write(bytes(-size % _TAR_BLOCK))
        self._file.write(_header(f"{name}/{name}.sigmf-meta", len(text)))
        self._file.write(text + bytes(-len(text) % _TAR_BLOCK))
        self._file.write(bytes(2 * _TAR_BLOCK))
        self._file.seek(0)
        self._file.write(_header(f"{name}/{name}.sigmf-data", size))
        self._sync()
        self._partial.replace(self.path)

    def _finish_pair(self, text: bytes) -> None:
        self._sync()
        meta = self._partial.with_suffix(".meta-partial")
        meta.write_bytes(text)
        self._partial.replace(self.path.with_suffix(".sigmf-data"))
        meta.replace(self.path)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    # GNU format writes sizes beyond 8 GiB in base 256 within the one block that was kept free.
    header = member.tobuf(tarfile.GNU_FORMAT)
    if len(header) != _TAR_BLOCK:
        raise RecordingError(f"{name}: too long a name for an archive; choose one below 40 letters")
    return header


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
