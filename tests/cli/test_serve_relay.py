"""`phyemu serve relay`, between `phyemu run head` and `phyemu serve tail`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from phyemu_cli.main import main

from phyemu import radio
from phyemu.datasets import load_dataset
from phyemu.dnn.onnx_export import onnx_missing
from phyemu.iq import open_recording
from phyemu.radio import RecordedRadio, UsrpConfig
from phyemu.radio.stream import TransmitEnd, TransmitReport
from tests.untrained_chain import UntrainedChain


def phyemu(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def lines_of(result: Result) -> tuple[list[dict], dict]:
    assert result.exit_code == 0, result.output
    values = [json.loads(line) for line in result.stdout.splitlines()]
    return values[:-1], values[-1]["summary"]


@pytest.fixture(scope="module")
def hop1(untrained_chain: UntrainedChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of what the head sends of eight images; its record lies beside it."""
    path = tmp_path_factory.mktemp("sent") / "hop1.sigmf"
    words = ("--images", "digits", "--limit", "8", "-o", path)
    said = phyemu("run", "head", untrained_chain.folder, *words)
    assert said.exit_code == 0, said.output
    assert "relay1 hears it" in said.stderr
    return path


def record_of(recording: Path) -> Path:
    return recording.with_suffix(".sent.jsonl")


def test_three_devices_work_by_recordings(
    hop1: Path, untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    run, hop2 = untrained_chain.folder, tmp_path / "hop2.sigmf"
    air = ("--emulated", "awgn:30", "--transmit")
    said = phyemu("serve", "relay", run, *air, hop1, "--sent", record_of(hop1), "-o", hop2)
    relayed, relaying = lines_of(said)
    sent = [json.loads(line) for line in record_of(hop1).read_text().splitlines()]
    assert [json.loads(line) for line in record_of(hop2).read_text().splitlines()] == relayed
    assert relayed == sent  # frame by frame, with names and classes
    assert (relaying["partner"], relaying["images"], relaying["images_sent"]) == ("ours", 8, 8)
    assert relaying["relay_median_s"] > 0
    assert relaying["encoded"]["symbols"] == 8 * 64
    with open_recording(hop2) as recording:
        assert len(recording.annotations) == relaying["encoded"]["frames"] == 9
    answer = phyemu("serve", "tail", run, *air, hop2, "--sent", record_of(hop2))
    told, serving = lines_of(answer)
    assert "hears relay1" in answer.stderr
    indices = [image["index"] for image in told]
    assert indices == [image["index"] for image in sent]
    expected = untrained_chain.directly(load_dataset("digits", seed=0).test.images[indices])
    assert [image["prediction"] for image in told] == expected.argmax(-1).tolist()
    assert (serving["partner"], serving["images"], serving["images_lost"]) == ("ours", 8, 0)
    assert serving["images_right"] == sum(image["prediction"] == image["label"] for image in told)
    # What neither of the two sends to.
    past = phyemu("serve", "tail", run, hop1, "--quiet")
    assert past.exit_code == 1
    assert "another dictionary than this tail" in past.stderr
    back = phyemu("serve", "relay", run, hop2, "-o", tmp_path / "no.sigmf", "--quiet")
    assert back.exit_code == 1
    assert "another dictionary than this relay" in back.stderr


def test_without_a_record_images_are_named_after_their_frames(
    hop1: Path, untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    fifo = tmp_path / "samples"
    os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(fifo.read_bytes)
        relayed, relaying = lines_of(
            phyemu("serve", "relay", untrained_chain.folder, hop1, "-o", f"fifo:{fifo}")
        )
        assert len(reading.result()) == 8 * relaying["sent"]["samples"]
    assert [image["name"] for image in relayed] == [f"{number}.0" for number in range(8)]
    assert {image["label"] for image in relayed} == {None}


@pytest.mark.parametrize(
    ("device_format", "suffix"),
    [
        ("torchscript", ".pt"),
        # Loading the exporter takes longer than a test should.
        pytest.param("onnx", ".onnx", marks=pytest.mark.slow),
    ],
)
def test_a_relay_is_written_for_its_device_alone(
    device_format: str,
    suffix: str,
    hop1: Path,
    untrained_chain: UntrainedChain,
    tmp_path: Path,
) -> None:
    if device_format == "onnx" and onnx_missing():
        pytest.skip(onnx_missing())
    device = tmp_path / "device"
    result = phyemu(
        *("export", untrained_chain.folder, "--format", device_format, "--part", "relay1"),
        *("-o", device, "--json", "--quiet"),
    )
    assert result.exit_code == 0, result.output
    path = device / "relay1" / f"m4{suffix}"
    (told,) = json.loads(result.stdout).values()
    assert told["input"] == {
        "name": "posteriors",
        "dtype": "float32",
        "shape": ["batch", 256, 4],
    }
    assert (told["output"]["name"], told["output"]["shape"]) == ("symbols", ["batch", 64])
    assert sorted(device.rglob("*.*")) == [path, path.with_name(f"m4{suffix}.json")]
    iq = []
    for folder, chosen in ((untrained_chain.folder, "safetensors"), (device, device_format)):
        hop2 = tmp_path / f"{chosen}.sigmf"
        said = phyemu("serve", "relay", folder, hop1, "-o", hop2, "--format", chosen)
        assert said.exit_code == 0, said.output
        with open_recording(hop2) as recording:
            iq.append(symbols_of(recording.read()))
    assert len(iq[0]) > 1000
    np.testing.assert_array_equal(*iq)


def symbols_of(iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the samples without silence, whose length depends on what goes out together."""
    return iq[iq != 0]


class FakeUsrp:
    """A USRP that hears a recording, and whose transmissions are complete at once."""

    num_transmit_channels = num_channels = 1
    live = False
    name = "usrp"

    def __init__(self, heard: Path, config: UsrpConfig) -> None:
        self.config = config
        self.sent = 0
        self.is_prepared = False
        self._recording = open_recording(heard)
        self._heard = RecordedRadio(self._recording)
        self.sample_rate_hz = self._heard.sample_rate_hz

    def __enter__(self) -> "FakeUsrp":
        return self

    def __exit__(self, *_: object) -> None:
        self._heard.close()
        self._recording.close()

    def receive(self, num_samples: int) -> Any:
        return self._heard.receive(num_samples)

    def prepare_transmission(self) -> None:
        self.is_prepared = True

    def transmit(self, iq: NDArray[np.complex64]) -> Any:
        self.sent += len(iq)
        count = len(iq)

        class Done:
            def wait(self, timeout_s: float | None = None) -> TransmitReport:
                return TransmitReport(num_samples=count, ended_by=TransmitEnd.COMPLETE)

        return Done()


@pytest.mark.parametrize("other", [None, "serial=B"])
def test_one_usrp_does_both_or_two_do(
    other: str | None, hop1: Path, untrained_chain: UntrainedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[FakeUsrp] = []

    def open_usrp(config: UsrpConfig) -> FakeUsrp:
        opened.append(FakeUsrp(hop1, config))
        return opened[-1]

    monkeypatch.setattr(radio, "UsrpRadio", open_usrp)
    said = phyemu(
        *("serve", "relay", untrained_chain.folder, "--usrp", "serial=A", "--freq", "2.4G"),
        *("--gain", "30", "--antenna", "RX2", "--channel", "1"),
        *("--tx-usrp", other or "serial=A"),
        *("--tx-freq", "2.41G", "--tx-gain", "50", "--tx-antenna", "TX/RX"),
    )
    _, relaying = lines_of(said)
    assert len(opened) == (1 if other is None else 2)
    heard, sent = opened[0], opened[-1]
    assert heard.config.args == "serial=A"
    assert sent.config.args == (other or "serial=A")
    assert (heard.config.center_frequency_hz, heard.config.rx.gain_db) == (2.4e9, 30.0)
    assert heard.config.rx.antenna == "RX2"
    assert sent.config.frequency_hz("tx") == 2.41e9
    assert (heard.config.channels, sent.config.transmit_channels) == ((1,), (0,))
    assert (sent.config.tx.gain_db, sent.config.tx.antenna) == (50.0, "TX/RX")
    assert sent.is_prepared
    assert sent.sent == relaying["sent"]["samples"] > 0
    # The bands of 20 MHz overlap, which matters where both are one device's.
    assert ("the relay hears itself" in said.stderr) == (other is None)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("-",), 2, "give one of -o SINK and --tx-usrp ARGS"),
        (("-", "--tx-usrp", ""), 2, "--tx-usrp needs --tx-freq"),
        (
            ("--usrp", "serial=A", "--freq", "1G", "--tx-usrp", "", "--tx-freq", "2G"),
            2,
            "name both devices",
        ),
        (
            ("--usrp", "", "--freq", "1G", "--tx-usrp", "serial=A", "--tx-freq", "2G"),
            2,
            "name both devices",
        ),
        (("-", "-o", "-", "--tx-gain", "3"), 2, "--tx-gain: only with --tx-usrp"),
        (("-o", "-"), 2, "give one of SOURCE, --usrp ARGS and --emulated"),
        (("-", "-o", "-", "--force"), 2, "only with a recording or --record"),
        (("-", "-o", "-"), 1, "holds no exported relay1 (relay1/m*.safetensors); name a run"),
        (("-", "-o", "-", "--format", "onnx"), 1, "(relay1/m*.onnx); write it: phyemu export"),
        (("-", "-o", "-", "--record", "no/where.jsonl"), 1, "there is no folder no"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    words: tuple[str, ...], code: int, message: str, tmp_path: Path
) -> None:
    result = phyemu("serve", "relay", tmp_path, *words)
    assert result.exit_code == code, result.output
    assert message in result.stderr


def test_a_relay_does_not_overwrite_what_it_reads(tmp_path: Path) -> None:
    hop1, sent = tmp_path / "hop1.sigmf", tmp_path / "hop1.sent.jsonl"
    (tmp_path / "sub").mkdir()
    again = tmp_path / "sub" / ".." / "hop1.sigmf"
    for path in (hop1, sent):
        path.write_text("the head's")
    emulated = ("--emulated", "awgn:30", "--transmit", hop1)
    for words in (
        (hop1, "-o", again),
        (hop1, "--sent", sent, "-o", hop1),
        (*emulated, "-o", again),
        (hop1, "--sent", sent, "-o", "-", "--record", sent),
        ("-", "--sent", sent, "-o", hop1),
        (hop1, "-o", tmp_path / "hop2.sigmf", "--record", again),
    ):
        result = phyemu("serve", "relay", tmp_path, *words, "--force")
        assert result.exit_code == 1, result.output
        assert "the command reads it, and would overwrite it; give another file" in result.stderr
    assert {path.read_text() for path in (hop1, sent)} == {"the head's"}


def test_a_part_that_no_run_has_is_a_usage_error(tmp_path: Path) -> None:
    for part in ("both", "relay", "relay0"):
        result = phyemu("export", tmp_path, "--format", "torchscript", "--part", part)
        assert result.exit_code == 2
        assert f"'{part}' is no part; write head, tail, relay1 or all" in result.stderr


@pytest.mark.slow
def test_ctrl_c_ends_a_relay_in_good_order(
    hop1: Path, untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    shutil.copytree(untrained_chain.folder / "relay1", device / "relay1")
    hop2 = tmp_path / "hop2.sigmf"
    command = "from phyemu_cli.main import main; main()"
    words = ["serve", "relay", device, "-", "-o", hop2]
    with open_recording(hop1) as recording:
        samples = recording.read().tobytes()
    with subprocess.Popen(
        [sys.executable, "-c", command, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as relay:
        assert relay.stdin is not None
        assert relay.stdout is not None
        assert relay.stderr is not None
        relay.stdin.write(samples + bytes(8 * 100_000))
        relay.stdin.flush()
        first = relay.stdout.readline()
        relay.send_signal(signal.SIGINT)
        # Not communicate(): it passes over what readline() has read ahead.
        rest, said = relay.stdout.read(), relay.stderr.read()
    assert relay.returncode == 0, said
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    summary = lines[-1]["summary"]
    assert summary["was_stopped"]
    assert summary["images_sent"] == len(lines) - 1 >= 1
    with open_recording(hop2) as recording:
        assert len(recording.annotations) == summary["encoded"]["frames"]
    record = [json.loads(line) for line in record_of(hop2).read_text().splitlines()]
    assert record == lines[:-1]
