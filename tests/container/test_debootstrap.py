"""Bases from a distribution's packages; the real debootstrap runs in test_rootfs.py."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

import phyemu.container.scratch_folder as scratch_folder_module
from phyemu.container.debootstrap import build_base
from phyemu.container.scratch_folder import scratch_folder
from phyemu.errors import ConfigError, ImageError

FAKE = """#!/bin/sh
echo "$@" >> "$STATE/calls"
[ -n "$FAIL" ] && { echo "I: Retrieving"; echo "E: Couldn't find these debs: uhd"; exit 1; }
for last; do case $last in /*) root=$last;; esac; done
mkdir -p "$root/etc" "$root/var/cache/apt/archives"
echo unique > "$root/etc/machine-id"
echo deb > "$root/var/cache/apt/archives/x.deb"
ln -s elsewhere "$root/link"
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where a debootstrap that builds next to nothing notes its calls."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "debootstrap").write_text(FAKE)
    (programs / "debootstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def test_the_archive_holds_the_tree_but_no_packages_and_no_identity(fake: Path) -> None:
    folder = fake / "base"
    folder.mkdir()
    path = build_base("debootstrap:bookworm", folder, packages=["python3"])
    with tarfile.open(path) as tar:
        names = tar.getnames()
        identity = tar.extractfile("./etc/machine-id")
        assert identity is not None
        assert identity.read() == b""
        assert tar.getmember("./link").linkname == "elsewhere"
    assert not [name for name in names if "archives" in name]
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("debootstrap:bookworm", ["--include=python3", "bookworm"]),
        ("debootstrap:jammy", ["--include=python3,python3.11", "--components=main,universe"]),
        ("debootstrap:trixie:http://mirror.example/debian", ["trixie", "http://mirror.example/debian"]),
    ],
)  # fmt: skip
def test_suite_and_mirror_reach_debootstrap(fake: Path, argument: str, words: list[str]) -> None:
    folder = fake / "base"
    folder.mkdir()
    build_base(argument, folder, packages=["python3"])
    called = (fake / "calls").read_text().split()
    # Packages whose signatures cannot be checked are refused, where debootstrap would only warn.
    assert {"--variant=minbase", "--arch=amd64", "--force-check-gpg", *words} <= set(called)


def test_its_own_last_words_are_told(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(ImageError, match=r"debootstrap failed: .*Couldn't find these debs: uhd"):
        build_base("debootstrap:bookworm", fake)


def test_the_archive_stays_on_its_file_system(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar = shutil.which("tar")
    (fake / "bin/tar").write_text(f'#!/bin/sh\necho "$@" >> "$STATE/tar"\nexec {tar} "$@"\n')
    (fake / "bin/tar").chmod(0o755)
    folder = fake / "base"
    folder.mkdir()
    build_base("debootstrap:bookworm", folder, packages=["python3"])
    called = (fake / "tar").read_text().split()
    assert {"--one-file-system", "--numeric-owner", "--xattrs"} <= set(called)


UMOUNT = """#!/bin/sh
echo "$1" >> "$STATE/unmounted"
case "$1" in *"$BUSY"*) echo "umount: $1: target is busy." >&2; exit 32;; esac
grep -v " $1 " "$STATE/mounts" > "$STATE/left"
mv "$STATE/left" "$STATE/mounts"
"""


@pytest.fixture
def mounted(fake: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which a debootstrap that fails has left /proc and /sys mounted."""
    monkeypatch.setenv("FAIL", "1")
    monkeypatch.setenv("BUSY", "nothing")
    (fake / "bin/umount").write_text(UMOUNT)
    (fake / "bin/umount").chmod(0o755)
    table = fake / "mounts"
    monkeypatch.setattr(scratch_folder_module, "_MOUNTS", table)
    monkeypatch.setattr(tempfile, "tempdir", str(fake))
    table.write_text("proc /proc proc rw 0 0\n")
    return table


def leave_mounted(table: Path, folder: Path) -> None:
    with table.open("a") as file:
        for name in ("proc", "sys", "sys/fs/cgroup"):
            file.write(f"none {folder}/root/{name} none rw 0 0\n")


def test_what_a_failed_debootstrap_left_is_unmounted_before_it_is_removed(
    fake: Path, mounted: Path
) -> None:
    with pytest.raises(ImageError, match="debootstrap failed"), scratch_folder() as folder:  # noqa: PT012
        leave_mounted(mounted, folder)
        build_base("debootstrap:bookworm", folder)
    gone = (fake / "unmounted").read_text().splitlines()
    assert gone == [f"{folder}/root/{name}" for name in ("sys/fs/cgroup", "sys", "proc")]
    assert mounted.read_text() == "proc /proc proc rw 0 0\n"
    assert not folder.exists()


def test_what_cannot_be_unmounted_is_named_and_nothing_is_removed(
    fake: Path, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSY", "root/sys")
    with pytest.raises(ImageError, match=r"root/sys/fs/cgroup: is still mounted .*busy") as caught:  # noqa: PT012
        with scratch_folder() as folder:
            leave_mounted(mounted, folder)
            (folder / "root").mkdir()
            (folder / "root/precious").touch()
            build_base("debootstrap:bookworm", folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    assert (folder / "root/precious").exists()


@pytest.mark.parametrize(
    "argument",
    ["debootstrap:", "debootstrap:../x", "debootstrap:a:b", "debootstrap:--foo", "jammy"],
)
def test_other_arguments_are_refused_with_the_form(fake: Path, argument: str) -> None:
    with pytest.raises(ConfigError, match="write debootstrap:SUITE"):
        build_base(argument, fake)
    assert not (fake / "calls").exists()


def test_who_is_not_root_is_told(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match="must be run by root"):
        build_base("debootstrap:bookworm", fake)
