"""An open recording: its metadata, and its samples as complex64, mapped and never loaded whole."""

import hashlib
import mmap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RecordingError
from phyemu.iq.container import Container, open_container
from phyemu.iq.metadata import (
    Annotation,
    CaptureSegment,
    Metadata,
    check_extent,
    parse_metadata,
)
from phyemu.iq.sample_format import SampleFormat, first_non_finite, sample_format

__all__ = ["Recording", "open_recording"]

_HASH_BLOCK = 1 << 22


class Recording:
    """A SigMF recording that is open for reading; close it, or use it in a `with` block.

    Attributes:
        path: The file it was opened from.
        metadata: All of its metadata.
        num_samples: Samples per channel, at least 1.
    """

    def __init__(
        self, container: Container, metadata: Metadata, layout: SampleFormat, skip_bytes: int
    ) -> None:
        """Map the samples; use `open_recording`."""
        self.path = container.path
        self.metadata = metadata
        self._container = container
        self._format = layout
        frame_bytes = layout.sample_bytes * metadata.num_channels
        skipped = skip_bytes + int(metadata.global_fields.get("core:trailing_bytes", 0))
        self.num_samples = (container.data_bytes - skipped) // frame_bytes
        mapped = mmap.mmap(container.data_file.fileno(), 0, access=mmap.ACCESS_READ)
        self._stored: NDArray[np.generic] | None = np.frombuffer(
            mapped,
            layout.component,
            self.num_samples * metadata.num_channels * 2,
            container.data_offset + skip_bytes,
        ).reshape(self.num_samples, metadata.num_channels, 2)

    @property
    def datatype(self) -> str:
        """SigMF's name of the stored type."""
        return self._format.datatype

    @property
    def is_float(self) -> bool:
        """Whether samples are stored as floating point."""
        return self._format.is_float

    @property
    def resolution(self) -> float:
        """Step between two stored integer values, full scale 1."""
        return 1.0 / self._format.full_scale

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second [Hz]."""
        return self.metadata.sample_rate_hz

    @property
    def num_channels(self) -> int:
        """Number of interleaved channels."""
        return self.metadata.num_channels

    @property
    def duration_s(self) -> float:
        """Length of the samples that are there [s], gaps not counted."""
        return self.num_samples / self.sample_rate_hz

    @property
    def center_frequency_hz(self) -> float | None:
        """Carrier of the first segment [Hz]; None when unknown."""
        return self.captures[0].center_frequency_hz

    @property
    def global_fields(self) -> Mapping[str, Any]:
        """All keys of the global object."""
        return self.metadata.global_fields

    @property
    def captures(self) -> tuple[CaptureSegment, ...]:
        """Segments, ascending; at least one."""
        return self.metadata.captures

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Annotations, ascending."""
        return self.metadata.annotations

    @property
    def lost_samples(self) -> int | None:
        """Samples missing between the segments; None when `global_index` does not tell."""
        lost = 0
        for before, after in pairwise(self.captures):
            if before.global_index is None or after.global_index is None:
                return None
            kept = after.sample_start - before.sample_start
            lost += after.global_index - before.global_index - kept
        return lost

    @property
    def sha512(self) -> str | None:
        """Hash that the metadata states; None when it states none."""
        return self.metadata.sha512

    def read(
        self, sample_start: int = 0, sample_count: int | None = None, *, channel: int = 0
    ) -> NDArray[np.complex64]:
        """Return samples of one channel, (num_samples,), full scale 1.

        Args:
            sample_start: First sample, 0 to num_samples.
            sample_count: How many; None for all up to the end.
            channel: Which channel, from 0.

        Raises:
            RecordingError: The stretch or the channel does not exist, or a sample is NaN or
                infinite.
        """
        if not 0 <= channel < self.num_channels:
            raise RecordingError(
                f"{self.path}: no channel {channel}; it has {self.num_channels}, counted from 0"
            )
        stored = self._stretch(sample_start, sample_count)[:, channel]
        return self._decode(stored, sample_start)

    def read_channels(
        self, sample_start: int = 0, sample_count: int | None = None
    ) -> NDArray[np.complex64]:
        """Return samples of all channels, (num_channels, num_samples), full scale 1.

        Raises:
            RecordingError: As for `read`.
        """
        stored = self._stretch(sample_start, sample_count).transpose(1, 0, 2)
        return self._decode(stored, sample_start)

    def blocks(
        self, block_samples: int = 1 << 20, *, channel: int = 0
    ) -> Iterator[NDArray[np.complex64]]:
        """Yield the samples of one channel in order, `block_samples` at a time.

        Raises:
            RecordingError: As for `read`; or `block_samples` is below 1.
        """
        if block_samples < 1:
            raise RecordingError(f"{self.path}: block_samples must be >= 1, got {block_samples}")
        for start in range(0, self.num_samples, block_samples):
            yield self.read(start, min(block_samples, self.num_samples - start), channel=channel)

    def verify(self) -> bool | None:
        """Return whether the samples match the hash in the metadata; None when it states none.

        Raises:
            RecordingError: The recording is closed.
        """
        if self._stored is None:
            raise self._closed()
        if self.sha512 is None:
            return None
        digest = hashlib.sha512()
        file = self._container.data_file
        file.seek(self._container.data_offset)
        left = self._container.data_bytes
        while left > 0:
            block = file.read(min(_HASH_BLOCK, left))
            if not block:
                return False
            digest.update(block)
            left -= len(block)
        return digest.hexdigest() == self.sha512

    def close(self) -> None:
        """Close the file; samples that were read stay valid."""
        self._stored = None
        self._container.data_file.close()

    def __enter__(self) -> Self:
        """Return the recording."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def _closed(self) -> RecordingError:
        return RecordingError(f"{self.path}: is closed; open it again")

    def _stretch(self, sample_start: int, sample_count: int | None) -> NDArray[np.generic]:
        if self._stored is None:
            raise self._closed()
        count = self.num_samples - sample_start if sample_count is None else sample_count
        if sample_start < 0 or count < 0 or sample_start + count > self.num_samples:
            raise RecordingError(
                f"{self.path}: samples {sample_start} to {sample_start + count} were asked for, "
                f"it has {self.num_samples}"
            )
        return self._stored[sample_start : sample_start + count]

    def _decode(self, stored: NDArray[np.generic], sample_start: int) -> NDArray[np.complex64]:
        iq = self._format.decode(stored)
        bad = first_non_finite(iq) if self._format.is_float else None
        if bad is not None:
            raise RecordingError(
                f"{self.path}: sample {sample_start + bad} is NaN, infinite or beyond single "
                "precision; read around it, or record again"
            )
        return iq


def open_recording(path: Path | str, *, verify: bool = False) -> Recording:
    """Return the recording at `path`, open for reading.

    Args:
        path: `.sigmf` archive (also .gz, .xz, .zip), `.sigmf-meta`, `.sigmf-data`, or base name.
        verify: Check the hash of the samples first (seconds per gigabyte).

    Raises:
        RecordingError: Missing, damaged, contradictory or hostile; the message names the field.
    """
    container = open_container(Path(path))
    try:
        return _open(container, verify)
    except BaseException:
        container.data_file.close()
        raise


def _open(container: Container, verify: bool) -> Recording:
    where = container.meta_name
    metadata = parse_metadata(container.meta_text, where=where)
    layout = sample_format(metadata.datatype, where=f"{where}: core:datatype")
    for index, segment in enumerate(metadata.captures[1:], start=1):
        if segment.header_bytes:
            raise RecordingError(
                f"{where}: captures/{index}: core:header_bytes between segments is not supported; "
                "convert the recording to plain SigMF samples"
            )
    skip_bytes = metadata.captures[0].header_bytes
    skipped = skip_bytes + int(metadata.global_fields.get("core:trailing_bytes", 0))
    sample_bytes = container.data_bytes - skipped
    if sample_bytes <= 0:
        raise RecordingError(f"{container.path}: its data file holds no samples; record again")
    frame_bytes = layout.sample_bytes * metadata.num_channels
    if sample_bytes % frame_bytes:
        raise RecordingError(
            f"{container.path}: its data has {sample_bytes} bytes, no whole number of "
            f"{metadata.datatype} samples in {metadata.num_channels} channels ({frame_bytes} bytes "
            "each): truncated, or core:datatype or core:num_channels is wrong"
        )
    recording = Recording(container, metadata, layout, skip_bytes)
    check_extent(metadata, recording.num_samples, where=where)
    if verify and recording.verify() is False:
        raise RecordingError(
            f"{container.path}: its samples do not match core:sha512; they were changed or "
            "damaged, so copy it again"
        )
    return recording
