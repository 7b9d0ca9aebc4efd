"""An image is its base, entry for entry, with what is added behind its links."""

import gzip
import io
import os
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phyemu.container import Addition, TextContent, survey_base
from phyemu.container.lxd_image import WrittenImage, image_time_s, write_lxd_image
from phyemu.container.standalone_python import read_standalone_python
from phyemu.errors import ImageError
from tests.container.small_base import add_file, add_other, elf

Make = Callable[..., Path]


@dataclass(frozen=True)
class Changed:
    content: bytes


class Access:
    """Rewrites one file that a base has, and makes one that it has not."""

    REWRITTEN = ("etc/shadow", "etc/made")

    def rewrite(self, path: str, content: bytes | None) -> Changed | None:
        if path == "etc/made":
            return Changed(b"made")
        return None if content is None else Changed(b"locked\n" * 100)


def text(path: str, data: bytes = b"ours", mode: int = 0o644) -> Addition:
    return Addition(path=path, content=TextContent(data), mode=mode)


def write(
    base: Path, additions: Sequence[Addition] = (), **options: object
) -> tuple[WrittenImage, bytes]:
    output = io.BytesIO()
    surveyed = survey_base(base)
    written = write_lxd_image(
        surveyed,
        additions,
        output,
        access=Access(),
        name="phyemu-rx",
        description="a test",
        time_s=image_time_s(surveyed, {}),
        **options,  # type: ignore[arg-type]
    )
    assert written.size == len(output.getvalue())
    return written, output.getvalue()


def listing(data: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Return what is in an image by name, and check that nothing is there twice."""
    found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        for info in tar:
            assert info.name not in found, info.name
            file = tar.extractfile(info) if info.isreg() else None
            found[info.name] = (info, file.read() if file else b"")
    return found


@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_the_listing_is_what_lxd_documents(make_base: Make, unified: bool, dotted: bool) -> None:
    _, data = write(make_base(unified=unified, dotted=dotted), [text("opt/phyemu/bin/python")])
    found = listing(data)
    names = list(found)
    # documentation.ubuntu.com/lxd, "Image format": metadata.yaml, rootfs/, templates/.
    assert names[0] == "metadata.yaml"
    assert {name.split("/")[0] for name in names} == {"metadata.yaml", "rootfs", "templates"}
    assert found["rootfs"][0].isdir()
    metadata = yaml.safe_load(found["metadata.yaml"][1])
    assert metadata["architecture"] == "x86_64"
    assert isinstance(metadata["creation_date"], int)
    assert metadata["properties"]["description"] == "a test"
    assert metadata["properties"]["os"] == ("ubuntu" if unified else "debian")
    for path, template in metadata["templates"].items():
        assert path.startswith("/")
        assert set(template["when"]) <= {"create", "copy", "start"}
        assert f"templates/{template['template']}" in found
    assert metadata.get("expiry_date") == (2100000000 if unified else None)


def test_entries_of_the_base_are_passed_on_as_they_are(make_base: Make) -> None:
    def more(tar: tarfile.TarFile) -> None:
        attributes = {"SCHILY.xattr.security.capability": "\x01\udcff\udc80x"}
        add_file(tar, "rootfs/usr/bin/ping", b"ping", mode=0o4755, pax_headers=attributes)
        add_other(tar, "rootfs/dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3)
        add_other(tar, "rootfs/usr/bin/ping6", tarfile.LNKTYPE, linkname="rootfs/usr/bin/ping")
        add_file(tar, "rootfs/" + "long/" * 50 + "name", b"x", uid=123, gid=456, uname="someone")

    path = make_base(more=more)
    before = gzip.decompress(path.read_bytes())
    _, data = write(path)
    after = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(before)) as tar:
        members = tar.getmembers()
    for info, following in zip(members, [*members[1:], None], strict=True):
        if info.name not in {"metadata.yaml", "rootfs/etc/shadow"}:
            start = info.offset
            end = following.offset if following else len(before.rstrip(b"\0"))
            assert before[start:end] in after, info.name


def test_a_bare_root_file_system_moves_with_its_links_and_attributes(make_base: Make) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_file(tar, "./usr/bin/ping", b"ping", pax_headers={"SCHILY.xattr.user.a": "b"})
        add_other(tar, "./usr/bin/ping6", tarfile.LNKTYPE, linkname="./usr/bin/ping")

    found = listing(write(make_base(unified=False, dotted=True, more=more))[1])
    assert found["rootfs/usr/bin/ping"][0].pax_headers["SCHILY.xattr.user.a"] == "b"
    assert found["rootfs/usr/bin/ping6"][0].linkname == "rootfs/usr/bin/ping"
    assert found["rootfs/bin"][0].linkname == "usr/bin"
    assert found["rootfs/etc/shadow"][0].gid == 42


def test_files_that_decide_who_gets_in_are_rewritten_on_their_way(make_base: Make) -> None:
    written, data = write(make_base())
    found = listing(data)
    info, content = found["rootfs/etc/shadow"]
    assert content == b"locked\n" * 100
    assert (info.mode, info.gid, info.mtime) == (0o640, 42, 1600000000)
    assert b"$6$known$hash" not in gzip.decompress(data)
    assert written.rewritten == ("etc/shadow",)
    assert found["rootfs/etc/made"][1] == b"made"
    assert found["rootfs/etc/made"][0].mode == 0o600


def test_a_file_that_is_rewritten_must_be_one(make_base: Make) -> None:
    def linked(tar: tarfile.TarFile) -> None:
        add_other(tar, "rootfs/etc/shadow", tarfile.LNKTYPE, linkname="rootfs/etc/passwd")

    path = make_base(more=linked, without=["etc/shadow"])
    with pytest.raises(ImageError, match="/etc/shadow is a hard link"):
        write(path)


def test_files_that_are_replaced_come_once(make_base: Make) -> None:
    additions = [text("etc/ssh/sshd_config"), text("bin/dash", mode=0o755)]
    written, data = write(make_base(), additions)
    found = listing(data)  # it refuses what comes twice
    assert found["rootfs/etc/ssh/sshd_config"][1] == b"ours"
    # Through /bin -> usr/bin of a merged /usr, not instead of it.
    assert found["rootfs/usr/bin/dash"][1] == b"ours"
    assert found["rootfs/bin"][0].issym()
    assert {file.path for file in written.added} >= {"etc/ssh/sshd_config", "usr/bin/dash"}


def test_additions_never_pass_through_a_link_of_the_base(make_base: Make, tmp_path: Path) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_other(tar, "rootfs/opt", tarfile.SYMTYPE, linkname="/srv/elsewhere")
        add_other(tar, "rootfs/srv", tarfile.SYMTYPE, linkname="../../var/data")

    path = make_base(without=["opt"], more=more)
    _, data = write(path, [text("opt/phyemu/bin/python")])
    found = listing(data)
    assert found["rootfs/opt"][0].issym()
    assert found["rootfs/var/data/elsewhere/phyemu/bin/python"][1] == b"ours"
    links = {name for name, (info, _) in found.items() if info.issym()}
    for name in found:
        assert not any(name.startswith(f"{link}/") for link in links), name
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        tar.extractall(tmp_path / "unpacked", filter=_no_owner)
    landed = tmp_path / "unpacked/rootfs/var/data/elsewhere/phyemu/bin/python"
    assert landed.read_bytes() == b"ours"


def _no_owner(info: tarfile.TarInfo, _path: str) -> tarfile.TarInfo | None:
    return None if info.isdev() else info.replace(uid=os.getuid(), gid=os.getgid(), deep=False)


def test_folders_that_are_missing_are_made_and_others_stay(make_base: Make) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_other(tar, "rootfs/logs", tarfile.DIRTYPE, mode=0o1777)

    additions = [text("a/b/c"), Addition(path="logs", mode=0o755), Addition(path="a", mode=0o700)]
    found = listing(write(make_base(more=more), additions)[1])
    assert found["rootfs/a"][0].mode == 0o700
    assert found["rootfs/a/b"][0].mode == 0o755
    assert found["rootfs/logs"][0].mode == 0o1777
    names = list(found)
    assert names.index("rootfs/a") < names.index("rootfs/a/b") < names.index("rootfs/a/b/c")


def test_nothing_of_another_phyemu_stays(make_base: Make) -> None:
    first = [text("opt/phyemu/lib/old.py"), text("opt/phyemu/bin/python"), text("root/keep")]
    _, data = write(make_base(), first)
    again = make_base().with_name("again.tar.gz")
    again.write_bytes(data)
    found = listing(write(again, [text("opt/phyemu/bin/python", b"new")])[1])
    assert "rootfs/opt/phyemu/lib/old.py" not in found
    assert "rootfs/opt/phyemu/lib" not in found
    assert found["rootfs/opt/phyemu/bin/python"][1] == b"new"
    assert found["rootfs/root/keep"][1] == b"ours"


def test_hard_links_to_a_file_that_is_replaced_keep_its_data(make_base: Make) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_file(tar, "rootfs/usr/bin/first", b"theirs", mode=0o711)
        for name in ("second", "third", "replaced-too", "fourth"):
            target = "rootfs/usr/bin/first" if name != "fourth" else "rootfs/usr/bin/replaced-too"
            add_other(tar, f"rootfs/usr/bin/{name}", tarfile.LNKTYPE, linkname=target)

    additions = [text("usr/bin/first"), text("usr/bin/replaced-too")]
    found = listing(write(make_base(more=more), additions)[1])
    assert found["rootfs/usr/bin/first"][1] == b"ours"
    assert found["rootfs/usr/bin/replaced-too"][1] == b"ours"
    second, data = found["rootfs/usr/bin/second"]
    assert (second.isreg(), second.mode, data) == (True, 0o711, b"theirs")
    for name in ("third", "fourth"):
        assert found[f"rootfs/usr/bin/{name}"][0].linkname == "rootfs/usr/bin/second"


def test_hard_links_into_what_went_keep_its_data(make_base: Make) -> None:
    def more(tar: tarfile.TarFile) -> None:
        add_other(tar, "rootfs/opt/phyemu", tarfile.DIRTYPE)
        add_file(tar, "rootfs/opt/phyemu/tool", b"tool")
        add_other(tar, "rootfs/usr/bin/tool", tarfile.LNKTYPE, linkname="rootfs/opt/phyemu/tool")

    found = listing(write(make_base(more=more), [text("opt/phyemu/bin/python")])[1])
    assert found["rootfs/usr/bin/tool"][1] == b"tool"
    assert "rootfs/opt/phyemu/tool" not in found


NAMES = ("a", "b", "c", "d", "opt/phyemu/x", "opt/phyemu/y")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    links=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=6),
    replaced=st.sets(st.sampled_from(NAMES), max_size=4),
)
def test_whatever_is_linked_and_replaced_every_name_that_stays_keeps_its_data(
    make_base: Make, files: list[str], links: list[tuple[str, str]], replaced: set[str]
) -> None:
    expected = {name: b"data of " + name.encode() for name in files}
    kept_links = []
    for name, target in links:  # a name once, to what is there already: as tar writes them
        if name not in expected and target in expected:
            expected[name] = expected[target]
            kept_links.append((name, target))

    def more(tar: tarfile.TarFile) -> None:
        for name in files:
            add_file(tar, f"rootfs/{name}", expected[name])
        for name, target in kept_links:
            add_other(tar, f"rootfs/{name}", tarfile.LNKTYPE, linkname=f"rootfs/{target}")

    found = listing(write(make_base(name="p.tar", more=more), [text(name) for name in replaced])[1])
    data: dict[str, bytes] = {}
    for name, (info, content) in found.items():
        # As tar extracts: a link is to what is there by then.
        data[name] = data[info.linkname] if info.islnk() else content
    for name, content in expected.items():
        if name in replaced:
            assert data[f"rootfs/{name}"] == b"ours"
        elif name.startswith("opt/phyemu/"):
            assert f"rootfs/{name}" not in data
        else:
            assert data[f"rootfs/{name}"] == content


@pytest.mark.parametrize(
    ("addition", "why"),
    [
        (text("etc/ssh"), "/etc/ssh is a folder, but must be a file"),
        (Addition(path="etc/passwd"), "/etc/passwd is a file, but must be a folder"),
        (text("etc/passwd/x"), "/etc/passwd is a file, where /etc/passwd/x needs a folder"),
    ],
)
def test_what_is_in_the_way_is_named(make_base: Make, addition: Addition, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        write(make_base(), [addition])


def test_two_additions_for_one_place_are_refused(make_base: Make) -> None:
    with pytest.raises(ImageError, match="/usr/bin/x: is added twice"):
        write(make_base(), [text("usr/bin/x"), text("bin/x")])


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", ".", "a//b", "a/"])
def test_additions_lie_below_the_root(path: str) -> None:
    with pytest.raises(ImageError, match="no path below the root"):
        text(path)


def test_equal_inputs_give_equal_bytes(make_base: Make) -> None:
    path = make_base()
    first = write(path, [text("a/b"), text("c")])
    os.utime(path, (1, 1))
    again = write(path, [text("c"), text("a/b")])
    assert first == again
    assert first[0].metadata["creation_date"] == 1700000000
    times = {info.mtime for name, (info, _) in listing(first[1]).items() if name == "rootfs/a/b"}
    assert times == {1700000000}


def test_the_time_is_the_bases_unless_one_is_given(make_base: Make) -> None:
    unified, bare = survey_base(make_base()), survey_base(make_base(unified=False))
    assert image_time_s(unified, {}) == 1700000000
    assert image_time_s(bare, {}) == 1600000000  # its newest file
    assert image_time_s(unified, {"SOURCE_DATE_EPOCH": "12"}) == 12
    with pytest.raises(ImageError, match="SOURCE_DATE_EPOCH=now"):
        image_time_s(unified, {"SOURCE_DATE_EPOCH": "now"})


def test_a_base_that_changes_meanwhile_is_refused(make_base: Make) -> None:
    path = make_base()
    surveyed = survey_base(path)
    make_base(replacing={"etc/new": b"x"})
    with pytest.raises(ImageError, match="changed while it was read"):
        write_lxd_image(
            surveyed, [], io.BytesIO(), access=Access(), name="a", description="", time_s=0
        )


def test_a_relocatable_python_is_root_s_and_lands_below_opt(
    make_base: Make, tmp_path: Path
) -> None:
    archive = tmp_path / "cpython.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        add_file(tar, "python/bin/python3.12", elf(), mode=0o755, uid=1000, uname="builder")
        add_other(tar, "python/bin/python3", tarfile.SYMTYPE, linkname="python3.12")
        add_other(tar, "python/bin/hard", tarfile.LNKTYPE, linkname="python/bin/python3.12")
        add_file(tar, "python/lib/python3.12/os.py", b"pass")
    python = read_standalone_python(archive)
    assert python.program == "/opt/phyemu/python/bin/python3.12"
    written, data = write(make_base(), [text("opt/phyemu/bin/python")], python=python)
    found = listing(data)
    info, content = found["rootfs/opt/phyemu/python/bin/python3.12"]
    assert (content, info.uid, info.uname, info.mode) == (elf(), 0, "root", 0o755)
    assert found["rootfs/opt/phyemu/python/bin/hard"][0].linkname == info.name
    assert found["rootfs/opt/phyemu/python/bin/python3"][0].linkname == "python3.12"
    noted = {file.path: file for file in written.added}
    assert re.fullmatch("[0-9a-f]{64}", noted["opt/phyemu/python/lib/python3.12/os.py"].sha256)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["python/bin/python3.10"], "has Python 3.10"),
        (["python/bin/other"], "no python/bin/python3.N"),
        (["cpython/bin/python3.12"], "has 'cpython' at its top"),
        (["python/bin/python3.12", "python/bin/python3.13"], "needed is one Python"),
    ],
)
def test_other_archives_are_no_python(tmp_path: Path, names: list[str], why: str) -> None:
    archive = tmp_path / "cpython.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in names:
            add_file(tar, name, elf())
    with pytest.raises(ImageError, match=why):
        read_standalone_python(archive)
