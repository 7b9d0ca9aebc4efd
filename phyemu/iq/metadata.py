"""SigMF metadata: checked once when read, then plain frozen values."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import sigmf.schema
from sigmf import __specification__

from phyemu.errors import RecordingError

__all__ = ["Annotation", "CaptureSegment", "Metadata", "parse_metadata", "render_metadata"]

_CORE = "core:"


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureSegment:
    """A stretch of samples without gap.

    Attributes:
        sample_start: Its first sample.
        global_index: Index of that sample in the stream it was taken from; None when unknown.
        center_frequency_hz: Carrier [Hz]; None when unknown.
        datetime: ISO 8601 time of the first sample; None when unknown.
        header_bytes: Bytes in the data file before the segment that are no samples.
        fields: The other keys of the segment.
    """

    sample_start: int
    global_index: int | None = None
    center_frequency_hz: float | None = None
    datetime: str | None = None
    header_bytes: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """A note on some samples.

    Attributes:
        sample_start: First sample.
        sample_count: Samples; None up to the end of the recording.
        label: Short label, such as "frame".
        comment: A sentence.
        fields: Other keys, such as "phyemu:frame_index".
    """

    sample_start: int
    sample_count: int | None = None
    label: str | None = None
    comment: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What the .sigmf-meta of a recording says.

    Attributes:
        datatype: As written, not yet interpreted.
        sample_rate_hz: Samples per second [Hz], > 0.
        num_channels: Interleaved channels, >= 1.
        sha512: Hash of the data file, lower case; None when there is none.
        global_fields: All keys of the global object.
        captures: Segments, ascending.
        annotations: Annotations, ascending.
    """

    datatype: str
    sample_rate_hz: float
    num_channels: int
    sha512: str | None
    global_fields: Mapping[str, Any]
    captures: tuple[CaptureSegment, ...]
    annotations: tuple[Annotation, ...]


def parse_metadata(text: bytes | str, *, where: str) -> Metadata:
    """Return checked metadata.

    Args:
        text: Content of the .sigmf-meta file.
        where: Its name, for messages.

    Raises:
        RecordingError: No JSON, or against SigMF's schema; the message names the field.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{where}: is no JSON ({error}); restore it from a backup") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("global"), dict):
        raise RecordingError(f"{where}: lacks the object 'global', it is no SigMF metadata")
    globals_ = tree["global"]
    rate = globals_.get("core:sample_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not _is_rate(rate):
        raise RecordingError(
            f"{where}: core:sample_rate must be a positive number of Hz, got {rate!r}; correct it"
        )
    try:
        jsonschema.validate(tree, sigmf.schema.get_schema())
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "global"
        raise RecordingError(f"{where}: {place}: {error.message}") from error
    captures = tuple(_capture(entry, where, index) for index, entry in enumerate(tree["captures"]))
    starts = [segment.sample_start for segment in captures]
    if starts != sorted(set(starts)):
        raise RecordingError(f"{where}: captures must start at ascending samples, got {starts[:5]}")
    annotations = tuple(_annotation(entry) for entry in tree["annotations"])
    digest = globals_.get("core:sha512")
    return Metadata(
        datatype=str(globals_["core:datatype"]),
        sample_rate_hz=float(rate),
        num_channels=int(globals_.get("core:num_channels", 1)),
        sha512=None if digest is None else str(digest).lower(),
        global_fields=globals_,
        captures=captures or (CaptureSegment(sample_start=0),),
        annotations=tuple(sorted(annotations, key=lambda note: note.sample_start)),
    )


def _is_rate(rate: float) -> bool:
    try:
        return math.isfinite(rate) and rate > 0
    except OverflowError:  # an integer beyond what a float holds
        return False


def _capture(entry: Mapping[str, Any], where: str, index: int) -> CaptureSegment:
    frequency = entry.get("core:frequency")
    if frequency is not None and not math.isfinite(frequency):
        raise RecordingError(f"{where}: captures/{index}: core:frequency must be finite")
    known = {"sample_start", "global_index", "frequency", "datetime", "header_bytes"}
    return CaptureSegment(
        sample_start=int(entry["core:sample_start"]),
        global_index=entry.get("core:global_index"),
        center_frequency_hz=None if frequency is None else float(frequency),
        datetime=entry.get("core:datetime"),
        header_bytes=int(entry.get("core:header_bytes", 0)),
        fields={key: value for key, value in entry.items() if key.removeprefix(_CORE) not in known},
    )


def _annotation(entry: Mapping[str, Any]) -> Annotation:
    known = {"sample_start", "sample_count", "label", "comment"}
    return Annotation(
        sample_start=int(entry["core:sample_start"]),
        sample_count=entry.get("core:sample_count"),
        label=entry.get("core:label"),
        comment=entry.get("core:comment"),
        fields={key: value for key, value in entry.items() if key.removeprefix(_CORE) not in known},
    )


def render_metadata(metadata: Metadata) -> str:
    """Return the JSON text of .sigmf-meta; it validates against SigMF's schema."""
    globals_ = {
        "core:datatype": metadata.datatype,
        "core:sample_rate": metadata.sample_rate_hz,
        "core:version": __specification__,
        "core:num_channels": metadata.num_channels,
        **metadata.global_fields,
    }
    if metadata.sha512 is not None:
        globals_["core:sha512"] = metadata.sha512
    notes = [segment.fields for segment in metadata.captures]
    notes += [note.fields for note in metadata.annotations]
    used = {key for fields in (globals_, *notes) for key in fields if key.startswith("phyemu:")}
    if used:
        others = [e for e in globals_.get("core:extensions", []) if e.get("name") != "phyemu"]
        globals_["core:extensions"] = [
            *others,
            {"name": "phyemu", "version": "1.0.0", "optional": True},
        ]
    captures = [
        _present(
            {
                "core:sample_start": segment.sample_start,
                "core:global_index": segment.global_index,
                "core:frequency": segment.center_frequency_hz,
                "core:datetime": segment.datetime,
                **segment.fields,
            }
        )
        for segment in metadata.captures
    ]
    annotations = [
        _present(
            {
                "core:sample_start": note.sample_start,
                "core:sample_count": note.sample_count,
                "core:label": note.label,
                "core:comment": note.comment,
                **note.fields,
            }
        )
        for note in sorted(metadata.annotations, key=lambda note: note.sample_start)
    ]
    tree = {"global": globals_, "captures": captures, "annotations": annotations}
    return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def _present(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}
