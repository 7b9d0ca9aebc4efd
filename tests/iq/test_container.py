"""Where metadata and samples lie, and what is refused before they are touched."""

import gzip
import io
import json
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phyemu.errors import RecordingError
from phyemu.iq import open_recording
from phyemu.iq.container import open_container

META = json.dumps(
    {
        "global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.2.0"},
        "captures": [{"core:sample_start": 0}],
        "annotations": [],
    }
).encode()
DATA = np.arange(2000, dtype="<i2").tobytes()
MEMBERS = {"rec.sigmf-meta": META, "rec.sigmf-data": DATA}


def tar(members: dict[str, bytes], *special: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in special:
            archive.addfile(member)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def special(
    kind: bytes, name: str = "rec.sigmf-data", target: str = "/etc/passwd"
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("folder", ["", "rec/", "a/b/c/", "./"])
@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".sigmf", tar),
        (".sigmf.gz", lambda members: gzip.compress(tar(members))),
        (".sigmf.xz", lambda members: lzma.compress(tar(members))),
        (".sigmf.zip", zipped),
        (".SIGMF", tar),
    ],
)
def test_archives_open_whatever_the_order_and_folders_of_their_members(
    tmp_path: Path, suffix: str, pack: Callable[[dict[str, bytes]], bytes], folder: str, order: int
) -> None:
    path = tmp_path / f"rec{suffix}"
    members = {f"{folder}{name}": content for name, content in list(MEMBERS.items())[::order]}
    path.write_bytes(pack(members | {f"{folder}README.txt": b"more"}))
    with open_recording(path) as recording:
        stored = np.arange(2000).reshape(-1, 2) / 2**15
        assert np.array_equal(recording.read().real, stored[:, 0].astype(np.float32))
        assert recording.num_samples == 1000


def test_an_archive_is_mapped_in_place(tmp_path: Path) -> None:
    path = tmp_path / "rec.sigmf"
    path.write_bytes(tar(MEMBERS))
    container = open_container(path)
    assert container.data_file.name == str(path)
    container.data_file.seek(container.data_offset)
    assert container.data_file.read(container.data_bytes) == DATA
    container.data_file.close()


@pytest.mark.parametrize("name", ["rec", "rec.sigmf-meta", "rec.sigmf-data"])
def test_a_pair_opens_by_either_file_or_its_base_name(tmp_path: Path, name: str) -> None:
    for member, content in MEMBERS.items():
        (tmp_path / member).write_bytes(content)
    container = open_container(tmp_path / name)
    assert container.path == tmp_path / "rec.sigmf-meta"
    assert (container.meta_text, container.data_bytes) == (META, len(DATA))
    container.data_file.close()


def test_a_base_name_with_dots_stands_for_its_archive(tmp_path: Path) -> None:
    (tmp_path / "room.2.4GHz.sigmf").write_bytes(tar(MEMBERS))
    open_recording(tmp_path / "room.2.4GHz").close()


def test_samples_in_a_foreign_file_are_found_by_core_dataset(tmp_path: Path) -> None:
    tree = json.loads(META)
    tree["global"]["core:dataset"] = "radio.bin"
    tree["global"]["core:trailing_bytes"] = 3
    tree["captures"][0]["core:header_bytes"] = 7
    text = json.dumps(tree).encode()
    (tmp_path / "rec.sigmf-meta").write_bytes(text)
    (tmp_path / "radio.bin").write_bytes(b"header!" + DATA + b"end")
    with open_recording(tmp_path / "rec") as recording:
        pair = recording.read()
    path = tmp_path / "archive.sigmf"
    path.write_bytes(tar({"x/radio.bin": b"header!" + DATA + b"end", "x/rec.sigmf-meta": text}))
    with open_recording(path) as recording:
        assert np.array_equal(recording.read(), pair)
    assert np.array_equal(pair.real * 2**15, np.arange(0, 2000, 2))
    (tmp_path / "radio.bin").unlink()
    with pytest.raises(RecordingError, match=r"its core:dataset radio.bin is missing"):
        open_container(tmp_path / "rec")


@pytest.mark.parametrize("name", ["../radio.bin", "/etc/hostname", "a/b", "..\\x"])
def test_core_dataset_may_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    tree = json.loads(META)
    tree["global"]["core:dataset"] = name
    (tmp_path / "rec.sigmf-meta").write_text(json.dumps(tree))
    with pytest.raises(RecordingError, match=r"its data file rec.sigmf-data is missing"):
        open_container(tmp_path / "rec")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rec.sigmf", b"", "is empty"),
        ("rec.sigmf.gz", b"", "is empty"),
        ("rec.sigmf", b"no archive at all" * 100, "damaged.*copy it again"),
        ("rec.sigmf", gzip.compress(tar(MEMBERS)), "not the kind of archive that its name says"),
        ("rec.sigmf.gz", tar(MEMBERS), "not the kind of archive"),
        ("rec.sigmf.xz", tar(MEMBERS), "not the kind of archive"),
        ("rec.sigmf.zip", tar(MEMBERS), "not the kind of archive"),
        ("rec.sigmf.gz", gzip.compress(tar(MEMBERS))[:300], "damaged, truncated"),
        ("rec.sigmf.xz", lzma.compress(tar(MEMBERS))[:300], "damaged, truncated"),
        ("rec.sigmf.zip", zipped(MEMBERS)[:300], "damaged, truncated"),
        ("rec.sigmf", tar({"rec.sigmf-data": DATA}), "holds no .sigmf-meta file: truncated"),
        ("rec.sigmf", tar({"rec.sigmf-meta": META}), "holds no .sigmf-data file: truncated"),
        ("rec.sigmf.zip", zipped({"rec.sigmf-meta": META}), "holds no .sigmf-data file"),
        (
            "rec.sigmf",
            tar(MEMBERS | {"other.sigmf-meta": META}),
            r"holds 2 recordings \(.sigmf-meta files\); unpack it",
        ),
        ("rec.sigmf", tar({"../rec.sigmf-data": DATA, "rec.sigmf-meta": META}), "climbs out"),
        ("rec.sigmf", tar(MEMBERS | {"a/../../x": b""}), "member 'a/../../x' climbs out"),
        ("rec.sigmf", tar(MEMBERS | {"..\\x": b""}), "climbs out"),
        ("rec.sigmf", tar(MEMBERS | {"/etc/x": b""}), "climbs out"),
        ("rec.sigmf.zip", zipped(MEMBERS | {"../x": b""}), "climbs out"),
        (
            "rec.sigmf",
            tar({"rec.sigmf-meta": META}, special(tarfile.SYMTYPE)),
            "'rec.sigmf-data' is a link, a device or sparse",
        ),
        (
            "rec.sigmf",
            tar(MEMBERS, special(tarfile.LNKTYPE, "more", "rec.sigmf-data")),
            "'more' is a link",
        ),
        ("rec.sigmf", tar(MEMBERS, special(tarfile.CHRTYPE, "tty")), "'tty' is a link, a device"),
        ("rec.sigmf", tar(MEMBERS, special(tarfile.FIFOTYPE, "pipe")), "'pipe' is a link, a dev"),
        ("rec.sigmf.zip", zipped(MEMBERS, stat.S_IFLNK | 0o777), "is a link"),
        ("rec.wav", b"RIFF", "no SigMF name; it must end in .sigmf-meta"),
    ],
)
def test_bad_files_are_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=message) as caught:
        open_container(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", [1, -1])
def test_an_archive_cut_anywhere_is_refused(tmp_path: Path, order: int) -> None:
    whole = tar(dict(list(MEMBERS.items())[::order]))
    end = len(whole.rstrip(b"\0")) if order == 1 else whole.rindex(b"}")
    path = tmp_path / "rec.sigmf"
    # Every block boundary is a place where a tar could seem complete.
    for length in {*range(512, end, 512), *range(100, end, 777)}:
        path.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match=r"truncated|damaged"):
            open_recording(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(MEMBERS))
    start = content.index(b"PK\x01\x02")
    content[start + 8] |= 1  # general purpose flag of the first central entry
    path = tmp_path / "rec.sigmf.zip"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"is encrypted; unpack it first"):
        open_container(path)


def test_a_missing_recording_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        RecordingError, match=r"no such recording; looked for it, and for none with"
    ):
        open_container(tmp_path / "none")
    (tmp_path / "rec.sigmf-data").write_bytes(DATA)
    with pytest.raises(RecordingError, match="the metadata file is missing beside the data"):
        open_container(tmp_path / "rec.sigmf-data")
    (tmp_path / "meta.sigmf-meta").write_bytes(META)
    with pytest.raises(RecordingError, match=r"its data file meta.sigmf-data is missing"):
        open_container(tmp_path / "meta")


def test_metadata_of_absurd_size_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phyemu.iq.container._MAX_META_BYTES", len(META) - 1)
    for name, content in (("rec.sigmf", tar(MEMBERS)), ("rec.sigmf.zip", zipped(MEMBERS))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordingError, match=r"its metadata has .* bytes, at most"):
            open_container(tmp_path / name)
    for member, content in MEMBERS.items():
        (tmp_path / member).write_bytes(content)
    with pytest.raises(RecordingError, match=r"its metadata has .* bytes, at most"):
        open_container(tmp_path / "rec.sigmf-meta")
