"""`phyemu emulate --live` from the command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from phyemu_cli.live import terminated_like_interrupted
from phyemu_cli.main import main

from phyemu.iq import open_recording, write_recording

RUN = "from phyemu_cli.main import main; main()"


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, bytes]:
    """Return a recording, and its samples as bytes."""
    parts = np.random.default_rng(3).standard_normal((50_000, 2)) * 0.1
    iq = (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)
    path = write_recording(
        tmp_path / "tx.sigmf-meta",
        iq,
        sample_rate_hz=20e6,
        datatype="cf32_le",
        global_fields={"phyemu:reference_power": 10**-1.7},
    )
    return path, iq.tobytes()


@pytest.fixture
def expected(source: tuple[Path, bytes], tmp_path: Path) -> bytes:
    """Return what `phyemu emulate` writes for that recording."""
    output = tmp_path / "rx.sigmf-meta"
    arguments = ["--channel", "tgn-b:15", "--seed", "4", "-o", str(output), "--quiet"]
    result = CliRunner().invoke(main, ["emulate", str(source[0]), *arguments])
    assert result.exit_code == 0, result.output
    with open_recording(output) as recording:
        return recording.read().tobytes()


def test_a_pipe_gives_the_samples_of_phyemu_emulate(
    source: tuple[Path, bytes], expected: bytes
) -> None:
    arguments = "emulate --live - --channel tgn-b:15 --seed 4 --rate 20M -o - --quiet"
    result = subprocess.run(
        [sys.executable, "-c", RUN, *arguments.split(), "--reference-power", "-17"],
        input=source[1],
        capture_output=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == expected
    assert b"50000 samples in, 50000 out" in result.stderr
    assert b"ended: end" in result.stderr


def test_ctrl_c_ends_cleanly_with_everything_flushed(
    source: tuple[Path, bytes], expected: bytes
) -> None:
    arguments = "emulate --live - --channel tgn-b:15 --seed 4 --rate 20M -o - --quiet"
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments.split(), "--reference-power", "-17"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(source[1])
        process.stdin.flush()
        # All but the channel's latency has passed; the input stays open.
        received = process.stdout.read(len(expected) - 8 * 100)
        process.send_signal(signal.SIGINT)
        received += process.stdout.read()
        assert process.wait(timeout=60) == 0
        assert received == expected
        assert b"ended: interrupted" in process.stderr.read()


def test_sigterm_ends_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_named_pipes_and_json(source: tuple[Path, bytes], expected: bytes, tmp_path: Path) -> None:
    fifos = [tmp_path / "in", tmp_path / "out"]
    for fifo in fifos:
        os.mkfifo(fifo)
    received: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: fifos[0].write_bytes(source[1])),
        threading.Thread(target=lambda: received.append(fifos[1].read_bytes())),
    ]
    for thread in threads:
        thread.start()
    arguments = ["--channel", "0s=tgn-b:15,1min=awgn:3", "--rate", "20M", "--seed", "4", "--json"]
    result = CliRunner().invoke(
        main,
        [
            *("emulate", "--live", f"fifo:{fifos[0]}", "-o", f"fifo:{fifos[1]}"),
            *("--reference-power", "-17", *arguments, "--pace", "--quiet"),
        ],
    )
    for thread in threads:
        thread.join()
    assert result.exit_code == 0, result.output
    assert received == [expected]
    summary = json.loads(result.stdout)
    assert summary["num_sent"] == 50_000
    assert summary["ended_by"] == "end"
    assert summary["reference_power_dbfs"] == pytest.approx(-17)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--live", "-", "-o", "-"], "--live needs --rate"),
        (["--live", "-", "-o", "-", "--rate", "20M", "--json"], "--json writes to standard output"),
        (["--live", "-", "-o", "-", "--rate", "20M", "--force"], "--force: not with --live"),
        (["-o", "x"], "or --live SOURCE"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(main, ["emulate", "--channel", "awgn:3", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_live_options_with_a_recording_are_usage_errors(source: tuple[Path, bytes]) -> None:
    recording = str(source[0])
    arguments = ["emulate", recording, "--channel", "awgn:3", "-o", "x"]
    result = CliRunner().invoke(main, [*arguments, "--pace", "--rate", "20M"])
    assert result.exit_code == 2
    assert "only with --live" in result.stderr
    result = CliRunner().invoke(main, [*arguments, "--live", "-"])
    assert result.exit_code == 2
    assert "recording: not with --live" in result.stderr


def test_a_bad_end_is_one_line() -> None:
    arguments = ["emulate", "--live", "zmq+push://:5555", "--channel", "awgn:3", "--rate", "20M"]
    result = CliRunner().invoke(main, [*arguments, "-o", "-"])
    assert result.exit_code == 1
    assert "its counterpart is zmq+pull" in result.stderr


def test_an_end_that_others_can_reach_is_announced(tmp_path: Path) -> None:
    # The other end cannot be opened, so that nothing is listened to for long.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["emulate", "--live", f"udp://*:{port}", "--channel", "awgn:3", "--rate", "20M"]
    result = CliRunner().invoke(main, [*arguments, "-o", f"fifo:{tmp_path / 'no' / 'folder'}"])
    assert result.exit_code == 1
    assert "open to other machines" in result.stderr
    assert "cannot be made" in result.stderr
