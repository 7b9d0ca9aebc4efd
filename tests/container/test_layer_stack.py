"""What layers show together, against nested dictionaries that are changed step by step."""

import io
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.container.layer_stack import LayerStack, read_layer, stack_layers
from phyemu.container.tar_reader import TarReader
from phyemu.errors import ImageError
from tests.container.small_base import add_file, add_other
from tests.container.small_docker import files_layer, layer

Step = tuple[str, tuple[str, ...]]

names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map(tuple)
steps = st.tuples(st.sampled_from(["file", "folder", "whiteout", "opaque"]), paths)
layers = st.lists(st.lists(steps, max_size=5), max_size=4)


def stacked(*archives: bytes) -> LayerStack:
    read = [read_layer(TarReader(io.BytesIO(data), name="layer")) for data in archives]
    return stack_layers(read, name="base")


def archive(steps_of_layer: list[Step]) -> bytes:
    def add(tar: tarfile.TarFile) -> None:
        for kind, path in steps_of_layer:
            folder, name = "/".join(path[:-1]), path[-1]
            if kind == "file":
                add_file(tar, "/".join(path), b"")
            elif kind == "folder":
                add_other(tar, "/".join(path), tarfile.DIRTYPE)
            elif kind == "whiteout":
                add_file(tar, f"{folder}/.wh.{name}" if folder else f".wh.{name}", b"")
            else:
                add_file(tar, "/".join([*path, ".wh..wh..opq"]), b"")

    return layer(add)


def remove(root: dict[str, Any], path: tuple[str, ...], *, below: bool) -> None:
    at: Any = root
    for name in path[:-1]:
        at = at.get(name) if isinstance(at, dict) else None
    if not isinstance(at, dict) or path[-1] not in at:
        return
    if not below:
        del at[path[-1]]
    elif isinstance(at[path[-1]], dict):
        at[path[-1]].clear()


def put(root: dict[str, Any], path: tuple[str, ...], kind: str) -> None:
    at = root
    for name in path[:-1]:
        at = at[name]
    if kind == "file":
        at[path[-1]] = None
    elif not isinstance(at.get(path[-1]), dict):
        at[path[-1]] = {}


def listed(root: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, below in root.items():
        found.add(above + name)
        if below is not None:
            found |= listed(below, f"{above}{name}/")
    return found


def consistent(steps_of_layer: list[Step]) -> list[Step]:
    """Return the steps that an engine may write: each path once, below folders of the layer."""
    kinds: dict[tuple[str, ...], str] = {}
    for kind, path in steps_of_layer:
        if kind in {"file", "folder"}:
            kinds.setdefault(path, kind)
    for path in [path for path in kinds]:
        for end in range(1, len(path)):
            kinds[path[:end]] = "folder"
    content = [(kind, path) for path, kind in sorted(kinds.items())]
    hidden = [
        (kind, path)
        for kind, path in steps_of_layer
        if (kind == "whiteout" and path not in kinds and kinds.get(path[:-1]) != "file")
        or (kind == "opaque" and kinds.get(path) == "folder")
    ]
    return content + hidden


@given(layers)
def test_any_layers_show_what_changing_a_tree_step_by_step_gives(drawn: list[list[Step]]) -> None:
    root: dict[str, Any] = {}
    whole = [consistent(steps_of_layer) for steps_of_layer in drawn]
    for steps_of_layer in whole:
        for kind, path in steps_of_layer:
            if kind in {"whiteout", "opaque"}:
                remove(root, path, below=kind == "opaque")
        for kind, path in steps_of_layer:
            if kind in {"file", "folder"}:
                put(root, path, kind)
    stack = stacked(*map(archive, whole))
    assert set(stack.tree.paths_below("")) - {""} == listed(root)


def test_the_content_of_the_topmost_file_is_kept_and_links_lead_to_it() -> None:
    lower = files_layer({"etc/shadow": b"old", "etc/passwd": b"p"})

    def add(tar: tarfile.TarFile) -> None:
        add_file(tar, "etc/.wh.passwd", b"")
        add_file(tar, "data/shadow", b"new")
        add_other(tar, "etc/shadow", tarfile.SYMTYPE, linkname="../data/shadow")

    stack = stacked(lower, layer(add))
    kept = stack.file("etc/shadow")
    assert kept is not None
    assert kept.content == b"new"
    assert stack.file("etc/passwd") is None


def test_a_hard_link_has_the_content_of_its_target() -> None:
    def add(tar: tarfile.TarFile) -> None:
        add_file(tar, "etc/shadow", b"s")
        add_other(tar, "etc/shadow-", tarfile.LNKTYPE, linkname="etc/shadow")

    kept = stacked(layer(add)).file("etc/shadow-")
    assert kept is not None
    assert kept.content == b"s"


def test_what_is_no_file_where_one_must_be_is_refused() -> None:
    stack = stacked(layer(lambda tar: add_other(tar, "etc/shadow", tarfile.FIFOTYPE)))
    with pytest.raises(ImageError, match="no file with content"):
        stack.file("etc/shadow")
