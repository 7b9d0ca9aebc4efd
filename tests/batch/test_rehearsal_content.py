"""Content of images, from folders and from archives that may be anything."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from phyemu.batch.plan import PlannedImage, planned_files
from phyemu.batch.rehearsal_content import find_content, install_content
from phyemu.errors import ConfigError


def image(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return path


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


def below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_of_an_image_only_the_node_s_own_files_are_taken(tmp_path: Path) -> None:
    packaged = image(
        tmp_path / "phyemu-rx.tar.gz",
        ("metadata.yaml", b"architecture: x86_64"),
        ("rootfs/etc/shadow", b"root"),
        ("rootfs/root/phyemu/tx.sigmf", b"waveform"),
        ("./rootfs/root/radio_api/start.sh", b"#!/bin/sh"),
        ("rootfs/root/.bashrc", b"no"),
        ("rootfs/root/phyemu/../../../outside", b"hostile"),
        ("/rootfs/root/phyemu/absolute", b"hostile"),
        ("root/phyemu/elsewhere", b"hostile"),
        ("rootfs/usr/bin/python3", link(tarfile.SYMTYPE, "python3.10")),
    )
    root = tmp_path / "root"
    install_content(packaged, root, None)
    assert below(root) == {
        "root/phyemu/tx.sigmf": b"waveform",
        "root/radio_api/start.sh": b"#!/bin/sh",
    }
    assert (root / "root/radio_api/start.sh").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    packaged = image(
        tmp_path / "phyemu-rx.tar.gz", ("rootfs/root/phyemu/logs", link(kind, "/etc/shadow"))
    )
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        install_content(packaged, tmp_path / "root", None)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    packaged = image(
        tmp_path / "phyemu-rx.tar.gz",
        ("rootfs/root/phyemu/a", b"file"),
        ("rootfs/root/phyemu/a/b", b"below it"),
    )
    with pytest.raises(ConfigError, match="cannot be read as an image"):
        install_content(packaged, tmp_path / "root", None)


def test_an_archive_without_content_and_one_that_is_cut_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not packaged by phyemu"):
        install_content(image(tmp_path / "a.tar.gz", ("rootfs/x", b"")), tmp_path / "root", None)
    whole = image(tmp_path / "b.tar.gz", ("rootfs/root/phyemu/x", b"0123456789" * 1000))
    for content in (whole.read_bytes()[:60], b"", gzip.compress(b"no tar")):
        (tmp_path / "c.tar.gz").write_bytes(content)
        with pytest.raises(ConfigError, match="image"):
            install_content(tmp_path / "c.tar.gz", tmp_path / "root", None)


def test_content_must_be_what_the_plan_says(tmp_path: Path) -> None:
    content = tmp_path / "content"
    (content / "phydnn").mkdir(parents=True)
    (content / "phydnn" / "images.npz").write_bytes(b"images")
    planned = PlannedImage(name="phyemu-tx", content="content", files=planned_files(content))
    install_content(content, tmp_path / "root", planned)
    assert below(tmp_path / "root") == {"root/phyemu/phydnn/images.npz": b"images"}
    (content / "phydnn" / "images.npz").write_bytes(b"others")
    with pytest.raises(ConfigError, match=r"differs from plan\.json: phydnn/images\.npz"):
        install_content(content, tmp_path / "second", planned)
    (content / "phydnn" / "images.npz").unlink()
    with pytest.raises(ConfigError, match=r"lacks a file of plan\.json"):
        install_content(content, tmp_path / "third", planned)


def test_content_is_found_by_the_image_s_name(tmp_path: Path) -> None:
    images = ["phyemu-tx", "phyemu-rx"]
    planned = {"phyemu-tx": tmp_path / "plan-tx", "other": tmp_path}
    assert find_content(images, (), planned) == {"phyemu-tx": tmp_path / "plan-tx"}
    # A folder with the images' names, or the content of both.
    for_all = tmp_path / "all"
    for_all.mkdir()
    assert find_content(images, (for_all,), planned) == dict.fromkeys(images, for_all)
    (for_all / "phyemu-rx").mkdir()
    assert find_content(images, (for_all,), planned) == {
        "phyemu-tx": tmp_path / "plan-tx",
        "phyemu-rx": for_all / "phyemu-rx",
    }
    packaged = image(tmp_path / "phyemu-tx.tar.gz", ("rootfs/x", b""))
    assert find_content(images, (packaged,), planned) == {"phyemu-tx": packaged}
    stranger = image(tmp_path / "stranger.tar.gz", ("rootfs/x", b""))
    with pytest.raises(ConfigError, match="no such image; it has phyemu-rx, phyemu-tx"):
        find_content(images, (stranger,), planned)
    with pytest.raises(ConfigError, match="no such image or content folder"):
        find_content(images, (tmp_path / "nothing",), planned)
