"""Whole jobs come home: what is there as ordinary files and rows, what is not by its name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from phyemu.batch.collection import collect
from phyemu.batch.result_table import LinkResult
from phyemu.errors import CheckpointError, ConfigError
from phyemu.evaluation import load_exported
from phyemu.fitting import FitConfig, fit_channel
from phyemu.iq import RecordingWriter, open_recording
from phyemu.listening import FrameStore
from phyemu.listening.stored_frames import StoredFrames
from phyemu.loop import LoopConfig
from phyemu.loop.place import CapturedPlace
from phyemu.progress import no_progress
from phyemu.sounding import load_soundings
from phyemu.waveform import SounderFormat
from phyemu.waveform.sent_frames import SentFrames
from phyemu.waveform.transmission import write_sounder
from tests.batch.planned_job import planned

NodeMaker = Callable[..., Path]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def row(results: tuple[LinkResult, ...], kind: str, loop: int = 1) -> LinkResult:
    (found,) = [item for item in results if (item.kind, item.loop) == (kind, loop)]
    return found


def test_a_sounding_job_comes_home(sounding_job: Path, sounded_air: Path, tmp_path: Path) -> None:
    for loop in (1, 2):
        told = sounding_job / f"team-img-srn12-RES1234/task-{loop:04d}/transmission.json"
        told.write_text(json.dumps({"power_dbfs": 20 * np.log10(0.3)}))
    before = snapshot(sounding_job)
    found = collect([sounding_job], tmp_path / "home", reference=sounded_air / "tx.sigmf")
    assert snapshot(sounding_job) == before
    assert found.lines() == []
    assert [(item.node, item.srn, item.state) for item in found.nodes] == [
        (1, 12, "FINISHED"),
        (2, 13, "FINISHED"),
        (3, 14, "FINISHED"),
    ]
    # 90003, 1>2: three paths of equal power at 0, 185 and 426 ns, in both loops.
    for loop in (1, 2):
        (link,) = [
            item
            for item in found.results
            if (item.kind, item.loop, item.receiver) == ("sound", loop, 2)
        ]
        assert (link.transmitter, link.soundings) == (1, 12)
        assert (link.taps, link.taps_missed, link.extra_paths) == (3, 0, 0)
        assert link.delay_error_ns < 20
        assert link.gain_error_db < 0.5
        assert link.scenario_gain_db == pytest.approx(10 * np.log10(3), abs=0.01)
        # The twin has no gains of its own; what the band's ripple leaves of three paths differs.
        assert link.path_gain_db == pytest.approx(link.scenario_gain_db, abs=0.5)
    (joined,) = load_soundings(tmp_path / "home" / "soundings" / "90003-1-2.h5")
    assert joined.num_frames == 24
    assert joined.provenance["link"] == "1>2"
    # The capture of node 3 was sounded here, with what was transmitted.
    (capture,) = [item for item in found.results if item.kind == "capture"]
    (sounded,) = [item for item in found.results if (item.kind, item.receiver) == ("sound", 3)]
    assert (capture.receiver, capture.gaps, capture.lost_samples) == (3, 0, 0)
    assert (sounded.taps, sounded.taps_missed) == (4, 0)
    assert sounded.delay_error_ns < 20
    with open_recording(found.folder / "recordings" / _only(found.folder / "recordings")) as kept:
        assert kept.global_fields["phyemu:job"] == {
            "name": "sound-90003",
            "node": 3,
            "scenario": "90003",
            "role": "capture",
            "reservation": "1234",
            "srn": 14,
            "loop": 1,
            "task": 1,
            "transmitter": 1,
        }
        assert kept.global_fields["phyemu:waveform"] == "sounder"
        with open_recording(sounded_air / "rx_3.sigmf") as original:
            assert np.array_equal(kept.read(), original.read())
    table = json.loads((tmp_path / "home" / "results.json").read_text("utf-8"))
    assert len(table["results"]) == 4
    lines = (tmp_path / "home" / "results.csv").read_text("utf-8").splitlines()
    assert len(lines) == 5
    assert not list(tmp_path.glob("home/.*"))


def _only(folder: Path) -> str:
    (name,) = [path.name for path in folder.iterdir()]
    return name


def test_what_was_collected_makes_a_channel_and_a_place_of_the_loop(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    collect([sounding_job], home, reference=sounded_air / "tx.sigmf")
    soundings = load_soundings(home / "soundings" / "90003-1-2.h5")
    fit = fit_channel(soundings, FitConfig(name="link", max_paths=8, num_resamples=20))
    assert len(fit.paths) == 3
    # The loop sounds a recording of our own sounder by what its metadata say.
    recording = home / "recordings" / _only(home / "recordings")
    place = CapturedPlace(LoopConfig(captures=(str(recording),)))
    (fitted,) = place.sound(tmp_path, no_progress)
    assert (fitted.probe, fitted.num_frames) == ("sounder", 8)
    assert place.warnings() == ()
    assert place.channel() is not None
    # And soundings of a link, where the samples were not kept.
    place = CapturedPlace(LoopConfig(captures=(str(home / "soundings" / "90003-1-2.h5"),)))
    (fitted,) = place.sound(tmp_path, no_progress)
    assert fitted.num_frames == 17
    assert place.channel() is not None


def test_collecting_again_goes_on_and_makes_nothing_twice(
    sounding_job: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    collect([sounding_job], home)
    first = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.suffix != ".json"}
    found = collect([sounding_job], home)
    for path, when in first.items():
        if path.name != "results.csv" and path.is_file():
            assert path.stat().st_mtime_ns == when, path
    # A source that grew is collected anew; another file of the user's is not overwritten.
    extra = sounding_job / "team-img-srn13-RES1234" / "task-0001"
    shutil.copy(extra / "soundings-0001.h5", extra / "soundings-0003.h5")
    again = collect([sounding_job], home)
    assert again.results[0].soundings == found.results[0].soundings + 6  # type: ignore[operator]
    assert load_soundings(home / "soundings" / "90003-1-2.h5")[0].num_frames == 30
    (home / "collected.json").unlink()
    with pytest.raises(ConfigError, match="is no collection"):
        collect([sounding_job], home)
    collect([sounding_job], home, force=True)


def test_missing_killed_and_failed_nodes_are_named_and_the_rest_is_there(
    sounding_job: Path, tmp_path: Path, make_node: NodeMaker
) -> None:
    shutil.rmtree(sounding_job / "team-img-srn12-RES1234")
    catcher = sounding_job / "team-img-srn14-RES1234"
    (catcher / "status.json").write_text('{"state": "ERROR", "info": "no USRP found"}')
    sounder = sounding_job / "team-img-srn13-RES1234"
    (sounder / "status.json").write_text('{"state": "ACT')
    lines = (sounder / "node.jsonl").read_text().splitlines()
    (sounder / "node.jsonl").write_text("\n".join(lines[:3]) + "\n" + lines[3][:9])
    path = sounder / "task-0001" / "soundings-0001.h5"
    path.write_bytes(path.read_bytes()[:3000])
    found = collect([sounding_job], tmp_path / "home")
    text = "\n".join(found.lines())
    assert "reservation 1234, node 1: left no logs" in text
    assert "reservation 1234, node 2: killed while ACTIVE" in text
    assert "reservation 1234, node 3: ended in ERROR: no USRP found" in text
    assert "task-0001/soundings-0001.h5" in text
    assert all("\n" not in line for line in found.lines())
    sounded = [item for item in found.results if item.kind == "sound"]
    # Without its logs nothing says who transmitted, but the plan of the batch would.
    assert {item.transmitter for item in sounded} == {None}
    assert sounded[0].soundings == 18  # all were in one loop, as far as the cut log tells
    assert (tmp_path / "home" / "soundings" / "90003-x-2.h5").is_file()
    assert (tmp_path / "home" / "results.csv").is_file()


def test_a_capture_whose_writer_was_killed_is_finished_in_the_copy(
    tmp_path: Path, make_node: NodeMaker
) -> None:
    node = make_node(tmp_path / "logs" / "node-2", 2, "capture", state="ACTIVE")
    iq = (np.arange(5000) / 6000).astype(np.complex64)
    writer = RecordingWriter(tmp_path / "capture-0001.sigmf", sample_rate_hz=1e6)
    writer.write(iq)
    for path in list(tmp_path.glob("capture-0001.sigmf.*")):
        shutil.copy(path, node / "task-0001" / path.name)
    writer.__exit__(None, None, None)
    before = snapshot(tmp_path / "logs")
    found = collect([tmp_path / "logs"], tmp_path / "home")
    assert snapshot(tmp_path / "logs") == before
    with open_recording(
        tmp_path / "home/recordings/sound-90003-node2-task1-capture-0001.sigmf", verify=True
    ) as kept:
        assert kept.num_samples == 5000
        assert kept.global_fields["phyemu:job"]["node"] == 2
        assert kept.read() == pytest.approx(iq, abs=2e-5)
    assert any("repaired (interrupted" in line for line in found.lines())
    assert not list((tmp_path / "home").rglob("*.partial"))


def test_windows_of_a_sounder_are_results_only_where_they_are_kept(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    task = sounding_job / "team-img-srn13-RES1234" / "task-0001"
    shutil.copy(sounded_air / "rx_2.sigmf", task / "window-0001.sigmf")
    shutil.copy(sounded_air / "rx_2.sigmf", task / "window-0002.sigmf.partial")
    found = collect([sounding_job], tmp_path / "one")
    assert found.lines() == []
    assert [item.receiver for item in found.results if item.kind == "capture"] == [3]
    told = json.loads((task / "task.json").read_text())
    told["radio_conf"]["sound"] = {"keep_samples": True}
    (task / "task.json").write_text(json.dumps(told))
    found = collect([sounding_job], tmp_path / "two")
    assert [item.receiver for item in found.results if item.kind == "capture"] == [2, 3]
    assert len(list((tmp_path / "two" / "recordings").iterdir())) == 2


def test_hostile_trees_reach_nothing_outside(
    tmp_path: Path, make_node: NodeMaker, sounded_air: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    shutil.copy(sounded_air / "rx_3.sigmf", secret / "capture-0009.sigmf")
    root = tmp_path / "nas" / "RESERVATION-1"
    node = make_node(root / "a-srn1-RES1", 1, "capture", job="../../../evil", scenario="../../etc")
    (node / "task-0001" / "capture-0009.sigmf").symlink_to(secret / "capture-0009.sigmf")
    (node / "task-0002").symlink_to(secret)
    (node / "task-0001" / "frames-0001.h5").mkdir()
    (node / "task-0001" / "capture-0002.sigmf").write_bytes(b"\0" * 20_000)
    make_node(root / "b-srn1-RES1", 1, "capture")
    found = collect([root], tmp_path / "home")
    text = "\n".join(found.lines())
    assert "capture-0009.sigmf: is no plain file" in text
    assert "task-0002: is no folder" in text
    assert "frames-0001.h5: is no plain file" in text
    assert "is there twice; b-srn1-RES1 was left out" in text
    assert not found.files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "nas", "secret"]


def test_frames_are_scored_here_where_the_receiver_could_not(
    image_job: Path, trained_run: Path, tmp_path: Path
) -> None:
    found = collect([image_job], tmp_path / "home", run=trained_run)
    assert found.lines() == []
    (result,) = found.results
    count = result.frames_sent // 3  # type: ignore[operator]
    assert (result.frames_received, result.frames_lost) == (3 * count - 1, 1)
    assert (result.transmitter, result.receiver, result.scored_by) == (1, 2, "collect")
    assert result.images == 3 * 60
    assert result.accuracy_low < result.accuracy < result.accuracy_high
    assert result.snr_db == pytest.approx(20 * np.log10(0.5 / 0.03) - 3.01, abs=1.5)
    assert (result.head_s, result.tail_s) == (2e-3, 1e-3)
    assert result.payload_bytes > result.overhead_bytes > 0


def test_frames_of_a_receiver_that_was_killed_are_finished_in_the_copy(
    image_job: Path, trained_run: Path, tmp_path: Path
) -> None:
    task = image_job / "2" / "task-0001"
    with StoredFrames(task / "frames-0001.h5") as stored:
        frames = list(stored)
    (task / "frames-0001.h5").unlink()
    phydnn = load_exported(trained_run)
    sent = SentFrames(frame_format=phydnn.frame_format, constellation=phydnn.constellation)
    with FrameStore(tmp_path / "frames-0001.h5", sent, provenance={}) as store:
        for frame in frames:
            store.add(frame)
        store.flush()
        name = "frames-0001.h5.partial"
        shutil.copy(tmp_path / name, task / name)
    before = snapshot(image_job)
    found = collect([image_job], tmp_path / "home", run=trained_run)
    assert snapshot(image_job) == before
    (line,) = found.lines()
    assert "repaired (interrupted)" in line
    assert found.results[0].frames_received == len(frames)


def test_a_node_that_scored_itself_is_believed(image_job: Path, tmp_path: Path) -> None:
    task = image_job / "2" / "task-0001"
    lines = [
        {"index": n, "label": n % 10, "prediction": n % 10 if n % 4 else 11} for n in range(20)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (task / "predictions.jsonl").write_text(text + '{"index": 20, "label": 0, "predic')
    (result,) = collect([image_job], tmp_path / "home").results
    assert (result.images, result.accuracy, result.scored_by) == (20, 75.0, "node")
    assert (result.payload_bytes, result.overhead_bytes) == (4096.0, 128.5)
    assert (tmp_path / "home/predictions/images-node2-task1-predictions.jsonl").is_file()
    # What it summed up has the images of lost frames, too.
    counts = {"images": 30, "images_right": 18, "symbols": 400, "symbol_errors": 100}
    (task / "summary.json").write_text(json.dumps(counts))
    (result,) = collect([image_job], tmp_path / "home").results
    assert (result.images, result.accuracy, result.symbol_error_rate) == (30, 60.0, 0.25)


def test_another_run_is_refused_for_its_frames(
    image_job: Path, trained_run: Path, tmp_path: Path
) -> None:
    path = image_job / "2" / "task-0001" / "frames-0001.h5"
    with h5py.File(path, "a") as file:
        del file["constellation/points"], file["symbols/posteriors"]
        file["constellation/points"] = np.ones(8, np.complex64)
        file["constellation/points"].attrs["unit"] = ""
        file["symbols/posteriors"] = np.ones((len(file["symbols/points"]), 8), np.float32)
    task = image_job / "2" / "task-0001"
    counts = {"images": 30, "images_right": 18, "frames_received": 5, "frames_lost": 2}
    (task / "summary.json").write_text(json.dumps(counts))
    found = collect([image_job], tmp_path / "home", run=trained_run)
    (line,) = found.lines()
    assert "frames of order 8" in line
    # What the node counted by itself stays.
    (result,) = found.results
    assert (result.images, result.accuracy, result.scored_by) == (30, 60.0, "node")
    assert (result.frames_received, result.frames_lost) == (5, 2)
    with pytest.raises(CheckpointError, match="no exported PhyDNN"):
        collect([image_job], tmp_path / "home", run=tmp_path)


def test_the_plan_tells_who_sent_what_and_which_nodes_there_were(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    shutil.rmtree(sounding_job / "team-img-srn12-RES1234")
    shutil.rmtree(sounding_job / "Inputs")
    # Without Inputs only radio.conf says which node an SRN was.
    plan = planned(tmp_path / "batch", sounded_air)
    found = collect([sounding_job], tmp_path / "home", plan=plan)
    assert found.lines() == [f"reservation 1234, node {node}: left no logs" for node in (1, 4, 5)]
    sounded = [item for item in found.results if item.kind == "sound"]
    assert {(item.transmitter, item.receiver) for item in sounded} == {(1, 2), (1, 3)}
    assert all(item.taps_missed == 0 for item in sounded)
    # A waveform that was made anew since is not taken for what was sent.
    write_sounder(
        tmp_path / "batch/content/img/tx.sigmf",
        SounderFormat(sample_rate_hz=20e6, length=127),
        num_bursts=2,
        amplitude=0.3,
        force=True,
    )
    found = collect([sounding_job], tmp_path / "other", plan=plan.parent)
    assert any("SHA-256 differs" in line for line in found.lines())
    assert {item.receiver for item in found.results if item.kind == "sound"} == {2}
