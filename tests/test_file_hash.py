"""A file is known again by what it holds, and read no oftener than it changes."""

import hashlib
import os
from pathlib import Path

import pytest

from phyemu import file_hash
from phyemu.comparison.training_files import files_begun_with
from phyemu.file_hash import kept_file_sha256


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are read, as they are."""
    names: list[str] = []
    of_bytes = file_hash.file_sha256

    def noted(path: Path) -> str:
        names.append(path.name)
        return of_bytes(path)

    monkeypatch.setattr(file_hash, "file_sha256", noted)
    return names


def test_a_file_is_read_again_when_it_changes(tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    changed_ns = path.stat().st_mtime_ns
    for _ in range(3):
        assert kept_file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert read == ["weights"]
    path.write_bytes(b"two")
    os.utime(path, ns=(changed_ns, changed_ns + 1))
    assert kept_file_sha256(path) == hashlib.sha256(b"two").hexdigest()
    path.write_bytes(b"six")  # as long, and said to be as old: `cp -p`
    os.utime(path, ns=(changed_ns, changed_ns + 1))
    assert kept_file_sha256(path) == hashlib.sha256(b"six").hexdigest()
    path.write_bytes(b"three")
    os.utime(path, ns=(changed_ns, changed_ns + 1))
    assert kept_file_sha256(path) == hashlib.sha256(b"three").hexdigest()


def test_what_trainings_begin_with_is_read_once_for_all_cells(
    tmp_path: Path, read: list[str]
) -> None:
    network, pretrained, channel = (tmp_path / name for name in ("network", "weights", "air.h5"))
    for path in (network, pretrained, channel):
        path.write_text(path.name)
    for _ in range(3):
        files_begun_with(network=network, pretrained=str(pretrained), channel=str(channel))
    assert sorted(read) == ["air.h5", "network", "weights"]
