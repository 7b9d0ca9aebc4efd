"""`phyemu emulate` from the command line."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.channel import ChannelStream
from phyemu.iq import open_recording, write_recording


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a recording of a constant without any metadata of ours."""
    iq = np.full(20_000, 0.25, np.complex64)
    return write_recording(tmp_path / "tx.sigmf-meta", iq, sample_rate_hz=20e6, datatype="cf32_le")


def test_it_writes_what_arrives_and_says_so(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "rx.sigmf-meta"
    result = CliRunner().invoke(
        main, ["emulate", str(source), "--channel", "awgn:20", "-o", str(output), "--quiet"]
    )
    assert result.exit_code == 0, result.output
    assert "20000 samples at 20 MHz through awgn:20" in result.stdout
    assert "SNR refers to the mean power" in result.stderr
    with open_recording(output) as received:
        noise = received.read() - 0.25
    expected = 0.25**2 / 100
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(expected, rel=5 / 20_000**0.5)


def test_json_is_one_object_and_snr_replaces_the_channels(source: Path, tmp_path: Path) -> None:
    output, figure = tmp_path / "rx.sigmf-meta", tmp_path / "channel.png"
    arguments = ["--channel", "world:office-nlos", "--snr", "17", "--json", "--quiet"]
    result = CliRunner().invoke(
        main,
        ["emulate", str(source), "-o", str(output), "--plot", str(figure), *arguments],
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["samples"] == 20_000
    assert summary["snr_db"] == 17.0
    assert summary["reference_measured"] is True
    assert figure.stat().st_size > 0


def test_the_same_seed_gives_the_same_samples(source: Path, tmp_path: Path) -> None:
    received = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        output = tmp_path / f"{name}.sigmf-meta"
        arguments = ["--channel", "tgn-c:15", "--seed", seed, "-o", str(output), "--quiet"]
        result = CliRunner().invoke(main, ["emulate", str(source), *arguments])
        assert result.exit_code == 0, result.output
        with open_recording(output) as recording:
            received.append(recording.read())
    assert np.array_equal(received[0], received[1])
    assert not np.array_equal(received[0], received[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channel", "tgn-b"], "channel tgn-b: lacks SNR_DB; write tgn-b:SNR_DB"),
        (["--channel", "nowhere"], "a channel is"),
        (["--channel", "awgn:10", "--plot", "x.nothing"], "nothing"),
    ],
)
def test_bad_requests_get_one_line(
    source: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    output = tmp_path / "rx.sigmf-meta"
    result = CliRunner().invoke(
        main, ["emulate", str(source), "-o", str(output), "--quiet", *arguments]
    )
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_existing_output_is_kept_without_force(source: Path) -> None:
    result = CliRunner().invoke(
        main, ["emulate", str(source), "--channel", "awgn:3", "-o", str(source), "--quiet"]
    )
    assert result.exit_code == 1
    assert "--force" in result.stderr


NETWORK = """
[[links]]
transmitter = "a"
receiver = "b"
channel = "awgn:20"

[[links]]
transmitter = "c"
receiver = "b"
channel = "awgn:20"
"""


def test_a_network_writes_a_file_for_each_receiver(source: Path, tmp_path: Path) -> None:
    network = tmp_path / "net.toml"
    network.write_text(NETWORK, "utf-8")
    arguments = ["--network", str(network), "--node", f"a={source}", "--quiet"]
    output = str(tmp_path / "rx_{node}.sigmf")
    result = CliRunner().invoke(main, ["emulate", *arguments, "-o", output, "--threads", "2"])
    assert result.exit_code == 0, result.output
    assert "b hears a, noise -32.0 dBFS" in result.stdout  # 20 dB below a constant of 0.25
    assert "silent: c" in result.stderr
    with open_recording(tmp_path / "rx_b.sigmf") as received:
        assert received.num_samples == 20_000
    result = CliRunner().invoke(main, ["emulate", *arguments, "-o", output, "--json", "--force"])
    assert json.loads(result.stdout)["receivers"]["b"]["hears"] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channel", "awgn:20"], "give RECORDING and --channel"),
        (["--node", "a=b"], "--node needs --network"),
        (["--network", "NET", "--channel", "awgn:20"], "--channel does not go with --network"),
        (["--network", "NET", "--node", "a"], "write NAME=RECORDING"),
        (["--network", "NET", "--node", "a=TX", "--node", "a=TX"], "a is there twice"),
    ],
)
def test_contradicting_arguments_are_refused(
    source: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    network = tmp_path / "net.toml"
    network.write_text(NETWORK, "utf-8")
    filled = [item.replace("NET", str(network)).replace("TX", str(source)) for item in arguments]
    result = CliRunner().invoke(main, ["emulate", *filled, "-o", str(tmp_path / "rx.sigmf")])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("interval", ["inf", "1e300", "86401"])
def test_an_endless_interval_is_one_clear_line(source: Path, tmp_path: Path, interval: str) -> None:
    output = tmp_path / "rx.sigmf-meta"
    arguments = ["--channel", "awgn:20", "--interval", interval, "-o", str(output), "--quiet"]
    result = CliRunner().invoke(main, ["emulate", str(source), *arguments])
    assert result.exit_code == 1
    assert "interval_s must be above 0 and at most 86400 s" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_terminated_it_leaves_nothing_half_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    output = tmp_path / "rx.sigmf"

    def ended(*_: object) -> None:
        assert output.with_name("rx.sigmf.partial").exists()
        signal.raise_signal(number)

    monkeypatch.setattr(ChannelStream, "process", ended)
    result = CliRunner().invoke(
        main, ["emulate", str(source), "--channel", "awgn:20", "-o", str(output), "--quiet"]
    )
    assert result.exit_code == 128 + number
    assert result.stderr == "phyemu: interrupted\n"
    assert {path.name for path in tmp_path.iterdir()} == {"tx.sigmf-meta", "tx.sigmf-data"}


def test_a_list_of_channels_with_times_needs_a_live_stream(source: Path, tmp_path: Path) -> None:
    schedule = ["--channel", "0s=awgn:20,5ms=tgn-b:15", "-o", str(tmp_path / "rx.sigmf")]
    result = CliRunner().invoke(main, ["emulate", str(source), *schedule])
    assert result.exit_code == 2
    assert "a list with times goes with --live" in result.stderr
