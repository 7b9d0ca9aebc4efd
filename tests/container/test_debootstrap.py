"""Bases from a distribution's packages; the real debootstrap runs in test_rootfs.py."""

import os
import tarfile
from pathlib import Path

import pytest

from phyemu.container.debootstrap import build_base
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
    assert set(words) <= set(called)


def test_its_own_last_words_are_told(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(ImageError, match=r"debootstrap failed: .*Couldn't find these debs: uhd"):
        build_base("debootstrap:bookworm", fake)


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
