"""The worker as a process of its own, its radio two sockets: signals, kills and a full disk."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from phyemu.evaluation import load_exported, load_sent_images
from phyemu.evaluation.transmission import image_waveform
from phyemu.iq import open_recording, repair_recording
from phyemu.listening import finish_frame_store
from phyemu.live import Role, parse_endpoint
from phyemu.live.zeromq import ZmqSink, ZmqSource
from phyemu.waveform import SounderFormat
from phyemu.waveform.transmission import write_sounder
from tests.node.driven_worker import DrivenWorker
from tests.node.fake_radio import Samples

pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")


class SocketAir:
    """The other side of a socket radio."""

    def __init__(self, rate_hz: float) -> None:
        ports = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
        send, receive = (f"127.0.0.1:{port}" for port in ports)
        self.variables = {
            "PHYEMU_NODE_RADIO": json.dumps(
                {
                    "send": f"zmq+push://{send}?connect",
                    "receive": f"zmq+pull://{receive}",
                    "sample_rate_hz": rate_hz,
                }
            )
        }
        self.source = ZmqSource(parse_endpoint(f"zmq+pull://{send}?bind", Role.SOURCE))
        self.sink = ZmqSink(parse_endpoint(f"zmq+push://{receive}", Role.SINK))

    def say(self, iq: Samples) -> None:
        while len(iq):
            iq = iq[self.sink.send(iq, 10.0) :]

    def hear(self, count: int) -> Samples:
        parts: list[Samples] = []
        while sum(map(len, parts)) < count:
            part = self.source.receive(10.0)
            assert part is not None
            assert len(part), "the worker sends nothing"
            parts.append(part)
        return np.concatenate(parts)[:count]

    def close(self) -> None:
        self.source.close()
        self.sink.close(0.0)


@pytest.fixture
def air() -> Iterator[SocketAir]:
    """Return the other side of a radio of 1 MHz."""
    air = SocketAir(1e6)
    yield air
    air.close()


def ramp(count: int) -> Samples:
    return (np.arange(count) % 30_000 / 32768).astype(np.complex64)


def test_a_kill_loses_nothing_that_was_told(worker: DrivenWorker, air: SocketAir) -> None:
    worker.start_process(air.variables)
    worker.configure("capture")
    worker.expect("ready")
    worker.tell("start")
    air.say(ramp(20_000))
    worker.expect("progress", lambda event: event["samples"] == 20_000)
    assert worker.process is not None
    worker.process.send_signal(signal.SIGKILL)
    assert worker.code() == -signal.SIGKILL
    repair_recording(worker.folder / "capture-0001.sigmf")
    with open_recording(worker.folder / "capture-0001.sigmf") as recording:
        np.testing.assert_array_equal(recording.read(0, 20_000), ramp(20_000))
        assert recording.global_fields["phyemu:job"]["scenario"] == "urban-40db"


def test_a_transmitter_sends_until_it_is_terminated(worker: DrivenWorker, air: SocketAir) -> None:
    path = worker.content / "tx.sigmf"
    format_ = SounderFormat(sample_rate_hz=1e6, length=63, repetitions=4, gap_samples=126)
    write_sounder(path, format_, num_bursts=3, amplitude=0.2)
    with open_recording(path) as recording:
        once = recording.read(0, recording.num_samples)
    worker.start_process(air.variables)
    worker.configure("transmit", transmit={"peak_dbfs": 0.0})
    worker.expect("ready")
    worker.tell("start")
    heard = air.hear(5 * len(once))
    scale = max(np.abs(once.real).max(), np.abs(once.imag).max())
    np.testing.assert_allclose(heard, np.tile(once, 5) / scale, atol=1e-5)
    assert worker.process is not None
    worker.process.send_signal(signal.SIGTERM)
    summary = worker.expect("stopped")["summary"]
    assert worker.code() == 0
    assert summary["samples"] >= 5 * len(once)
    assert worker.read("transmission.json")["stretches"][0]["ended_by"] == "stopped"
    assert (worker.folder / "worker.log").read_text() == ""


def test_frames_and_predictions_survive_a_kill(
    worker: DrivenWorker, content: Path, run: Path
) -> None:
    worker.content.rmdir()
    (worker.content / "phydnn").parent.mkdir(parents=True)
    (worker.content / "phydnn").symlink_to(content)
    both, sent = load_exported(run), load_sent_images(content / "sent.npz")
    wave, _ = image_waveform(
        sent, both.constellation, both.frame_format, amplitude=0.3, gap_samples=1024
    )
    air = SocketAir(both.frame_format.sample_rate_hz)
    try:
        worker.start_process(air.variables)
        worker.configure("phydnn-receive")
        worker.expect("ready")
        worker.tell("start")
        air.say(wave.numpy())
        air.say(np.zeros(100_000, np.complex64))
        worker.expect("progress", lambda event: event["images"] == 20)
        told_s = time.monotonic()
        predictions = worker.folder / "predictions.jsonl"
        while len(predictions.read_text().splitlines()) < 20:
            assert time.monotonic() - told_s < 1.0, "predictions are held back for a second"
        assert worker.process is not None
        worker.process.send_signal(signal.SIGKILL)
        assert worker.code() == -signal.SIGKILL
    finally:
        air.close()
    for line in predictions.read_text().splitlines():
        assert json.loads(line)["symbol_errors"] == 0
    with h5py.File(finish_frame_store(worker.folder / "frames-0001.h5.partial")) as file:
        assert len(file["frames/status"]) == len(sent.payload_plan)
        decided = file["symbols/posteriors"][()].argmax(-1)
        np.testing.assert_array_equal(decided, sent.symbols.flatten().numpy())
