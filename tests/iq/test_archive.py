"""The layout of our archives, as other programs see it."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phyemu.iq import write_recording
from phyemu.iq.archive import DATA_START, archive_end, archive_front, read_front


def tree(extra: str = "", num_segments: int = 1, num_notes: int = 0) -> dict[str, Any]:
    return {
        "global": {
            "core:datatype": "ci16_le",
            "core:sample_rate": 1e6,
            "core:num_channels": 1,
            "core:version": "1.2.0",
            "core:description": extra,
        },
        "captures": [{"core:sample_start": 10 * k} for k in range(num_segments)],
        "annotations": [{"core:sample_start": 10 * k} for k in range(num_notes)],
    }


@pytest.mark.parametrize("name", ["a", "n" * 240, "Büro ✓", "latin\udcfc", "s" * 88, "s" * 89])
@pytest.mark.parametrize("size", [0, 400, (8 << 30) - 1, 8 << 30, 9 << 40])
def test_the_front_states_name_and_size_and_has_one_length(name: str, size: int) -> None:
    front = archive_front(name, size, tree())
    assert len(front) == DATA_START
    with tarfile.open(fileobj=io.BytesIO(front + bytes(1024)), mode="r:") as archive:
        member = archive.next()
    assert member is not None
    assert (member.name, member.size) == (f"{name}/{name}.sigmf-data", size)
    assert member.offset_data == DATA_START
    found = read_front(io.BytesIO(front))
    assert found is not None
    assert (found.data_bytes, found.is_cut, found.tree) == (size, False, tree())


@pytest.mark.parametrize(
    ("whole", "kept_segments", "keeps_description"),
    [
        (tree(num_notes=5000), 1, True),
        (tree(num_segments=5000), 250, True),
        (tree(extra="x" * 5000, num_segments=5000), 250, False),
        (tree(extra="ü" * 5000), 1, False),
    ],
)
def test_what_finds_no_room_in_front_is_left_out_from_the_end(
    whole: dict[str, Any], kept_segments: int, keeps_description: bool
) -> None:
    front = read_front(io.BytesIO(archive_front("n", 4, whole)))
    assert front is not None
    assert front.is_cut
    kept = front.tree["captures"]
    assert kept == whole["captures"][: len(kept)]
    assert len(kept) >= kept_segments
    assert ("core:description" in front.tree["global"]) is keeps_description
    assert front.tree["global"]["core:datatype"] == "ci16_le"


def test_what_is_no_front_of_ours_is_none(tmp_path: Path) -> None:
    for data in (b"", bytes(DATA_START), b"x" * 9000, archive_end("n", 0, b"{}")):
        assert read_front(io.BytesIO(data)) is None
    front = archive_front("n", 4, tree())
    for ours, other in ((b'{"global":{', b'{"globaL":{'), (b'"captures":[', b'"captures":{')):
        assert read_front(io.BytesIO(front.replace(ours, other))) is None
    # Another program's tar file has its samples elsewhere.
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(__file__, arcname="n/n.sigmf-data")
    with other.open("rb") as file:
        assert read_front(file) is None


@pytest.mark.parametrize("name", ["rec", "n" * 150])
def test_gnu_tar_reads_it_without_a_word(tmp_path: Path, noise: np.ndarray, name: str) -> None:
    if shutil.which("tar") is None:
        pytest.skip("no tar on this machine")
    path = write_recording(tmp_path / f"{name}.sigmf", noise, sample_rate_hz=1e6)
    done = subprocess.run(["tar", "xvf", path, "-C", tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [f"{name}/{name}.sigmf-data", f"{name}/{name}.sigmf-meta"]
    assert (tmp_path / name / f"{name}.sigmf-data").stat().st_size == 4 * noise.size
