"""A path stands for recordings: one, those of a folder, those of a SigMF collection."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sigmf import SigMFCollection

from phyemu.errors import RecordingError
from phyemu.iq import base_name, recordings_in, stored_bytes, write_recording

IQ = np.full(100, 0.1, np.complex64)


def _collection(folder: Path, streams: Any) -> Path:
    path = folder / "lab.sigmf-collection"
    content = {"collection": {"core:version": "1.2.0", "core:streams": streams}}
    path.write_text(json.dumps(content))
    return path


def test_a_folder_stands_for_its_recordings_by_name(tmp_path: Path) -> None:
    for name in ("b.sigmf", "a", "c.sigmf"):
        write_recording(tmp_path / name, IQ, sample_rate_hz=1e6)
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "deeper").mkdir()
    names = [path.name for path in recordings_in(tmp_path)]
    assert names == ["a.sigmf-meta", "b.sigmf", "c.sigmf"]
    with pytest.raises(RecordingError, match="deeper: a folder without recordings"):
        recordings_in(tmp_path / "deeper")


def test_a_recording_stands_for_itself(tmp_path: Path) -> None:
    write_recording(tmp_path / "a", IQ, sample_rate_hz=1e6)
    assert recordings_in(tmp_path / "a.sigmf-data") == [tmp_path / "a.sigmf-meta"]
    assert recordings_in(tmp_path / "none.sigmf") == [tmp_path / "none.sigmf"]


def test_a_collection_of_the_reference_library_is_read(tmp_path: Path) -> None:
    for name in ("second", "first"):
        write_recording(tmp_path / name, IQ, sample_rate_hz=1e6)
    metafiles = ["second.sigmf-meta", "first.sigmf-meta"]
    made = SigMFCollection(metafiles=metafiles, base_path=str(tmp_path))
    made.tofile(str(tmp_path / "lab"))
    found = recordings_in(tmp_path / "lab.sigmf-collection")
    assert [path.name for path in found] == metafiles


def test_a_collection_may_name_archives_and_what_is_missing(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.sigmf", IQ, sample_rate_hz=1e6)
    path = _collection(tmp_path, [{"name": "a", "hash": "0"}, {"name": "gone", "hash": "0"}])
    # What is missing keeps its place: sounding it says so and goes on.
    assert recordings_in(path) == [tmp_path / "a.sigmf", tmp_path / "gone.sigmf-meta"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\\b", "", "..", 7, None, "a\0b"])
def test_a_collection_names_nothing_elsewhere(tmp_path: Path, name: object) -> None:
    with pytest.raises(RecordingError, match="stream 0 must name a recording beside it"):
        recordings_in(_collection(tmp_path, [{"name": name}]))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"collection": {"core:streams": []}}', "[" * 9**5]
)
def test_a_damaged_collection_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.sigmf-collection"
    path.write_text(text)
    with pytest.raises(RecordingError, match=r"lab\.sigmf-collection: is no"):
        recordings_in(path)
    with pytest.raises(RecordingError, match="cannot be read"):
        recordings_in(tmp_path / "none.sigmf-collection")


def test_base_names_and_sizes(tmp_path: Path) -> None:
    names = {"a.sigmf-meta": "a", "a.b.sigmf": "a.b", "a.sigmf.xz": "a", "x.sigmf-data": "x"}
    assert {name: base_name(Path(name)) for name in names} == names
    path = write_recording(tmp_path / "a", IQ, sample_rate_hz=1e6, datatype="ci16_le")
    assert stored_bytes(path) == 400
    assert stored_bytes(tmp_path / "none.sigmf") == 0
