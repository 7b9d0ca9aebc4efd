"""What of damaged metadata is intact, valid, and about samples that are there."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from phyemu.errors import RecordingError
from phyemu.iq.metadata import parse_metadata, render_tree

__all__ = ["objects", "salvage", "within", "without_invalid"]


def within(
    tree: Mapping[str, Any], num_samples: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the segments and annotations that lie within the samples."""
    by_start: dict[int, dict[str, Any]] = {}
    for entry in objects(tree["captures"]):
        begin = _count(entry, "core:sample_start")
        if begin is not None and begin < num_samples:
            by_start[begin] = entry  # a segment without samples is replaced by the next one
    captures = [by_start[begin] for begin in sorted(by_start)]
    annotations = []
    for entry in objects(tree["annotations"]):
        begin = _count(entry, "core:sample_start")
        if begin is None or begin >= num_samples:
            continue
        count = _count(entry, "core:sample_count")
        if count is not None and begin + count > num_samples:
            entry = {**entry, "core:sample_count": num_samples - begin}
        annotations.append(entry)
    annotations.sort(key=lambda entry: int(entry["core:sample_start"]))
    if not captures or captures[0]["core:sample_start"] != 0:
        captures.insert(0, {"core:sample_start": 0})
    return captures, annotations


def objects(entries: Any) -> list[dict[str, Any]]:
    """Return what is an object of what should be a list of them."""
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def _count(entry: Mapping[str, Any], key: str) -> int | None:
    """Return a number of samples; None where there is none, or no possible one."""
    value = entry.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_valid(tree: Mapping[str, Any]) -> bool:
    with suppress(RecordingError):
        parse_metadata(render_tree(tree, where=""), where="")
        return True
    return False


def without_invalid(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree without the segments and annotations that break SigMF's rules."""
    if _is_valid(tree):
        return dict(tree)
    alone = {"global": tree["global"], "captures": [], "annotations": []}
    return alone | {
        key: [entry for entry in tree[key] if _is_valid({**alone, key: [entry]})]
        for key in ("captures", "annotations")
    }


def salvage(text: bytes) -> dict[str, Any] | None:
    """Return what is intact of a tree whose text was cut; None where 'global' is not.

    >>> salvage(b'{"global": {"a": 1}, "captures": [{"b": 2}, {"c":')
    {'global': {'a': 1}, 'captures': [{'b': 2}], 'annotations': []}
    """
    source = text.decode(errors="replace")
    decoder = json.JSONDecoder()
    tree: dict[str, Any] = {"captures": [], "annotations": []}

    def skip(position: int, marks: str) -> int:
        while position < len(source) and source[position] in marks:
            position += 1
        return position

    position = skip(0, " \t\r\n{")
    with suppress(ValueError, RecursionError):
        while position < len(source):
            key, position = decoder.raw_decode(source, position)
            position = skip(position, " \t\r\n:")
            if key in ("captures", "annotations"):
                position = skip(position, " \t\r\n[")
                while source[position : position + 1] not in ("]", ""):
                    entry, position = decoder.raw_decode(source, position)
                    tree[key].append(entry)
                    position = skip(position, " \t\r\n,")
            elif isinstance(key, str):
                tree[key], position = decoder.raw_decode(source, position)
            else:
                break
            position = skip(position, " \t\r\n,]")
    if not isinstance(tree.get("global"), dict):
        return None
    return {key: tree[key] for key in ("global", "captures", "annotations")}
