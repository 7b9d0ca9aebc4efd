"""Writing recordings: streamed to temporary names, hashed on the way, renamed at the end."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    annotation_entry,
    capture_entry,
    check_extent,
    metadata_tree,
    parse_metadata,
    render_tree,
)
from phyemu.iq.partial import PartialRecording, recording_entry
from phyemu.iq.sample_format import first_non_finite, sample_format
from phyemu.iq.unfinished import Names, names_of

__all__ = ["RecordingWriter", "write_recording"]

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
    to `NAME.partial` in the same folder and are hashed on their way, metadata to a journal beside
    it; both get their name when the recording is closed. Archives hold the samples first: their
    place is fixed before their length is known, so nothing is copied at the end.

    When the process is killed, both files stay, and `phyemu.iq.repair_recording` finishes them.

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
            force: Whether an existing recording may be replaced, or one that was interrupted.

        Raises:
            RecordingError: It exists already, was interrupted, is being written, cannot be
                written, or a value is not allowed.
        """
        self._names = _target(Path(path))
        self.path = self._names.path
        for there in dict.fromkeys((self.path, self._names.data)):
            if there.exists() and not force:
                raise RecordingError(f"{there}: exists already; name another file, or use --force")
        self._format = sample_format(datatype, where=f"{self.path}: core:datatype")
        self._sample_rate_hz = sample_rate_hz
        self._num_channels = num_channels
        self._globals: dict[str, Any] = {"core:recorder": "phyemu"}
        if description is not None:
            self._globals["core:description"] = description
        for key, value in (global_fields or {}).items():
            self._take_global(key, value)
        self._captures = [CaptureSegment(sample_start=0, center_frequency_hz=center_frequency_hz)]
        self._annotations: list[Annotation] = []
        self.num_samples = 0
        self.num_clipped = 0
        self._hash = hashlib.sha512()
        self._finished = self._aborted = False
        tree = self._tree(None)
        try:
            self._partial = PartialRecording(self._names, tree, force=force)
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
                written), or a disk that is full or fails (what fitted stays, and the recording can
                be closed).
        """
        if self._finished or self._aborted:
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
            try:
                self._partial.append(stored_bytes, self.num_samples + len(chunk))
            except OSError as error:
                raise self._unwritable(error) from error
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
        """Begin a capture segment at the next sample; one that has no samples yet is replaced.

        Raises:
            RecordingError: A field is no JSON value, or the disk is full or fails.
        """
        before = self._captures[-1]
        replaces = before.sample_start == self.num_samples
        if replaces:
            datetime = datetime or before.datetime
            if center_frequency_hz is None:
                center_frequency_hz = before.center_frequency_hz
        segment = CaptureSegment(
            sample_start=self.num_samples,
            global_index=global_index,
            center_frequency_hz=center_frequency_hz,
            datetime=datetime,
            fields=dict(fields or {}),
        )
        # In the journal first: samples after a gap must never stand there without it.
        self._note("capture", capture_entry(segment))
        if replaces:
            self._captures.pop()
        self._captures.append(segment)

    @property
    def captures(self) -> tuple[CaptureSegment, ...]:
        """Return the segments begun so far, ascending."""
        return tuple(self._captures)

    def annotate(self, annotation: Annotation) -> None:
        """Add an annotation; it may refer to samples that come later.

        Raises:
            RecordingError: It starts before the recording, has a negative length or a field that
                is no JSON value; or the disk is full or fails.
        """
        if annotation.sample_start < 0 or (annotation.sample_count or 0) < 0:
            raise RecordingError(
                f"{self.path}: an annotation needs sample_start and sample_count >= 0, got "
                f"{annotation.sample_start} and {annotation.sample_count}"
            )
        self._note("annotation", annotation_entry(annotation), soon=True)
        self._annotations.append(annotation)

    def set_global(self, key: str, value: Any) -> None:
        """Set a key of the global object, such as what is known only at the end.

        Raises:
            RecordingError: The writer itself states that key, the value is no JSON value, or the
                disk is full or fails.
        """
        self._take_global(key, value)
        stated = replace(self._metadata(None), captures=(), annotations=())
        self._note("recording", recording_entry(metadata_tree(stated)))

    def _take_global(self, key: str, value: Any) -> None:
        if key in _RESERVED:
            raise RecordingError(f"{self.path}: {key} is stated by the writer; leave it out")
        self._globals[key] = value

    def close(self) -> Path:
        """Finish the recording, give it its name, and return that path.

        Raises:
            RecordingError: It holds no samples, then nothing is left behind; or its metadata are
                not valid SigMF, or the disk is full or fails: then what was written stays, for
                `phyemu.iq.repair_recording`.
        """
        if self._aborted:
            raise RecordingError(f"{self.path}: was given up; start another recording")
        if self._finished:
            return self.path
        if self.num_samples == 0:
            self.abort()
            raise RecordingError(f"{self.path}: no samples were written; nothing is kept")
        remedy = f"its samples are kept: phyemu inspect --repair {self.path}"
        if len(self._captures) > 1 and self._captures[-1].sample_start == self.num_samples:
            self._captures.pop()  # nothing came after that gap
        try:
            tree = self._tree(self._hash.hexdigest())
            self._partial.finish(tree, render_tree(tree, where=str(self.path)).encode())
        except RecordingError as error:
            self.leave()
            raise RecordingError(f"{error}; {remedy}") from error
        except OSError as error:
            self.leave()
            raise RecordingError(
                f"{self.path}: cannot be finished ({error.strerror}); {remedy}"
            ) from error
        except BaseException:
            self.leave()
            raise
        self._finished = True
        return self.path

    def abort(self) -> None:
        """Give up; nothing is left behind. A recording that is closed stays."""
        if not self._finished:
            self._aborted = True
            self._partial.discard()

    def leave(self) -> None:
        """Stop without finishing: samples and journal stay, as if the process had been killed.

        Without samples it gives up.
        """
        if self.num_samples == 0:
            self.abort()
        elif not (self._finished or self._aborted):
            self._aborted = True
            self._partial.leave()

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

    def _metadata(self, sha512: str | None) -> Metadata:
        """Return the metadata as they stand."""
        return Metadata(
            datatype=self._format.datatype,
            sample_rate_hz=self._sample_rate_hz,
            num_channels=self._num_channels,
            sha512=sha512,
            global_fields=self._globals,
            captures=tuple(self._captures),
            annotations=tuple(self._annotations),
        )

    def _tree(self, sha512: str | None) -> dict[str, Any]:
        """Return the metadata as SigMF's tree; what we would refuse to read is refused here."""
        metadata, where = self._metadata(sha512), str(self.path)
        tree = metadata_tree(metadata)
        parse_metadata(render_tree(tree, where=where), where=where)
        if sha512 is not None:
            check_extent(metadata, self.num_samples, where=where)
        return tree

    def _note(self, kind: str, entry: Mapping[str, Any], *, soon: bool = False) -> None:
        """Put an entry into the journal."""
        if self._finished or self._aborted:
            return  # it would come too late; whoever closes again is told
        try:
            self._partial.note(kind, entry, soon=soon)
        except (TypeError, ValueError) as error:
            raise RecordingError(
                f"{self.path}: a field of the metadata is no JSON value ({error})"
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> RecordingError:
        return RecordingError(
            f"{self.path}: cannot be written ({error.strerror}); make room, or choose another "
            "folder"
        )


def _target(path: Path) -> Names:
    """Return the names of what the user asked for."""
    name = path.name.lower()
    if name.endswith((".sigmf.gz", ".sigmf.xz", ".sigmf.zip")):
        raise RecordingError(
            f"{path}: compressed archives are read, not written; name it .sigmf and compress it"
        )
    return names_of(path)


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
