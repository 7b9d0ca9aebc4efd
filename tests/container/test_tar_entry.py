"""Entries pass through as bytes, and only what must change does; the oracle is tarfile."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.container.tar_entry import TarEntry
from phyemu.container.tar_reader import TarReader
from phyemu.container.tar_writer import TarWriter
from phyemu.errors import ImageError
from tests.container.small_base import add_file, add_other

FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=70)
NAMES = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=4)


def copied(data: bytes, *, prefix: str = "", name: str = "base.tar") -> bytes:
    """Return an archive passed through, every entry below `prefix`."""
    output = io.BytesIO()
    writer = TarWriter(output, mtime_s=0)
    reader = TarReader(io.BytesIO(data), name=name)
    for entry in reader:
        moved = entry
        if prefix and not entry.is_global:
            link = f"{prefix}/{entry.link}" if entry.is_hard_link else None
            moved = entry.named(f"{prefix}/{entry.path}", link=link)
        writer.copy(moved.blocks, reader.data())
    writer.close()
    return output.getvalue()


def described(data: bytes) -> list[tuple[object, ...]]:
    """Return what tarfile says of each entry, with its data."""
    found: list[tuple[object, ...]] = []
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            pax = {
                key: value
                for key, value in info.pax_headers.items()
                if key not in {"path", "linkpath", "GNU.sparse.name"}
            }
            found.append(
                (
                    info.name,
                    info.linkname,
                    info.type,
                    info.mode,
                    info.uid,
                    info.gid,
                    info.uname,
                    info.mtime,
                    info.devmajor,
                    info.devminor,
                    pax,
                    file.read() if file else b"",
                )
            )
    return found


def moved_below(entries: list[tuple[object, ...]], prefix: str) -> list[tuple[object, ...]]:
    return [
        (f"{prefix}/{name}", f"{prefix}/{link}" if kind == tarfile.LNKTYPE else link, kind, *rest)
        for name, link, kind, *rest in entries
    ]


def all_kinds(format: int) -> bytes:
    buffer = io.BytesIO()
    long = "a-long-folder-name/" * 9 + "file"
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        add_other(tar, "folder", tarfile.DIRTYPE, mode=0o1777)
        add_file(tar, "folder/file", b"content" * 200, mode=0o4755, uid=7, gid=8, uname="me")
        add_other(tar, "folder/link", tarfile.SYMTYPE, linkname="../elsewhere/that is/absent")
        add_other(tar, "folder/hard", tarfile.LNKTYPE, linkname="folder/file")
        add_other(tar, "null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
        add_other(tar, "disk", tarfile.BLKTYPE, devmajor=8, devminor=1)
        add_other(tar, "pipe", tarfile.FIFOTYPE)
        if format == tarfile.USTAR_FORMAT:
            long = "a-folder/" * 15 + "file"  # fits into name and prefix
        else:
            add_other(tar, "to-long", tarfile.SYMTYPE, linkname="x" * 300)
            add_other(tar, "hard-to-long", tarfile.LNKTYPE, linkname=long)
        add_file(tar, long, b"far below")
        if format == tarfile.PAX_FORMAT:
            attributes = {"SCHILY.xattr.user.note": "bytes \udcff\x01", "mtime": "1234.5"}
            add_file(tar, "with-attributes", b"x", pax_headers=attributes)
            add_file(tar, "huge-owner", b"y", uid=2**31 + 5)
        if format == tarfile.GNU_FORMAT:
            add_file(tar, "huge-owner", b"y", uid=2**31 + 5)  # base 256
    return buffer.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_an_archive_that_passes_through_has_the_same_bytes(format: int) -> None:
    data = all_kinds(format)
    assert copied(data) == data


@pytest.mark.parametrize("format", FORMATS)
def test_moved_entries_keep_everything_but_their_names(format: int) -> None:
    data = all_kinds(format)
    moved = copied(data, prefix="rootfs/and/deeper")
    assert described(moved) == moved_below(described(data), "rootfs/and/deeper")


@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=1200)), max_size=5), st.sampled_from(FORMATS[:2])
)
def test_any_names_survive_a_move(files: list[tuple[list[str], bytes]], format: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for parts, content in files:
            add_file(tar, "/".join(parts), content)
    data = buffer.getvalue()
    assert copied(data) == data
    assert described(copied(data, prefix="r")) == moved_below(described(data), "r")


@pytest.mark.skipif(shutil.which("tar") is None, reason="no GNU tar")
@pytest.mark.parametrize(
    "how",
    [["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))],
)
def test_sparse_files_of_gnu_tar_survive_a_move(how: list[str], tmp_path: Path) -> None:
    source, archive, unpacked = tmp_path / "s", tmp_path / "a.tar", tmp_path / "u"
    source.mkdir()
    unpacked.mkdir()
    with (source / "holes").open("wb") as file:
        for start in range(0, 12 << 20, 1 << 20):  # more pieces than fit into one header
            file.seek(start)
            file.write(b"data at %d" % start)
        file.truncate(13 << 20)
    (source / "after").write_bytes(b"after")
    tar = ["tar", "-C", str(source), "-S", *how, "-cf", str(archive), "holes", "after"]
    subprocess.run(tar, check=True)
    data = archive.read_bytes()
    assert len(data) < 1 << 20
    assert copied(data) == data
    (tmp_path / "moved.tar").write_bytes(copied(data, prefix="rootfs"))
    subprocess.run(["tar", "-C", str(unpacked), "-xf", str(tmp_path / "moved.tar")], check=True)
    for name in ("holes", "after"):
        assert (unpacked / "rootfs" / name).read_bytes() == (source / name).read_bytes()


def entries(data: bytes) -> list[TarEntry]:
    return list(TarReader(io.BytesIO(data), name="base.tar"))


@pytest.mark.parametrize("name", ["huge-owner", "sized-by-a-record"])
def test_a_file_may_get_another_size_and_owner(name: str) -> None:
    buffer = io.BytesIO(all_kinds(tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=buffer, mode="a", format=tarfile.PAX_FORMAT) as tar:
        add_file(tar, "sized-by-a-record", b"seven", pax_headers={"size": "5"})
    output = io.BytesIO()
    writer = TarWriter(output, mtime_s=0)
    entry = next(entry for entry in entries(buffer.getvalue()) if entry.path == name)
    assert entry.size in {1, 5}
    writer.copy(entry.resized(7).owned_by_root().blocks, [b"another"])
    writer.close()
    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as tar:
        (info,) = tar
        file = tar.extractfile(info)
        assert file is not None
        assert file.read() == b"another"
        assert (info.uid, info.gid, info.uname, info.mtime) == (0, 0, "root", 1600000000)


@given(st.integers(0, 100_000))
def test_an_archive_that_is_cut_short_is_refused(keep: int) -> None:
    data = all_kinds(tarfile.PAX_FORMAT)
    content = len(data.rstrip(b"\0"))
    cut = data[: keep % (content - 1)]
    with pytest.raises(ImageError, match=r"ends in the middle|no tar archive"):
        entries(cut)


@given(st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_archives_are_refused_in_one_line_or_pass(damage: list[tuple[int, int]]) -> None:
    data = bytearray(all_kinds(tarfile.PAX_FORMAT))
    for at, value in damage:
        data[at % len(data)] = value
    try:
        entries(bytes(data))
    except ImageError as error:
        assert "base.tar" in str(error)  # noqa: PT017


@given(st.binary(max_size=3000))
def test_other_files_are_refused(data: bytes) -> None:
    if any(data[:512]):
        with pytest.raises(ImageError, match=r"no tar archive|ends in the middle"):
            entries(data)


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/passwd", "a/.."])
def test_names_that_lead_out_are_refused(name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        tar.addfile(info)
    with pytest.raises(ImageError, match="leads out of the archive"):
        entries(buffer.getvalue())


def test_hard_links_that_lead_out_are_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add_other(tar, "inside", tarfile.LNKTYPE, linkname="/etc/shadow")
    with pytest.raises(ImageError, match="leads out of the archive"):
        entries(buffer.getvalue())


def test_records_without_an_end_are_not_held_in_memory() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(ImageError, match="names and attributes of 1099511627776 bytes"):
        entries(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE])
def test_links_and_devices_have_no_data_whatever_their_size_says(kind: bytes) -> None:
    # As some writers have it: the size is that of the file that a hard link repeats.
    link = tarfile.TarInfo("link")
    link.type, link.linkname, link.size = kind, "file", 1000
    parts = []
    for name, data in (("file", b"x" * 1000), ("next", b"y" * 1000)):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        parts.append(info.tobuf() + data + bytes(24))
    whole = parts[0] + link.tobuf() + parts[1] + bytes(10240)
    reader = TarReader(io.BytesIO(whole), name="base.tar")
    found = [(entry.path, entry.size, b"".join(reader.data())) for entry in reader]
    assert found == [("file", 1000, b"x" * 1000), ("link", 0, b""), ("next", 1000, b"y" * 1000)]
