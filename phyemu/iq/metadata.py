"""SigMF metadata: checked once when read, then plain frozen values.

Sample indices are those of the dataset: `core:offset`, which a recording split over several files
adds to all of them, is taken off.
"""

import functools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import sigmf.schema
from sigmf import __specification__

from phyemu.errors import RecordingError

__all__ = [
    "Annotation",
    "CaptureSegment",
    "Metadata",
    "annotation_entry",
    "capture_entry",
    "check_extent",
    "declare_namespace",
    "metadata_tree",
    "parse_metadata",
    "render_tree",
]

_NAMESPACE = {"name": "phyemu", "version": "1.0.0", "optional": True}
_CAPTURE_KEYS = {
    f"core:{key}"
    for key in ("sample_start", "global_index", "frequency", "datetime", "header_bytes")
}
_ANNOTATION_KEYS = {f"core:{key}" for key in ("sample_start", "sample_count", "label", "comment")}


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


@functools.cache
def _validator() -> Any:
    schema = sigmf.schema.get_schema()
    return jsonschema.validators.validator_for(schema)(schema)


def parse_metadata(text: bytes | str, *, where: str) -> Metadata:
    """Return checked metadata.

    Args:
        text: Content of the .sigmf-meta file.
        where: Its name, for messages.

    Raises:
        RecordingError: No JSON, against SigMF's schema, or contradictory; the message names the
            field.
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
            f"{where}: core:sample_rate must be a positive number of Hz, got {_short(rate)}; "
            "correct it"
        )
    _check_schema(tree, where)
    _check_extensions(globals_, where)
    offset = int(globals_.get("core:offset", 0))
    captures = [_capture(entry, offset, where, i) for i, entry in enumerate(tree["captures"])]
    starts = [segment.sample_start for segment in captures]
    for index in range(1, len(starts)):
        if starts[index] <= starts[index - 1]:
            raise RecordingError(
                f"{where}: captures/{index} starts at sample {starts[index]}, not after the one "
                f"before it ({starts[index - 1]}); sort them"
            )
    annotations = [
        _annotation(entry, offset, where, i) for i, entry in enumerate(tree["annotations"])
    ]
    digest = globals_.get("core:sha512")
    return Metadata(
        datatype=str(globals_["core:datatype"]),
        sample_rate_hz=float(rate),
        num_channels=int(globals_.get("core:num_channels", 1)),
        sha512=None if digest is None else str(digest).lower(),
        global_fields=globals_,
        captures=tuple(captures) or (CaptureSegment(sample_start=0),),
        annotations=tuple(sorted(annotations, key=lambda note: note.sample_start)),
    )


def check_extent(metadata: Metadata, num_samples: int, *, where: str) -> None:
    """Check that segments and annotations lie within the samples that are there.

    Raises:
        RecordingError: One reaches beyond the end; the message names it.
    """
    for index, segment in enumerate(metadata.captures):
        if segment.sample_start > num_samples:
            raise RecordingError(
                f"{where}: captures/{index} starts at sample {segment.sample_start}, but the data "
                f"ends at {num_samples}: the data is truncated, or core:sample_start is wrong"
            )
    for index, note in enumerate(metadata.annotations):
        end = note.sample_start + (note.sample_count or 0)
        if end > num_samples:
            raise RecordingError(
                f"{where}: annotations/{index} ends at sample {end}, but the data ends at "
                f"{num_samples}: the data is truncated, or the annotation is wrong"
            )


def _is_rate(rate: float) -> bool:
    try:
        return math.isfinite(rate) and rate > 0
    except OverflowError:  # an integer beyond what a float holds
        return False


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_schema(tree: Mapping[str, Any], where: str) -> None:
    error = next(_validator().iter_errors(tree), None)
    if error is None:
        return
    place = "/".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        reason = f"lacks {' and '.join(missing)}"
    elif error.validator == "additionalProperties":
        reason = "holds an object that SigMF does not have"
    else:
        rule = f"{error.validator} {_short(error.validator_value)}"
        reason = f"{_short(error.instance)} breaks SigMF's rule {rule}"
    raise RecordingError(f"{where}: {place}: {reason}; correct it")


def _check_extensions(globals_: Mapping[str, Any], where: str) -> None:
    for extension in globals_.get("core:extensions", []):
        if not extension["optional"] and extension["name"] != _NAMESPACE["name"]:
            raise RecordingError(
                f"{where}: core:extensions: {_short(extension['name'])} is needed to understand "
                "the samples, and phyemu does not know it; open it with the program that does"
            )


def _start(entry: Mapping[str, Any], offset: int, place: str) -> int:
    start = int(entry["core:sample_start"]) - offset
    if start < 0:
        raise RecordingError(f"{place}: core:sample_start lies before core:offset ({offset})")
    return start


def _others(entry: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in known}


def _capture(entry: Mapping[str, Any], offset: int, where: str, index: int) -> CaptureSegment:
    place = f"{where}: captures/{index}"
    frequency, position = entry.get("core:frequency"), entry.get("core:global_index")
    if frequency is not None and not math.isfinite(frequency):
        raise RecordingError(f"{place}: core:frequency must be finite, got {frequency}")
    return CaptureSegment(
        sample_start=_start(entry, offset, place),
        global_index=None if position is None else int(position),
        center_frequency_hz=None if frequency is None else float(frequency),
        datetime=entry.get("core:datetime"),
        header_bytes=int(entry.get("core:header_bytes", 0)),
        fields=_others(entry, _CAPTURE_KEYS),
    )


def _annotation(entry: Mapping[str, Any], offset: int, where: str, index: int) -> Annotation:
    count = entry.get("core:sample_count")
    return Annotation(
        sample_start=_start(entry, offset, f"{where}: annotations/{index}"),
        sample_count=None if count is None else int(count),
        label=entry.get("core:label"),
        comment=entry.get("core:comment"),
        fields=_others(entry, _ANNOTATION_KEYS),
    )


def metadata_tree(metadata: Metadata) -> dict[str, Any]:
    """Return metadata as SigMF's tree; their own fields win over the same in `global_fields`."""
    globals_ = {
        **metadata.global_fields,
        "core:datatype": metadata.datatype,
        "core:sample_rate": metadata.sample_rate_hz,
        "core:version": __specification__,
        "core:num_channels": metadata.num_channels,
    }
    if metadata.sha512 is not None:
        globals_["core:sha512"] = metadata.sha512
    tree: dict[str, Any] = {
        "global": globals_,
        "captures": [capture_entry(segment) for segment in metadata.captures],
        "annotations": [
            annotation_entry(note)
            for note in sorted(metadata.annotations, key=lambda note: note.sample_start)
        ],
    }
    if _uses_namespace((globals_, *tree["captures"], *tree["annotations"])):
        declare_namespace(globals_)
    return tree


def capture_entry(segment: CaptureSegment) -> dict[str, Any]:
    """Return a segment as SigMF's object."""
    return _present(
        {
            "core:sample_start": segment.sample_start,
            "core:global_index": segment.global_index,
            "core:frequency": segment.center_frequency_hz,
            "core:datetime": segment.datetime,
            **segment.fields,
        }
    )


def annotation_entry(note: Annotation) -> dict[str, Any]:
    """Return an annotation as SigMF's object."""
    return _present(
        {
            "core:sample_start": note.sample_start,
            "core:sample_count": note.sample_count,
            "core:label": note.label,
            "core:comment": note.comment,
            **note.fields,
        }
    )


def declare_namespace(globals_: dict[str, Any]) -> None:
    """Declare the keys of our own in a global object."""
    declared = globals_.get("core:extensions", [])
    others = [entry for entry in declared if entry.get("name") != _NAMESPACE["name"]]
    globals_["core:extensions"] = [*others, _NAMESPACE]


def render_tree(tree: Mapping[str, Any], *, where: str) -> str:
    """Return the JSON text of .sigmf-meta.

    Raises:
        RecordingError: A value is no JSON: NaN, or of a type that JSON lacks.
    """
    try:
        return json.dumps(tree, indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise RecordingError(
            f"{where}: a field of the metadata is no JSON value ({error})"
        ) from error


def _uses_namespace(entries: Iterable[Mapping[str, Any]]) -> bool:
    return any(key.startswith("phyemu:") for entry in entries for key in entry)


def _present(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}
