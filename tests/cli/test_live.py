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
        (
            ["--live", "-", "-o", "-", "--rate", "20M", "--force"],
            "--force: not with --live, unless",
        ),
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


def run_cli(*arguments: object) -> str:
    """Run `phyemu emulate` and return what it wrote to standard output."""
    result = CliRunner().invoke(main, ["emulate", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_recording_played_live_into_a_recording_is_what_phyemu_emulate_writes(
    source: tuple[Path, bytes], expected: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "live.sigmf"
    arguments = ("--live", source[0], "--channel", "tgn-b:15", "--seed", 4, "-o", output)
    # Rate and reference power are the recording's.
    assert "50000 samples in, 50000 out" in run_cli(*arguments, "--quiet")
    with open_recording(output, verify=True) as recording:
        assert recording.sample_rate_hz == 20e6
        assert recording.read().tobytes() == expected
    again = CliRunner().invoke(main, ["emulate", *map(str, arguments)])
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    run_cli(*arguments, "--force", "--quiet")


def test_a_recording_loops_from_anywhere_and_in_real_time(
    source: tuple[Path, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "live.sigmf"
    # 2.5 ms a round, 40 ms in all.
    summary = json.loads(
        run_cli(
            *("--live", f"{source[0]}?loop&start=2ms", "--channel", "awgn:inf", "-o", output),
            *("--duration", 0.04, "--pace", "--json", "--quiet"),
        )
    )
    assert summary["ended_by"] == "complete"
    assert summary["elapsed_s"] >= 0.037
    played = np.frombuffer(source[1], np.complex64)
    with open_recording(output) as recording:
        assert np.array_equal(recording.read(), np.tile(played, 17)[40_000:840_000])


def test_a_network_of_recordings_played_live_is_what_phyemu_emulate_writes(
    source: tuple[Path, bytes], tmp_path: Path
) -> None:
    described = tmp_path / "net.toml"
    links = (("a", "b", "tgn-b:20"), ("b", "a", "awgn:15"), ("c", "b", "tgn-d:9"))
    described.write_text(
        "\n".join(
            f'[[links]]\ntransmitter = "{tx}"\nreceiver = "{rx}"\nchannel = "{channel}"\n'
            for tx, rx, channel in links
        )
        + "[nodes.c]\ncfo_hz = 900.0\nsfo_ppm = 5.0\n"
    )
    short = write_recording(
        tmp_path / "short.sigmf",
        np.frombuffer(source[1], np.complex64)[:20_000][::-1],
        sample_rate_hz=20e6,
        datatype="cf32_le",
        global_fields={"phyemu:reference_power": 10**-2.5},
    )
    nodes = (("a", source[0]), ("b", short), ("c", short))
    common = ("--network", described, "--seed", 9, "--quiet")
    run_cli(
        *(part for name, path in nodes for part in ("--node", f"{name}={path}")),
        *("-o", tmp_path / "file-{node}.sigmf", *common),
    )
    summary = json.loads(
        run_cli(
            *(part for name, path in nodes for part in ("--live", f"{name}={path}")),
            *("-o", f"a={tmp_path / 'live-a.sigmf'}", "-o", f"b={tmp_path / 'live-b.sigmf'}"),
            *(*common, "--json"),
        )
    )
    assert {name: node["num_sent"] for name, node in summary["nodes"].items()} == {
        "a": 50_000,
        "b": 50_000,
        "c": 0,
    }
    for node in "ab":
        with (
            open_recording(tmp_path / f"file-{node}.sigmf") as there,
            open_recording(tmp_path / f"live-{node}.sigmf") as here,
        ):
            assert np.array_equal(here.read(), there.read())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--live", "a=-", "-o", "b"], "b: with --network, write NODE=SINK"),
        (["--live", "-", "-o", "b=-"], "-: with --network, write NODE=SOURCE"),
        (["--live", "1=-", "--live", "1=-", "-o", "2=-"], "node 1 is there twice"),
        (["--live", "1=-", "-o", "2=-", "--channel", "awgn:1"], "--channel: not with --network"),
        (["--live", "7=-", "-o", "2=-"], "no link begins at a node '7'"),
        (["--live", "1=-", "-o", "1=-"], "node 1 sends, but no node is given that hears it"),
    ],
)
def test_a_network_says_what_is_missing(arguments: list[str], message: str) -> None:
    given = ["emulate", "--network", "scenario:90002", "--rate", "20M", *arguments]
    result = CliRunner().invoke(main, given)
    assert result.exit_code in (1, 2), result.output
    assert message in result.stderr
