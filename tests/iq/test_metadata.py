"""Metadata: read with suspicion, written so that SigMF's schema accepts it."""

import json
from typing import Any

import pytest
import sigmf
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import RecordingError
from phyemu.iq.metadata import (
    Annotation,
    CaptureSegment,
    Metadata,
    check_extent,
    metadata_tree,
    parse_metadata,
    render_tree,
)


def render_metadata(metadata: Metadata, *, where: str) -> str:
    return render_tree(metadata_tree(metadata), where=where)


def text(
    globals_: dict[str, Any] | None = None,
    captures: list[Any] | None = None,
    annotations: list[Any] | None = None,
) -> str:
    fields = {"core:datatype": "ci8", "core:sample_rate": 1e6, "core:version": "1.2.0"}
    return json.dumps(
        {
            "global": fields | (globals_ or {}),
            "captures": captures or [],
            "annotations": annotations or [],
        }
    )


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
optional_text = st.none() | names
indices = st.integers(0, 2**63 - 1)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
fields = st.dictionaries(names.map("phyemu:{}".format), json_values.filter(lambda v: v is not None))
notes = st.builds(
    Annotation,
    sample_start=indices,
    sample_count=st.none() | indices,
    label=optional_text,
    comment=optional_text,
    fields=fields,
)
segments = st.builds(
    CaptureSegment,
    sample_start=indices,
    global_index=st.none() | indices,
    center_frequency_hz=st.none() | st.floats(-1e12, 1e12),
    datetime=st.none() | st.just("2026-01-01T00:00:00.5Z"),
    fields=fields,
)


@settings(max_examples=30)
@given(
    rate_hz=st.floats(1e-3, 1e12),
    num_channels=st.integers(1, 2**63 - 1),
    captures=st.lists(segments, min_size=1, max_size=4, unique_by=lambda s: s.sample_start),
    annotations=st.lists(notes, max_size=4),
    global_fields=fields,
)
def test_what_is_rendered_validates_with_sigmf_and_is_parsed_back(
    rate_hz: float,
    num_channels: int,
    captures: list[CaptureSegment],
    annotations: list[Annotation],
    global_fields: dict[str, Any],
) -> None:
    metadata = Metadata(
        datatype="cf32_le",
        sample_rate_hz=rate_hz,
        num_channels=num_channels,
        sha512="0123456789abcdef" * 8,
        global_fields=global_fields,
        captures=tuple(sorted(captures, key=lambda segment: segment.sample_start)),
        annotations=tuple(sorted(annotations, key=lambda note: note.sample_start)),
    )
    rendered = render_metadata(metadata, where="made")
    sigmf.SigMFFile(metadata=rendered).validate()  # warnings are errors: the namespace is declared
    parsed = parse_metadata(rendered, where="made")
    assert parsed.captures == metadata.captures
    assert parsed.annotations == metadata.annotations
    assert (parsed.datatype, parsed.sample_rate_hz) == ("cf32_le", rate_hz)
    assert (parsed.num_channels, parsed.sha512) == (num_channels, metadata.sha512)
    assert {k: v for k, v in parsed.global_fields.items() if k in global_fields} == global_fields


def test_a_namespace_that_is_declared_already_is_declared_once() -> None:
    other = {"name": "other", "version": "1.0.0", "optional": True}
    source = parse_metadata(text({"core:extensions": [other], "phyemu:seed": 1}), where="made")
    once = json.loads(render_metadata(source, where="made"))["global"]["core:extensions"]
    again = parse_metadata(render_metadata(source, where="made"), where="made")
    twice = json.loads(render_metadata(again, where="made"))["global"]["core:extensions"]
    assert [entry["name"] for entry in once] == ["other", "phyemu"]
    assert once == twice


def test_no_captures_mean_one_from_the_first_sample() -> None:
    assert parse_metadata(text(), where="made").captures == (CaptureSegment(sample_start=0),)


def test_core_offset_is_taken_off_all_indices() -> None:
    parsed = parse_metadata(
        text({"core:offset": 100}, [{"core:sample_start": 100}], [{"core:sample_start": 130}]),
        where="made",
    )
    assert parsed.captures[0].sample_start == 0
    assert parsed.annotations[0].sample_start == 30


def test_annotations_are_sorted_and_keep_their_other_keys() -> None:
    parsed = parse_metadata(
        text(
            annotations=[
                {"core:sample_start": 9, "core:label": "b", "phyemu:frame_index": 3},
                {"core:sample_start": 2, "core:sample_count": 4, "core:freq_lower_edge": -1.0},
            ]
        ),
        where="made",
    )
    assert parsed.annotations == (
        Annotation(sample_start=2, sample_count=4, fields={"core:freq_lower_edge": -1.0}),
        Annotation(sample_start=9, label="b", fields={"phyemu:frame_index": 3}),
    )


def test_integers_written_as_floats_are_integers() -> None:
    parsed = parse_metadata(
        text(
            {"core:num_channels": 2.0},
            [{"core:sample_start": 0.0, "core:global_index": 7.0}],
            [{"core:sample_start": 1.0, "core:sample_count": 2.0}],
        ),
        where="made",
    )
    values = (
        parsed.num_channels,
        parsed.captures[0].global_index,
        parsed.annotations[0].sample_count,
    )
    assert values == (2, 7, 2)
    assert all(isinstance(value, int) for value in values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no JSON"),
        (b"\xff\xfe\xfa", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"global": ' + "9" * 5000 + "}", "is no JSON"),
        ("[]", "lacks the object 'global'"),
        ("{}", "lacks the object 'global'"),
        ('{"global": 3}', "lacks the object 'global'"),
        ('{"global": {"core:sample_rate": 1}}', "top level: lacks captures and annotations"),
        (text({"core:sample_rate": 0}), "core:sample_rate must be a positive.*got 0"),
        (text({"core:sample_rate": -20e6}), "core:sample_rate must be a positive.*got -2"),
        (text({"core:sample_rate": float("nan")}), "core:sample_rate must be a positive.*got nan"),
        (text({"core:sample_rate": float("inf")}), "core:sample_rate must be a positive.*got inf"),
        (text({"core:sample_rate": 10**400}), "core:sample_rate must be a positive.*got 1000"),
        (text({"core:sample_rate": "20M"}), "core:sample_rate must be a positive.*got '20M'"),
        (text({"core:sample_rate": True}), "core:sample_rate must be a positive.*got True"),
        (text({"core:sample_rate": None}), "core:sample_rate must be a positive.*got None"),
        (text({"core:sample_rate": 1e13}), "global/core:sample_rate: .*maximum"),
        (text({"core:num_channels": 0}), "global/core:num_channels: 0 breaks.*minimum 1"),
        (text({"core:datatype": 5}), "global/core:datatype: 5 breaks.*type"),
        (text({"core:sha512": "beef"}), "global/core:sha512"),
        (text({"core:offset": -1}), "global/core:offset"),
        (text(captures=[{"core:sample_start": -1}]), "captures/0/core:sample_start: -1 breaks"),
        (text(captures=[{"core:sample_start": 1e300}]), "captures/0/core:sample_start"),
        (text(captures=[{"core:sample_start": 0.5}]), "captures/0/core:sample_start"),
        (text(captures=[{}]), "captures/0: lacks core:sample_start"),
        (
            text(captures=[{"core:sample_start": 5}, {"core:sample_start": 5}]),
            "captures/1 starts at sample 5, not after the one before it",
        ),
        (
            text(captures=[{"core:sample_start": 0, "core:frequency": float("nan")}]),
            "captures/0: core:frequency must be finite",
        ),
        (
            text({"core:offset": 10}, annotations=[{"core:sample_start": 9}]),
            r"annotations/0: core:sample_start lies before core:offset \(10\)",
        ),
        (text(annotations=[{"core:sample_start": 2**63}]), "annotations/0/core:sample_start"),
        (
            text(annotations=[{"core:sample_start": 0, "core:sample_count": -4}]),
            "annotations/0/core:sample_count: -4",
        ),
        (
            text({"core:extensions": [{"name": "x", "version": "1.0.0", "optional": False}]}),
            "core:extensions: 'x' is needed",
        ),
    ],
)
def test_bad_metadata_are_refused_by_field_in_one_short_line(
    content: str | bytes, message: str
) -> None:
    with pytest.raises(RecordingError, match=f"^made: .*{message}") as caught:
        parse_metadata(content, where="made")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=200) | json_values.map(json.dumps) | st.binary(max_size=50))
def test_whatever_is_parsed_either_passes_or_gives_a_recording_error(content: str | bytes) -> None:
    with pytest.raises(RecordingError):
        parse_metadata(content, where="made")


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_values_that_json_lacks_are_refused(value: object) -> None:
    metadata = parse_metadata(text(), where="made")
    broken = Metadata(
        datatype="ci8",
        sample_rate_hz=1.0,
        num_channels=1,
        sha512=None,
        global_fields={"phyemu:value": value},
        captures=metadata.captures,
        annotations=(),
    )
    with pytest.raises(RecordingError, match="made: a field of the metadata is no JSON value"):
        render_metadata(broken, where="made")


@pytest.mark.parametrize(
    ("captures", "annotations", "message"),
    [
        (
            [{"core:sample_start": 11}],
            [],
            "captures/0 starts at sample 11, but the data ends at 10",
        ),
        ([], [{"core:sample_start": 11}], "annotations/0 ends at sample 11"),
        (
            [],
            [{"core:sample_start": 0, "core:sample_count": 2**62}],
            f"annotations/0 ends at sample {2**62}",
        ),
    ],
)
def test_what_reaches_beyond_the_samples_is_refused(
    captures: list[Any], annotations: list[Any], message: str
) -> None:
    metadata = parse_metadata(text(captures=captures, annotations=annotations), where="made")
    with pytest.raises(RecordingError, match=message):
        check_extent(metadata, 10, where="made")
    check_extent(metadata, 2**63, where="made")
