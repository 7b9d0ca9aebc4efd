"""What is named for an upload is checked before anything is sent."""

import hashlib
import json
from pathlib import Path

import pytest

from phyemu.batch import (
    BatchSettings,
    ImageChoice,
    RadioSettings,
    find_uploads,
    job_scenarios,
    sounding_batch,
)
from phyemu.errors import ConfigError
from phyemu.library import find_in_library

GZIP = b"\x1f\x8b\x08"


def made(folder: Path, team: str | None) -> Path:
    sounding_batch(
        folder,
        job_scenarios([find_in_library("90001", "colosseum")], rf_scenarios={}),
        ImageChoice(default="rx", by_node={1: "tx"}),
        BatchSettings(duration_s=9, radio=RadioSettings(sample_rate_hz=1e6), team=team),
        transmitters=[1],
    )
    return folder


def test_a_batch_brings_its_jobs_and_settings_and_names_its_images(tmp_path: Path) -> None:
    folder = made(tmp_path / "b", "my-team")
    image = tmp_path / "rx.tar.gz"
    image.write_bytes(GZIP)
    found = find_uploads([folder, image])
    assert found.team == "my-team"
    assert found.unchecked == (image,)
    assert found.images_elsewhere == ("tx",)
    assert [(item.path.name, item.folder) for item in found.transfers] == [
        ("sound-90001-tx1.json", "batch"),
        *((f"sound-90001-tx1-node-{node}.conf", "config") for node in range(1, 6)),
        ("rx.tar.gz", "images"),
    ]


def test_single_files_go_where_their_kind_belongs(tmp_path: Path) -> None:
    folder = made(tmp_path / "b", None)
    job = folder / "sound-90001-tx1.json"
    conf = tmp_path / "mine_1.conf"
    conf.write_text('role = "idle"\n', "utf-8")
    found = find_uploads([job, conf])
    assert found.team is None
    assert found.images_elsewhere == ("tx", "rx")
    assert [str(item.folder) for item in found.transfers] == ["batch", "config"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my_image.tar.gz", GZIP, "letters, digits and dashes"),
        (f"{'a' * 32}.tar.gz", GZIP, "at most 31"),
        ("-rf.tar.gz", GZIP, "no dash at its ends"),
        ("image.tar.gz", b"PK\x03\x04", "is not compressed by gzip"),
        ("image.tar.gz", b"", "is not compressed by gzip"),
        (".image.tar.gz.partial", GZIP, r"is no image \(.tar.gz\)"),
        ("image.tar", GZIP, r"is no image \(.tar.gz\)"),
        ("job.json", b"{}", "BatchName is missing"),
        ("plan.json", b"{}", "is the plan of a batch; name its folder"),
        ("it's.conf", b"1", "a job could not name it"),
        ("-e.conf", b"1", "a job could not name it"),
        ("notes.txt", b"1", "is no image"),
        ("mine.conf", b"role = 'dance' [[[", "mine.conf"),
        ("mine.conf", b"role = 'dance'", "dance"),
        ("it's.json", b"{}", "no name of a job"),
        ("two\nlines.json", b"{}", "no name of a job"),
        ("two\nlines.conf", b"role = 'idle'", "a job could not name it"),
        ("mine.conf\n", b"role = 'idle'", "is no image"),
    ],
)
def test_what_breaks_a_rule_is_not_uploaded(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        find_uploads([path])
    assert repr(name).strip("'\"") in str(caught.value).replace("\n", "\\n")


def test_two_teams_are_not_one_upload_and_a_broken_batch_is_none(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a", "one"), made(tmp_path / "b", "other")
    with pytest.raises(ConfigError, match="several teams: one, other"):
        find_uploads([one, other])
    plan = json.loads((one / "plan.json").read_text("utf-8"))
    plan["jobs"][0]["name"] = "another"
    (one / "plan.json").write_text(json.dumps(plan), "utf-8")
    with pytest.raises(ConfigError, match=r"BatchName is sound-90001-tx1, but plan\.json"):
        find_uploads([one])


def packaged(folder: Path, name: str, content: dict[str, str]) -> Path:
    """Write an image and the manifest that `package` would write beside it."""
    image = folder / f"{name}.tar.gz"
    image.write_bytes(GZIP + name.encode())
    manifest = {
        "format": "phyemu-image",
        "version": 1,
        "image": {"sha256": hashlib.sha256(image.read_bytes()).hexdigest()},
        "added": {f"root/phyemu/{path}": {"sha256": value} for path, value in content.items()},
    }
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest), "utf-8")
    return image


def test_an_image_must_be_whole_and_hold_the_content_of_the_batch(tmp_path: Path) -> None:
    folder = made(tmp_path / "b", None)
    wanted = hashlib.sha256((folder / "content" / "tx" / "tx.sigmf").read_bytes()).hexdigest()
    image = packaged(tmp_path, "tx", {"tx.sigmf": wanted})
    found = find_uploads([folder, image])
    assert (found.images_elsewhere, found.unchecked) == (("rx",), ())
    packaged(tmp_path, "tx", {"tx.sigmf": "0" * 64})
    with pytest.raises(ConfigError, match=r"tx\.tar\.gz: holds another root/phyemu/tx\.sigmf"):
        find_uploads([folder, image])
    packaged(tmp_path, "tx", {})
    with pytest.raises(ConfigError, match=r"tx\.tar\.gz: holds another root/phyemu/tx\.sigmf"):
        find_uploads([image, folder])
    assert find_uploads([image]).images_elsewhere == ()  # which batch it is for is not known
    image.write_bytes(image.read_bytes()[:-1])
    with pytest.raises(ConfigError, match=r"is not the image that tx\.manifest\.json describes"):
        find_uploads([image])
    (tmp_path / "tx.manifest.json").write_text("[]", "utf-8")
    with pytest.raises(ConfigError, match=r"is not the image that tx\.manifest\.json describes"):
        find_uploads([image])


def test_one_image_cannot_hold_the_content_of_two_batches(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a", None), made(tmp_path / "b", None)
    assert len(find_uploads([one, other]).transfers) == 12
    plan = json.loads((other / "plan.json").read_text("utf-8"))
    held = next(image for image in plan["images"] if image["name"] == "tx")
    (other / "content" / "tx" / "more").write_bytes(b"abc")
    held["files"].append(
        {
            "path": "more",
            "num_bytes": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        }
    )
    (other / "plan.json").write_text(json.dumps(plan), "utf-8")
    with pytest.raises(ConfigError, match="image tx needs another content"):
        find_uploads([one, other])
