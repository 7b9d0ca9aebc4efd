"""Archives of docker save in the layouts of all engines; damaged and foreign ones refused."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phyemu.container.docker_archive import survey_docker_archive
from phyemu.errors import ImageError
from tests.container.small_base import AARCH64, elf
from tests.container.small_docker import files_layer, legacy, oci, sha256, system, write_archive

BASE = system()
TOP = files_layer({"opt/.wh.old": b"", "etc/shadow": b"root:*:1::::::\n"})
Files = Sequence[tuple[str, bytes | str]]

LAYOUTS = {
    "legacy": legacy([BASE, TOP, BASE]),
    "oci": oci([BASE, TOP, BASE]),
    "oci compressed": oci([BASE, TOP, BASE], compress=True),
    "oci alone": oci([BASE, TOP, BASE], docker=False),
}


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_holds_the_same_image(tmp_path: Path, files: Files, suffix: str) -> None:
    base = survey_docker_archive(write_archive(tmp_path / f"base{suffix}", files))
    assert [layer.diff_id for layer in base.layers] == [sha256(BASE), sha256(TOP), sha256(BASE)]
    assert base.layers[0] == base.layers[2]
    assert base.names == ("base:1",)
    assert base.stack.facts.glibc == (2, 36)
    assert base.content_size == 2 * len(BASE) + len(TOP)
    # The third layer is the first one again, and hides the second one's file.
    kept = base.stack.file("etc/shadow")
    assert kept is not None
    assert kept.content.startswith(b"root:$6$known")


def test_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    files = legacy([BASE, TOP])
    one = survey_docker_archive(write_archive(tmp_path / "one.tar", files))
    other = survey_docker_archive(write_archive(tmp_path / "other.tar", files[::-1]))
    assert one.layers == other.layers


def replaced(files: Files, name: str, content: bytes | None) -> Files:
    kept = [(found, data) for found, data in files if found != name]
    return kept if content is None else [*kept, (name, content)]


def named(files: Files, suffix: str) -> str:
    return next(name for name, _ in files if name.endswith(suffix))


FIRST = legacy([BASE])
LAYER = named(FIRST, "layer.tar")
MANIFEST = json.loads(dict(FIRST)["manifest.json"])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("etc/passwd", b"root")], "neither manifest.json nor index.json"),
        (legacy([BASE], architecture="arm64"), "linux/arm64.*--platform linux/amd64"),
        (legacy([BASE], os="windows"), "windows/amd64"),
        (legacy([system({"usr/bin/dash": elf(AARCH64)})]), "not for x86-64"),
        (legacy([BASE], rootfs={"diff_ids": []}), "number of layers"),
        (legacy([BASE], rootfs=None), "number of layers"),
        (legacy([BASE], config=[1]), "no configuration"),
        (legacy([BASE], config={"Env": 1}), "no configuration"),
        (legacy([BASE], config={"ExposedPorts": ["22"]}), "no configuration"),
        (legacy([BASE], history="old"), "no configuration"),
        (replaced(FIRST, LAYER, TOP), "is not the one of its configuration"),
        (replaced(FIRST, LAYER, None), "is missing or no tar archive"),
        (replaced(FIRST, LAYER, b"\x28\xb5\x2f\xfd" + bytes(600)), "zstd-compressed"),
        (replaced(FIRST, LAYER, b"\x1f\x8b" + bytes(600)), "damaged or cut short"),
        (replaced(FIRST, LAYER, "layer.tar"), "is missing or no tar"),  # a link to itself
        (replaced(FIRST, named(FIRST, ".json"), None), "is missing|no archive of docker"),
        (replaced(FIRST, "manifest.json", b"[]"), "holds 0 images"),
        (replaced(FIRST, "manifest.json", json.dumps(MANIFEST * 2).encode()), "base:1, base:1"),
        (replaced(FIRST, "manifest.json", b"{}"), "are damaged"),
        (replaced(FIRST, "manifest.json", b'[{"Config": 1}]'), "are damaged"),
        (replaced(FIRST, "manifest.json", b"[" * 5000), "are damaged"),
        (replaced(oci([BASE], docker=False), "index.json", b'{"manifests": []}'), "holds 0 images"),
        (replaced(oci([BASE], docker=False), "index.json", b"[]"), "are damaged"),
        ([("../evil", b"x"), *FIRST], "leads out of the archive"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tmp_path: Path, files: Files, said: str) -> None:
    path = write_archive(tmp_path / "base.tar", files)
    with pytest.raises(ImageError, match=said) as caught:
        survey_docker_archive(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_configuration_that_was_changed_is_refused(tmp_path: Path) -> None:
    name = MANIFEST[0]["Config"]
    changed = dict(FIRST)[name].replace(b"amd64", b"amd65")  # type: ignore[union-attr, arg-type]
    path = write_archive(tmp_path / "base.tar", replaced(FIRST, name, changed))
    with pytest.raises(ImageError, match="does not have that sha256"):
        survey_docker_archive(path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.integers(0, 255))
def test_a_cut_or_changed_archive_is_refused_or_still_the_same(
    tmp_path: Path, part: float, byte: int
) -> None:
    whole = write_archive(tmp_path / "base.tar", LAYOUTS["oci compressed"]).read_bytes()
    at = int(part * (len(whole) - 1))
    path = tmp_path / "damaged.tar"
    # Behind the last header stands nothing but padding; that may be cut.
    for damaged in (whole[:at], whole[:at] + bytes([byte]) + whole[at + 1 :]):
        path.write_bytes(damaged)
        try:
            base = survey_docker_archive(path)
        except ImageError as exc:
            assert "\n" not in str(exc)  # noqa: PT017
        else:
            assert [layer.diff_id for layer in base.layers][:1] == [sha256(BASE)]
