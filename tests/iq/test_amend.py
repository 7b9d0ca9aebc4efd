"""Metadata grow, samples stay."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from phyemu.errors import RecordingError
from phyemu.iq import Annotation, open_recording, write_recording
from phyemu.iq.amend import amend_recording

IQ = (np.arange(3000) / 4000 * (1 + 0.5j)).astype(np.complex64)


@pytest.mark.parametrize("name", ["one.sigmf", "one.sigmf-meta"])
def test_fields_are_set_and_all_else_stays(tmp_path: Path, name: str) -> None:
    path = write_recording(
        tmp_path / name,
        IQ,
        sample_rate_hz=1e6,
        annotations=[Annotation(sample_start=5, sample_count=10, label="frame")],
        global_fields={"phyemu:job": {"name": "old"}},
    )
    with open_recording(path) as before:
        samples, sha512, notes = before.read(), before.sha512, before.annotations
    amend_recording(path, {"phyemu:job": {"name": "new", "node": 2}, "core:author": "me"})
    with open_recording(path, verify=True) as after:
        assert np.array_equal(after.read(), samples)
        assert (after.sha512, after.annotations) == (sha512, notes)
        assert after.global_fields["phyemu:job"] == {"name": "new", "node": 2}
        assert after.global_fields["core:author"] == "me"
    assert not list(tmp_path.glob("*.partial"))


def test_a_copy_under_another_name_is_named_within(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "one.sigmf", IQ, sample_rate_hz=1e6)
    copy = path.rename(tmp_path / "a-much-longer-name-than-before.sigmf")
    amend_recording(copy, {"core:author": "me"})
    with tarfile.open(copy) as archive:
        stem = copy.stem
        assert archive.getnames() == [f"{stem}/{stem}.sigmf-data", f"{stem}/{stem}.sigmf-meta"]


def test_what_cannot_be_amended_is_left_as_it_was(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "one.sigmf", IQ, sample_rate_hz=1e6)
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="no JSON value"):
        amend_recording(path, {"phyemu:x": float("nan")})
    with pytest.raises(RecordingError, match="sample_rate"):
        amend_recording(path, {"core:sample_rate": "fast"})
    assert path.read_bytes() == before


def test_archives_of_other_programs_are_refused(tmp_path: Path) -> None:
    pair = write_recording(tmp_path / "one.sigmf-meta", IQ, sample_rate_hz=1e6)
    with tarfile.open(tmp_path / "theirs.sigmf", "w") as archive:
        for suffix in ("meta", "data"):
            content = pair.with_suffix(f".sigmf-{suffix}").read_bytes()
            member = tarfile.TarInfo(f"theirs/theirs.sigmf-{suffix}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(RecordingError, match="another program"):
        amend_recording(tmp_path / "theirs.sigmf", {"core:author": "me"})
