"""`phyemu capture`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu import radio
from phyemu.channel import Awgn
from phyemu.errors import RecordingError
from phyemu.iq import RecordingWriter, open_recording, write_recording
from phyemu.radio import EmulatedRadio, ReceivedBlock, UsrpConfig


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["capture", *map(str, arguments)])


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    iq = np.full(3000, 0.25 + 0.25j, np.complex64)
    fields = {"phyemu:waveform": "sounder", "phyemu:reference_power": 0.125}
    return write_recording(
        tmp_path / "tx.sigmf",
        iq,
        sample_rate_hz=1e6,
        center_frequency_hz=2.4e9,
        global_fields=fields,
    )


def test_an_emulated_capture_hears_the_transmission_and_says_what_it_was(
    sent: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rx.sigmf"
    result = run("--emulated", "awgn:30", "--transmit", sent, "-o", out, "--seed", 7, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["ended_by"] == "complete"
    assert answer["transmitted"]["num_samples"] == 3000
    with open_recording(out) as recording:
        assert recording.num_samples == answer["num_samples"]
        assert recording.global_fields["phyemu:waveform"] == "sounder"
        assert recording.global_fields["phyemu:transmit_recording"] == "tx.sigmf"
        assert recording.global_fields["phyemu:seed"] == 7
        assert recording.center_frequency_hz == 2.4e9
        # Twelve decibels of headroom are taken off what was sent.
        middle = recording.read(1000, 1000)
        assert np.abs(middle.mean()) == pytest.approx(0.125**0.5 * 10 ** (-12 / 20), rel=0.02)


def test_an_emulated_capture_is_at_the_frequency_asked_for_or_at_none(
    sent: Path, tmp_path: Path
) -> None:
    bare = write_recording(
        tmp_path / "bare.sigmf", np.full(3000, 0.5 + 0j, np.complex64), sample_rate_hz=1e6
    )
    for transmitted, asked, expected in (
        (sent, ("--freq", "5.8G"), 5.8e9),
        (bare, ("--freq", "5.8G"), 5.8e9),
        (bare, (), None),
    ):
        out = tmp_path / "rx.sigmf"
        result = run("--emulated", "awgn:30", "--transmit", transmitted, *asked, "-o", out)
        assert result.exit_code == 0, result.output
        with open_recording(out) as recording:
            assert recording.center_frequency_hz == expected
        out.unlink()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--rate", "1M"), "--rate"),
        (("--antenna", "RX2", "--bandwidth", "1M"), "--antenna, --bandwidth"),
        (("--lo-offset", 0, "--tx-gain", 0), "--lo-offset, --tx-gain"),
        (("--tx-antenna", "TX/RX", "--channels", "0"), "--tx-antenna, --channels"),
        (("--subdev", "A:A", "--start-at", "2026-11-26"), "--subdev, --start-at"),
        (
            ("--clock-source", "internal", "--time-source", "gpsdo"),
            "--clock-source, --time-source",
        ),
    ],
)
def test_settings_that_an_emulated_radio_lacks_are_usage_errors(
    sent: Path, tmp_path: Path, arguments: tuple[object, ...], names: str
) -> None:
    out = tmp_path / "rx.sigmf"
    result = run("--emulated", "awgn:30", "--transmit", sent, *arguments, "-o", out)
    assert result.exit_code == 2
    assert f"{names}: only with --usrp" in result.stderr
    assert not out.exists()


def test_a_gain_for_each_channel_needs_channels(sent: Path, tmp_path: Path) -> None:
    out = tmp_path / "rx.sigmf"
    result = run("--emulated", "awgn:30", "--transmit", sent, "--gain", "1,2", "-o", out)
    assert result.exit_code == 2
    assert "one value with --emulated" in result.stderr


def test_the_same_seed_gives_the_same_samples(sent: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        common = ("--emulated", "office-nlos-world", "--samples", 2000, "--quiet")
        sent20 = write_recording(
            tmp_path / f"tx-{name}.sigmf", np.ones(2000, np.complex64), sample_rate_hz=20e6
        )
        out = tmp_path / f"{name}.sigmf"
        result = run(*common, "--transmit", sent20, "--seed", seed, "-o", out)
        assert result.exit_code == 0, result.output
    hashes = []
    for name in ("a", "b", "c"):
        with open_recording(tmp_path / f"{name}.sigmf") as recording:
            hashes.append(recording.sha512)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_usrp_is_set_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[UsrpConfig] = []

    def open_usrp(config: UsrpConfig) -> EmulatedRadio:
        asked.append(config)
        rate = config.sample_rate_hz
        return EmulatedRadio(
            Awgn(10.0), sample_rate_hz=rate, symbol_rate_hz=rate, reference_power=0.01, seed=0
        )

    monkeypatch.setattr(radio, "UsrpRadio", open_usrp)
    out = tmp_path / "air.sigmf"
    result = run(
        *("--usrp", "type=b200", "--rate", "20M", "--freq", "2.4G", "--gain", 30),
        *("--antenna", "RX2", "--duration", 1e-4, "--channels", "1", "-o", out),
    )
    assert result.exit_code == 0, result.output
    assert "2000 samples (0.000 s) at 20 Msps" in result.stdout
    config = asked[0]
    assert (config.args, config.sample_rate_hz, config.center_frequency_hz) == (
        "type=b200",
        20e6,
        2.4e9,
    )
    assert (config.rx.gain_db, config.rx.antenna, config.channels) == (30.0, "RX2", (1,))
    result = run(
        *("--usrp", "", "--rate", "1M", "--freq", "1G", "--channels", "0,1", "--samples", 10),
        *("--gain", "30,35.5", "--antenna", "RX2,TX/RX", "--subdev", "A:A A:B"),
        *("--tx-subdev", "A:B A:A"),
        *("--start-at", "2026-11-26T10:30:00", "-o", tmp_path / "two.sigmf"),
    )
    assert result.exit_code == 0, result.output
    config = asked[1]
    assert (config.rx.gain_db, config.rx.antenna) == ((30.0, 35.5), ("RX2", "TX/RX"))
    assert (config.rx.subdev, config.tx.subdev) == ("A:A A:B", "A:B A:A")
    assert config.start_at_s == 1_795_689_000.0


def test_a_transmitter_that_does_not_end_is_one_line_and_the_exit_code(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmulatedRadio(
        Awgn(10.0), sample_rate_hz=1e6, symbol_rate_hz=1e6, reference_power=0.01, seed=0
    ) as emulated:
        transmission = type(emulated.transmit(np.zeros(1, np.complex64)))
    monkeypatch.setattr(transmission, "wait", lambda self, timeout_s=None: None)
    out = tmp_path / "rx.sigmf"
    captured = run("--emulated", "awgn:30", "--transmit", sent, "-o", out, "--quiet")
    assert captured.exit_code == 1
    assert captured.stderr.count("\n") == 1
    assert "it has not ended 10 s after it was told to" in captured.stderr
    arguments = ("--emulated", "awgn:30", "--duplex", tmp_path / "other.sigmf", "--quiet")
    replayed = CliRunner().invoke(main, ["replay", str(sent), *map(str, arguments)])
    assert replayed.exit_code == 1
    assert "it has not ended 10 s after it was told to" in replayed.stdout


def test_a_recording_that_the_disk_ended_is_kept_and_the_exit_code_says_so(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RecordingWriter.write

    def fail_later(self: RecordingWriter, iq: np.ndarray) -> None:
        if self.num_samples:
            raise RecordingError("disk full")
        write(self, iq)

    monkeypatch.setattr(RecordingWriter, "write", fail_later)
    out = tmp_path / "rx.sigmf"
    arguments = ("--emulated", "awgn:30", "--transmit", sent, "--samples", 200_000, "-o", out)
    result = run(*arguments, "--quiet")
    assert result.exit_code == 1
    assert "failed disk full" in result.stdout
    with open_recording(out) as recording:
        assert recording.num_samples == 50_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of --usrp"),
        (("--usrp", "", "--emulated", "awgn:3"), "give one of --usrp"),
        (("--emulated", "awgn:3"), "needs --transmit"),
        (("--usrp", ""), "needs --rate and --freq"),
        (
            ("--usrp", "", "--rate", "1M", "--freq", "1G", "--samples", 1, "--duration", 1),
            "not both",
        ),
        (("--usrp", "", "--rate", "1M", "--freq", "1G", "--channels", "a"), "write 0 or 0,1"),
        (("--usrp", "", "--rate", "1M", "--freq", "1G", "--gain", "high"), "write 30"),
        (("--usrp", "", "--rate", "1M", "--freq", "1G", "--start-at", "noon"), "write UTC such"),
    ],
)
def test_contradictions_are_usage_errors(
    arguments: tuple[object, ...], message: str, tmp_path: Path
) -> None:
    result = run(*arguments, "-o", tmp_path / "x.sigmf")
    assert result.exit_code == 2
    assert message in result.stderr


def test_existing_output_and_unknown_worlds_are_one_line(sent: Path) -> None:
    result = run("--emulated", "awgn:3", "--transmit", sent, "-o", sent)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    result = run("--emulated", "moon-world", "--transmit", sent, "-o", sent, "--force", "--quiet")
    assert result.exit_code == 1
    assert "office-los" in result.stderr


def test_a_missing_usrp_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(args: str) -> list[object]:
        return []

    def make(args: str) -> object:
        raise RuntimeError("LookupError: KeyError: No devices found for ----->\n\n")

    driver = SimpleNamespace(find=find, usrp=SimpleNamespace(MultiUSRP=make))
    monkeypatch.setattr("phyemu.radio.usrp.load_driver", lambda: driver)
    result = run("--usrp", "", "--rate", "1M", "--freq", "1G", "-o", tmp_path / "x.sigmf")
    assert result.exit_code == 1
    assert result.stderr.startswith("phyemu: no USRP answers; check power and cable")
    assert len(result.stderr.strip().splitlines()) == 1


# `phyemu capture`, which keeps count in a file of what its radio has received.
COUNTED = """
import os, sys
from phyemu.radio import EmulatedRadio
from phyemu_cli.main import main
counts, receive, received = open(sys.argv.pop(1), "wb", buffering=0), EmulatedRadio.receive, 0

def counted(self, *arguments):
    global received
    block = receive(self, *arguments)
    received += block.num_samples
    os.pwrite(counts.fileno(), b"%d" % received, 0)
    return block

EmulatedRadio.receive = counted
main()
"""


def until_written(path: Path, num_bytes: int) -> None:
    """Wait until a file holds so many bytes."""
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < num_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_capture_is_repaired_and_a_terminated_one_is_whole(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = ["--emulated", "awgn:30", "--transmit", sent, "--seed", "7", "--quiet"]
    listen += ["--samples", 10**9, "-o"]
    killed, terminated, count = (tmp_path / name for name in ("9.sigmf", "15.sigmf", "count"))
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTED, count, "capture", *map(str, listen), killed],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    receive, received = EmulatedRadio.receive, 0

    def receive_until_terminated(self: EmulatedRadio, *arguments: Any) -> ReceivedBlock:
        nonlocal received
        block = receive(self, *arguments)
        received += block.num_samples
        if received == 250_000:
            until_written(terminated.with_name("15.sigmf.partial"), 500_000)  # well under way
            time.sleep(0.2)
            signal.raise_signal(signal.SIGTERM)
        return block

    monkeypatch.setattr(EmulatedRadio, "receive", receive_until_terminated)
    result = run(*listen, terminated)
    monkeypatch.undo()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "interrupted" in result.stdout
    until_written(killed.with_name("9.sigmf.partial"), 500_000)
    process.kill()
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(RecordingError, match="phyemu inspect --repair"):
        open_recording(killed)
    done = CliRunner().invoke(main, ["inspect", "--repair", str(killed)])
    assert "repaired (interrupted)" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        *("tx.sigmf", "count", "9.sigmf", "15.sigmf")
    }
    # The radio is seeded, so each holds the beginning of the same stream.
    heard = []
    for out in (killed, terminated):
        with open_recording(out, verify=True) as recording:
            assert recording.num_samples > 100_000
            assert recording.global_fields["phyemu:transmit_recording"] == "tx.sigmf"
            heard.append(recording.read())
    common = min(map(len, heard))
    np.testing.assert_array_equal(heard[0][:common], heard[1][:common])
    assert len(heard[1]) == received
    # A kill costs a second of what was received, at most.
    assert 0 <= int(count.read_text()) - len(heard[0]) <= 1_000_000
