"""Links of a base are followed as Linux follows them below a root; the oracle is the kernel."""

import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.container.base_tree import BaseTree
from phyemu.container.tar_entry import TarEntry
from phyemu.errors import ImageError

FOLDERS = ("a", "a/b", "a/b/c", "d", "d/e")
PLACES = ("x", "a/x", "a/b/x", "d/x", "d/e/y")
STEPS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "x", "y", "..", "."]), max_size=5)
TARGETS = st.tuples(st.booleans(), STEPS).map(lambda it: ("/" if it[0] else "") + "/".join(it[1]))


def entry(kind: bytes) -> TarEntry:
    info = tarfile.TarInfo("x")
    info.type = kind
    return TarEntry(
        path="x",
        link="",
        size=0,
        mode=0o755,
        uid=0,
        gid=0,
        mtime_s=0,
        extensions=(),
        header=info.tobuf(tarfile.USTAR_FORMAT),
    )


def tree(**links: str) -> BaseTree:
    made = BaseTree("base.tar")
    for folder in FOLDERS:
        made.note(entry(tarfile.DIRTYPE), folder, "")
    for place, target in links.items():
        made.note(entry(tarfile.SYMTYPE), place, target)
    return made


@given(st.fixed_dictionaries({place: TARGETS.filter(bool) for place in PLACES}), STEPS.filter(bool))
def test_a_path_leads_where_a_process_in_the_root_gets(
    links: dict[str, str], steps: list[str]
) -> None:
    path = "/".join(steps)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name in FOLDERS:
            (root / name).mkdir()
        for place, target in links.items():
            # Absolute targets are the root's, as in a chroot.
            (root / place).symlink_to(f"{root}{target}" if target.startswith("/") else target)
        reached = Path(os.path.realpath(root / path))
        try:
            ours = tree(**links).followed(path)
        except ImageError:
            # A circle: the kernel says so, too.
            with pytest.raises((OSError, RuntimeError)):
                (root / path).stat()
            return
        # Above the root there is nothing in a chroot, but there is here: compare what stays below,
        # and does not pass through what is not there.
        if reached.exists() and reached.is_relative_to(root) and _stays(root, path):
            assert root / ours == reached


def _stays(root: Path, path: str) -> bool:
    """Return whether no step on the way leaves the root."""
    pending, at, left = path.split("/")[::-1], root, 60
    while pending and left:
        left -= 1
        at = at / pending.pop()
        if at.is_symlink():
            target = str(at.readlink())
            at = at.parent
            if target.startswith("/"):
                target, at = os.path.relpath(target, root), root
            pending.extend(target.split("/")[::-1])
        elif at.name == "..":
            at = Path(os.path.normpath(at))
            if not at.is_relative_to(root):
                return False
    return left > 0


@pytest.mark.parametrize(
    ("links", "path", "landing"),
    [
        ({}, "opt/phyemu", "opt/phyemu"),
        ({"opt": "/a/b"}, "opt/phyemu", "a/b/phyemu"),
        ({"opt": "a/../d"}, "opt/phyemu", "d/phyemu"),
        ({"opt": "../../../d"}, "opt/phyemu", "d/phyemu"),  # above the root is the root
        ({"opt": "a/x", "a/x": "/d"}, "opt/phyemu", "d/phyemu"),
        ({"opt": "/absent/far"}, "opt/phyemu", "absent/far/phyemu"),
        ({"a/x": "/d"}, "a/x", "a/x"),  # the last link is replaced, not followed
    ],
)
def test_additions_land_behind_the_links_of_the_base(
    links: dict[str, str], path: str, landing: str
) -> None:
    assert tree(**links).landing(path) == landing


def test_links_in_a_circle_are_refused() -> None:
    with pytest.raises(ImageError, match="in a circle"):
        tree(x="a/x", **{"a/x": "/x"}).landing("x/y")


def test_a_file_where_a_folder_must_be_is_refused() -> None:
    made = tree()
    made.note(entry(tarfile.REGTYPE), "opt", "")
    with pytest.raises(ImageError, match="/opt is a file, where /opt/phyemu needs a folder"):
        made.landing("opt/phyemu")


def test_what_comes_later_in_the_archive_replaces_what_came_before() -> None:
    made = tree(opt="/a")
    made.note(entry(tarfile.DIRTYPE), "opt", "")
    assert made.landing("opt/phyemu") == "opt/phyemu"
    made.note(entry(tarfile.SYMTYPE), "opt", "d")
    assert made.landing("opt/phyemu") == "d/phyemu"
