"""`phyemu fullstack`."""

import json

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

BASE = ["fullstack", "--payload", "16KB", "--engine", "model", "--transfers", "3"]


def run(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(main, [*BASE, *arguments, "--json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_it_prints_the_breakdown() -> None:
    done = CliRunner().invoke(main, [*BASE, "--channel", "awgn:18", "--rate", "36"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "16384 bytes by TCP over awgn:18, 18.0 dB"
    assert [line.split()[0] for line in lines[1:]] == [
        "duration",
        "of",
        "delivered",
        "overhead",
        "frames",
    ]
    assert "3 transfers by the event model" in lines[1]
    assert "everything in 3 of 3" in lines[3]


def test_json_holds_every_transfer_and_the_mean() -> None:
    answer = run("--channel", "awgn:8.2", "--protocol", "udp")
    transfers = answer["transfers"]
    assert isinstance(transfers, list)
    assert len(transfers) == 3
    assert {item["payload_bytes"] for item in transfers} == {16384}
    mean = sum(item["duration_s"] for item in transfers) / 3
    summary = answer["summary"]
    assert isinstance(summary, dict)
    assert summary["duration_s"] == pytest.approx(mean)
    assert answer == run("--channel", "awgn:8.2", "--protocol", "udp")
    assert answer != run("--channel", "awgn:8.2", "--protocol", "udp", "--seed", "9")


def test_where_nothing_arrives_there_is_no_duration() -> None:
    lost = ["--channel", "awgn:-20", "--rate", "54"]
    done = CliRunner().invoke(main, [*BASE, *lost])
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[1] == "duration     none, nothing arrived; 3 transfers by the event model"
    assert lines[3] == "delivered    0 bytes; everything in 0 of 3, nothing in 3"
    assert "nobody" not in lines[2]
    answer = run(*lost)
    summary, transfers = answer["summary"], answer["transfers"]
    assert isinstance(summary, dict)
    assert isinstance(transfers, list)
    assert (summary["duration_s"], summary["duration_std_s"]) == (None, None)
    assert (summary["num_empty"], summary["goodput_mbps"]) == (3, 0.0)
    assert [item["duration_s"] for item in transfers] == [None] * 3


def test_means_are_of_transfers_that_delivered_something() -> None:
    # At this SNR and rate about half of the single frames are lost for good.
    some = ["--payload", "1000", "--channel", "awgn:10.8", "--rate", "24", "--protocol", "udp"]
    answer = run(*some, "--retry-limit", "1", "--transfers", "12")
    summary, transfers = answer["summary"], answer["transfers"]
    assert isinstance(summary, dict)
    assert isinstance(transfers, list)
    durations = [item["duration_s"] for item in transfers if item["delivered_bytes"]]
    assert 0 < len(durations) < 12
    assert summary["num_empty"] == 12 - len(durations)
    assert summary["duration_s"] == pytest.approx(sum(durations) / len(durations))
    done = CliRunner().invoke(
        main, [*BASE, *some, "--retry-limit", "1", "--transfers", "12"], catch_exceptions=False
    )
    assert f"nothing in {12 - len(durations)}" in done.stdout


def test_the_snr_the_mtu_and_the_retry_limit_count() -> None:
    few = run("--channel", "awgn:5", "--snr", "30", "--rate", "24", "--mtu", "576")
    assert few["mean_snr_db"] == pytest.approx(30.0)
    summary = few["summary"]
    assert isinstance(summary, dict)
    # 32 segments of 524 bytes, an acknowledgement for two of them, the handshake.
    assert summary["overhead_bytes"]["ip"] == pytest.approx(20 * (32 + 16 + 3), rel=0.1)
    lossy = ["--channel", "awgn:10.9", "--rate", "24", "--protocol", "udp"]
    once, often = (run(*lossy, "--retry-limit", limit)["summary"] for limit in ("1", "20"))
    assert isinstance(once, dict)
    assert isinstance(often, dict)
    assert once["delivered_bytes"] < often["delivered_bytes"] == 16384


def test_a_link_of_a_scenario_is_a_channel() -> None:
    answer = run("--channel", "scenario:urban-80db:1-2:25", "--transfers", "1")
    assert answer["channel"] == "urban-80db 1>2"


@pytest.mark.parametrize("size", ["0", "0KB", "-1", "12XB", "KB", "1e9"])
def test_a_size_that_is_none_is_a_usage_error(size: str) -> None:
    done = CliRunner().invoke(main, ["fullstack", "--payload", size, "--channel", "awgn:9"])
    assert done.exit_code == 2
    assert "write 262144, 256KB or 4MB" in done.stderr or "No such option" in done.stderr


def test_a_payload_beyond_the_limit_is_one_line() -> None:
    done = CliRunner().invoke(main, ["fullstack", "--payload", "2GB", "--channel", "awgn:9"])
    assert done.exit_code == 1
    assert done.stderr.startswith("phyemu: a payload is 1 byte to 1 GiB")
