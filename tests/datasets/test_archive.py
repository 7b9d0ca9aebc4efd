"""Archives are read member by member, never unpacked."""

import io
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from phyemu.datasets.archive import read_members
from phyemu.errors import DatasetError


def _archive(path: Path, members: dict[str, bytes], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_come_with_their_content(tmp_path: Path, mode: str) -> None:
    path = _archive(tmp_path / "a.tar", {"a/b": b"one", "c": b""}, mode)
    assert list(read_members(path)) == [(PurePosixPath("a/b"), b"one"), (PurePosixPath("c"), b"")]


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_name_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    path = _archive(tmp_path / "a.tar.xz", {name: b"x"})
    with pytest.raises(DatasetError, match="climbs out"):
        list(read_members(path))
    assert sorted(tmp_path.iterdir()) == [path]


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(f"member{kind.decode()}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert list(read_members(path)) == []


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.tar.xz", {"a": bytes(range(256)) * 100})
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DatasetError, match="cannot be read as a tar archive"):
        list(read_members(path))


def test_a_member_that_grows_beyond_any_data_set_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phyemu.datasets.archive._MAX_MEMBER_BYTES", 1 << 20)
    path = _archive(tmp_path / "a.tar.xz", {"bomb": bytes((1 << 20) + 1)})
    with pytest.raises(DatasetError, match="'bomb' takes it beyond 1 MiB a file"):
        list(read_members(path))


def test_a_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        list(read_members(tmp_path / "absent.tar"))
