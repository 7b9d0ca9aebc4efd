"""What a collection makes of captures, levels and restarts, and what it makes anew."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import phyemu.batch.receiver_products
from phyemu.batch import PlanKind
from phyemu.batch.collection import collect
from phyemu.iq import open_recording, write_recording
from phyemu.iq.amend import amend_recording
from phyemu.sounding import load_soundings
from tests.batch.planned_job import planned


def test_captures_are_sounded_at_the_times_when_they_began(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    node = sounding_job / "team-img-srn14-RES1234"
    captures = [node / "task-0001" / f"capture-000{number}.sigmf" for number in (1, 2)]
    for capture, begin_s in zip(captures, (1.5, 21.5), strict=True):
        shutil.copy(sounded_air / "rx_3.sigmf", capture)
        amend_recording(capture, {"phyemu:job": {"begin_s": begin_s}})
    # The same again a minute later, in another run of the scenario.
    shutil.copytree(node / "task-0001", node / "task-0002")
    task = json.loads((node / "task-0002" / "task.json").read_text())
    task["started"] = "2026-11-26T10:02:00.000+00:00"
    (node / "task-0002" / "task.json").write_text(json.dumps(task))
    lines = (node / "node.jsonl").read_text()
    (node / "node.jsonl").write_text(lines + lines.replace("task-0001", "task-0002"))
    home = tmp_path / "home"
    found = collect([sounding_job], home, reference=sounded_air / "tx.sigmf")
    assert found.lines() == []
    sounded = [item for item in found.results if (item.kind, item.receiver) == ("sound", 3)]
    assert [(item.loop, item.soundings) for item in sounded] == [(1, 24), (2, 24)]
    (joined,) = load_soundings(home / "soundings" / "90003-1-3.h5")
    begins_s = np.asarray(joined.time_s)[::12]
    assert begins_s - begins_s[0] == pytest.approx([0.0, 20.0, 60.0, 80.0], abs=1e-6)


def test_captures_are_sounded_once_and_where_that_was_asked_for(
    sounding_job: Path, sounded_air: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tmp_path / "batch", sounded_air, PlanKind.CAPTURE)
    for task in sounding_job.glob("*/task-*/soundings-*.h5"):
        task.unlink()
    stages: set[str] = set()
    home = tmp_path / "home"

    def sounded(**options: bool) -> list[int | None]:
        found = collect(
            [sounding_job],
            home,
            plan=plan,
            progress=lambda stage, *_: stages.add(stage),
            **options,
        )
        return [item.receiver for item in found.results if item.kind == "sound"]

    assert sounded() == []
    assert stages == {"collect"}
    assert sounded(sound_captures=True) == [3]
    assert stages > {"collect"}
    monkeypatch.delattr(phyemu.batch.receiver_products, "sound_file")
    assert sounded(sound_captures=True) == [3]
    table = json.loads(plan.read_text())
    plan.write_text(json.dumps(table | {"kind": "sound"}))
    assert sounded() == [3]


def test_what_was_sent_is_named_in_recordings_that_are_there_already(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    capture = sounding_job / "team-img-srn14-RES1234" / "task-0001" / "capture-0001.sigmf"
    with open_recording(capture) as recording:
        iq, rate_hz = recording.read(), recording.sample_rate_hz
    write_recording(capture, iq, sample_rate_hz=rate_hz, force=True)
    home = tmp_path / "home"

    def waveform(reference: Path | None) -> object:
        collect([sounding_job], home, reference=reference)
        (path,) = (home / "recordings").iterdir()
        with open_recording(path) as kept:
            return kept.global_fields.get("phyemu:waveform")

    assert waveform(None) is None
    assert waveform(sounded_air / "tx.sigmf") == "sounder"
    assert waveform(None) is None


def test_a_plan_beside_the_results_is_found(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    planned(sounding_job.parent, sounded_air)
    found = collect([sounding_job], tmp_path / "home")
    assert found.lines() == [f"reservation 1234, node {node}: left no logs" for node in (4, 5)]


def test_clipped_windows_and_captures_are_problems(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    (sounding_job / "team-img-srn13-RES1234/task-0002/summary.json").write_text(
        '{"clipped_samples": 17}'
    )
    capture = sounding_job / "team-img-srn14-RES1234" / "task-0001" / "capture-0001.sigmf"
    with open_recording(capture) as recording:
        iq, rate_hz = recording.read(), recording.sample_rate_hz
    iq[:5] = 1.0
    write_recording(capture, iq, sample_rate_hz=rate_hz, datatype="ci16_le", force=True)
    found = collect([sounding_job], tmp_path / "home")
    text = [
        line.partition(" clipped; lower the transmitter's peak_dbfs")[0] for line in found.lines()
    ]
    assert text == [
        "reservation 1234, node 2: 17 samples of its windows are",
        "reservation 1234, node 3: 5 samples of its captures are",
    ]
    clipped = {
        (item.kind, item.receiver, item.loop): item.clipped_samples for item in found.results
    }
    assert clipped == {("sound", 2, 1): None, ("sound", 2, 2): 17, ("capture", 3, 1): 5}


def test_frames_of_a_transmitter_that_was_restarted_are_those_of_all_its_runs(
    image_job: Path, tmp_path: Path
) -> None:
    before = json.loads((image_job / "1/task-0001/transmission.json").read_text())
    for number, frames in ((2, 1000), (3, 50)):
        task = image_job / "1" / f"task-000{number}"
        task.mkdir()
        told = {**before, "frames": frames, "head_s": number * 1e-3}
        (task / "transmission.json").write_text(json.dumps(told))
    (result,) = collect([image_job], tmp_path / "home").results
    assert result.frames_sent == before["frames"] + 1050
    assert result.head_s == 3e-3
