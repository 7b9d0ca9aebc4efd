"""What batch jobs leave behind, made with the project's own writers and the emulator's twin."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phyemu.batch.job_context import load_sent_run
from phyemu.channel.emulate_network import emulate_network
from phyemu.colosseum import MchemEmulator, load_scenario
from phyemu.evaluation import image_waveform
from phyemu.iq import open_recording
from phyemu.library import find_in_library
from phyemu.listening import FrameStore
from phyemu.receiver import receive_frames
from phyemu.sounding import save_soundings, sound_recording
from phyemu.training import preset, train_run
from phyemu.waveform import SounderFormat
from phyemu.waveform.sent_frames import SentFrames
from phyemu.waveform.transmission import write_sounder

SOUNDER = SounderFormat(sample_rate_hz=20e6, length=255, repetitions=4, gap_samples=510)
NodeMaker = Callable[..., Path]


@pytest.fixture
def make_node() -> NodeMaker:
    """Return a function that writes the logs of a node that came through well."""

    def make(
        folder: Path,
        node: int,
        role: str,
        *,
        job: str = "sound-90003",
        scenario: str = "90003",
        loops: int = 1,
        state: str = "FINISHED",
    ) -> Path:
        folder.mkdir(parents=True)
        lines: list[dict[str, Any]] = []
        conf = {"role": role, "job": {"name": job, "node": node, "scenario": scenario}}
        for loop in range(1, loops + 1):
            task = folder / f"task-{loop:04d}"
            task.mkdir()
            started = f"2026-11-26T10:{loop:02d}:00.000+00:00"
            (task / "task.json").write_text(
                json.dumps({"role": role, "started": started, "radio_conf": conf})
            )
            lines += [
                {"event": "launched", "folder": task.name},
                {"event": "command", "command": "start"},
                {"event": "state", "state": "ACTIVE"},
                {"event": "command", "command": "stop"},
                {"event": "state", "state": state},
            ]
        (folder / "node.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "status.json").write_text(json.dumps({"state": state, "info": ""}))
        return folder

    return make


@pytest.fixture(scope="session")
def sounded_air(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tx.sigmf, sent by node 1 of 90003, and rx_2.sigmf, rx_3.sigmf."""
    folder = tmp_path_factory.mktemp("air")
    sent = write_sounder(folder / "tx.sigmf", SOUNDER, num_bursts=12, amplitude=0.3)
    emulator = MchemEmulator.of_scenario(
        load_scenario(find_in_library("90003", "colosseum")), noise_dbfs=-70.0
    )
    with ExitStack() as stack:
        emulate_network(
            {"1": stack.enter_context(open_recording(sent))},
            emulator.network,
            str(folder / "rx_{node}.sigmf"),
            seed=3,
            interval_s=emulator.interval_s,
            load=emulator.load,
        )
    return folder


@pytest.fixture
def sounding_job(tmp_path: Path, make_node: NodeMaker, sounded_air: Path) -> Path:
    """Return the reservation of a job that sounded 1>2 in two loops, and captured at node 3."""
    root = tmp_path / "nas" / "RESERVATION-1234"
    sender = make_node(root / "team-img-srn12-RES1234", 1, "transmit", loops=2)
    for loop in (1, 2):
        (sender / f"task-{loop:04d}" / "transmission.json").write_text('{"frames": 12}')
    sounder = make_node(root / "team-img-srn13-RES1234", 2, "sound", loops=2)
    with open_recording(sounded_air / "rx_2.sigmf") as recording:
        soundings = sound_recording(recording)
    for loop in (1, 2):
        for number in (1, 2):
            name = f"task-{loop:04d}/soundings-{number:04d}.h5"
            half = np.arange(6) + 6 * (number - 1)
            save_soundings([soundings[0].select(half)], sounder / name)
    catcher = make_node(root / "team-img-srn14-RES1234", 3, "capture", loops=1)
    capture = catcher / "task-0001" / "capture-0001.sigmf"
    capture.write_bytes((sounded_air / "rx_3.sigmf").read_bytes())
    (root / "Inputs").mkdir()
    nodes = [{"RFNode_ID": node} for node in (1, 2, 3)]
    batch = {"BatchName": "sound-90003", "RFScenario": 90003, "NodeData": nodes}
    (root / "Inputs" / "batch_input.json").write_text(json.dumps(batch))
    mapping = {"1": 12, "2": 13, "3": 14}
    (root / "Inputs" / "match_conf.json").write_text(json.dumps({"node_to_srn_mapping": mapping}))
    return root


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with a PhyDNN of order 4, trained for a moment."""
    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=60),
        backbone=replace(config.backbone, width=4, epochs=2, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(1,), batch_size=20),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder


@pytest.fixture
def image_job(tmp_path: Path, make_node: NodeMaker, trained_run: Path) -> Path:
    """Return the logs of a job that sent images at 12 dB, and lost a frame of the second pass."""
    run = load_sent_run(trained_run, None)
    frame_format, table = run.phydnn.frame_format, run.phydnn.constellation
    iq, _ = image_waveform(run.sent, table, frame_format, amplitude=0.5, gap_samples=600)
    samples = np.tile(iq.numpy(), 3)
    noise = np.random.default_rng(1).normal(size=(2, len(samples))) * 0.03
    sent = SentFrames(frame_format=frame_format, constellation=table)
    frames = receive_frames(
        [(samples + noise[0] + 1j * noise[1]).astype(np.complex64)],
        frame_format=frame_format,
        constellation=table,
    )
    count = len(run.sent.payload_plan)
    assert len(frames) == 3 * count
    logs = tmp_path / "logs"
    sender = make_node(logs / "1", 1, "phydnn-transmit", job="images", scenario="urban-40db")
    told = {"frames": 3 * count, "frames_per_pass": count, "pass_samples": len(iq), "head_s": 2e-3}
    told["bytes_of_64_images"] = {"payload": 4096.0, "overhead": 128.5}
    (sender / "task-0001" / "transmission.json").write_text(json.dumps(told))
    receiver = make_node(logs / "2", 2, "phydnn-receive", job="images", scenario="urban-40db")
    with FrameStore(receiver / "task-0001" / "frames-0001.h5", sent, provenance={}) as store:
        for number, frame in enumerate(frames):
            if number != count:
                store.add(frame)
    (receiver / "task-0001" / "summary.json").write_text('{"tail_s": 0.001, "x": NaN}')
    return logs
