"""What is a base, and what is refused before anything is written."""

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from phyemu.container import BaseLayout, survey_base
from phyemu.errors import ImageError
from tests.container.small_base import AARCH64, add_file, add_other, elf, libc

Make = Callable[..., Path]
LIBC = "usr/lib/x86_64-linux-gnu/libc.so.6"
ALL_OF_ETC = ["etc", "etc/passwd", "etc/shadow", "etc/ssh", "etc/ssh/sshd_config"]


@pytest.mark.parametrize("name", ["base.tar.gz", "base.tar.xz", "base.tar"])
@pytest.mark.parametrize(
    ("unified", "dotted", "layout"),
    [
        (True, False, BaseLayout.UNIFIED),
        (False, False, BaseLayout.ROOT),
        (False, True, BaseLayout.ROOT),
    ],
)
def test_both_layouts_are_read(
    make_base: Make, name: str, unified: bool, dotted: bool, layout: BaseLayout
) -> None:
    base = survey_base(make_base(name=name, unified=unified, dotted=dotted))
    assert base.layout is layout
    assert base.glibc == (2, 36)
    assert base.pythons == {11: "usr/bin/python3.11"}
    assert base.os_release["PRETTY_NAME"] == "Debian 12"
    assert base.has_systemd
    assert base.metadata.get("creation_date") == (1700000000 if unified else None)
    assert base.tree.followed("bin/python3.11") == "usr/bin/python3.11"


def test_what_a_base_lacks_for_running_is_told(make_base: Make) -> None:
    programs = {
        "usr/bin/python3": elf(),
        "usr/bin/python3.10": elf(),
        "usr/local/bin/python3.12": elf(),
    }
    base = survey_base(
        make_base(
            without=["usr/bin/python3.11", "usr/lib/systemd/systemd"],
            replacing={**programs, "usr/lib/x86_64-linux-gnu/libc.so.6": elf(more=b"musl")},
        )
    )
    assert base.pythons == {10: "usr/bin/python3.10", 12: "usr/local/bin/python3.12"}
    assert base.glibc is None
    assert not base.has_systemd


def test_older_libraries_are_found_by_their_own_name(make_base: Make) -> None:
    path = "usr/lib/x86_64-linux-gnu/libc"
    base = survey_base(
        make_base(without=[f"{path}.so.6"], replacing={f"{path}-2.31.so": libc("2.31")})
    )
    assert base.glibc == (2, 31)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"without": ALL_OF_ETC}, "no root file system"),
        ({"without": ["usr/sbin/sshd"]}, "has no sshd"),
        ({"metadata": None}, "rootfs/ without metadata.yaml"),
        ({"metadata": b"architecture: aarch64\ncreation_date: 1\n"}, "'aarch64'.*x86_64"),
        ({"metadata": b"architecture: x86_64\n"}, "creation_date must be seconds"),
        ({"metadata": b"architecture: x86_64\ncreation_date: -1\n"}, "creation_date must be"),
        ({"metadata": b"[1, 2]"}, "must be a mapping, is list"),
        ({"metadata": b"{a: b: c"}, "is no YAML"),
        ({"metadata": b"\xff\xfe"}, "is no YAML"),
        ({"metadata": b"architecture: x86_64\ncreation_date: 1\ntemplates: 3\n"}, "templates must"),
        ({"metadata": b"!!python/object/apply:os.system [touch /tmp/x]"}, "is no YAML"),
        ({"replacing": {"usr/bin/dash": elf(AARCH64), LIBC: b""}}, "not for x86-64.*183"),
        ({"replacing": {"usr/bin/dash": b"#!", LIBC: b""}}, "no program that tells"),
    ],
)  # fmt: skip
def test_what_is_no_base_is_refused_in_one_line(
    make_base: Make, changes: dict[str, object], why: str
) -> None:
    path = make_base(**changes)
    with pytest.raises(ImageError, match=why) as caught:
        survey_base(path)
    assert str(path) in str(caught.value)


def test_a_sshd_behind_a_broken_link_is_none(make_base: Make) -> None:
    with pytest.raises(ImageError, match="has no sshd"):
        survey_base(make_base(without=["usr/sbin/sshd"], links={"bin": "usr/bin", "sbin": "x"}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no tar archive"),
        (b"hello", "no tar archive"),
        (bytes(10240), "no root file system"),
        (b"\x1f\x8b garbage", "damaged or cut short"),
        (b"\xfd7zXZ\x00garbage", "damaged or cut short"),
        (b"BZh9", "bunzip2"),
        (b"\x28\xb5\x2f\xfdxxxx", "zstd -d"),
        (b"hsqs" + bytes(100), "squashfs; take the unified"),
        (b"PK\x03\x04", "zip file"),
        (b"QFI\xfb", "virtual machine"),
        (gzip.compress(b"hello", mtime=0), "no tar archive"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "base.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=why):
        survey_base(path)


@pytest.mark.parametrize("name", ["base.tar.gz", "base.tar.xz", "base.tar"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.995])
def test_a_base_that_is_cut_short_is_refused(make_base: Make, name: str, share: float) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_file(tar, "rootfs/big", bytes(range(256)) * 4000)

    path = make_base(name=name, more=more)
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut short|in the middle"):
        survey_base(path)


def test_a_base_whose_check_sum_is_wrong_is_refused(make_base: Make) -> None:
    path = make_base()
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"damaged.*CRC"):
        survey_base(path)


def test_images_of_other_kinds_are_told_apart(make_base: Make, tmp_path: Path) -> None:
    def docker(tar: tarfile.TarFile) -> None:
        add_file(tar, "manifest.json", b"[]")

    with pytest.raises(ImageError, match="image of Docker"):
        survey_base(make_base(unified=False, more=docker))

    def machine(tar: tarfile.TarFile) -> None:
        add_file(tar, "rootfs.img", b"QFI")

    with pytest.raises(ImageError, match="virtual machine"):
        survey_base(make_base(more=machine))

    def split(tar: tarfile.TarFile) -> None:
        add_file(tar, "metadata.yaml", b"architecture: x86_64\ncreation_date: 1\n")

    with pytest.raises(ImageError, match="half of a split image"):
        survey_base(make_base(unified=False, more=split))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        survey_base(tmp_path / "absent.tar.gz")
    with pytest.raises(ImageError, match="cannot be read"):
        survey_base(tmp_path)


def test_what_lxd_does_not_know_is_named(make_base: Make) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_other(tar, "backup", tarfile.DIRTYPE)
        add_file(tar, "backup/index.yaml", b"x")

    assert survey_base(make_base(more=more)).left_out == ("backup",)
