"""Recordings at the ends of a live stream."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import ConfigError, PhyemuError, RecordingError
from phyemu.iq import RecordingWriter, open_recording, write_recording
from phyemu.live import (
    Role,
    SampleSource,
    ScheduledChannel,
    open_sink,
    open_source,
    parse_endpoint,
    parse_schedule,
    recording_facts,
    run_live,
)

Samples = NDArray[np.complex64]
RATE_HZ = 1e6


def everything(source: SampleSource) -> Samples:
    """Return all samples of a source that ends."""
    parts = []
    while (part := source.receive(0.0)) is not None:
        parts.append(part)
    return np.concatenate(parts)


def noise(count: int, seed: int = 0) -> Samples:
    parts = np.random.default_rng(seed).standard_normal((count, 2)).astype(np.float32) * 0.1
    return parts.view(np.complex64)[:, 0]


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """Return a recording of two channels with a gap of 200 000 samples, and another."""
    with RecordingWriter(
        tmp_path / "gaps.sigmf", sample_rate_hz=RATE_HZ, datatype="cf32_le", num_channels=2
    ) as writer:
        writer.start_segment(global_index=0)
        writer.write(np.stack([noise(100, 1), noise(100, 2)]))
        writer.start_segment(global_index=200_100, fields={"phyemu:gap": "overflow"})
        writer.write(np.stack([noise(50, 3), noise(50, 4)]))
        writer.start_segment(fields={"phyemu:gap": "time_jump"})
        writer.write(np.stack([noise(30, 5), noise(30, 6)]))
    return tmp_path / "gaps.sigmf"


def test_a_gap_takes_its_time_in_silence_and_is_counted(gaps: Path) -> None:
    with open_source(parse_endpoint(f"{gaps}?channel=1", Role.SOURCE)) as source:
        heard = everything(source)
    assert np.array_equal(heard[:100], noise(100, 2))
    assert not heard[100:200_100].any()
    assert np.array_equal(heard[200_100:200_150], noise(50, 4))
    assert np.array_equal(heard[200_150:], noise(30, 6))
    assert source.counts.gap_samples == 200_000
    assert source.counts.num_gaps == 2
    with open_source(parse_endpoint(f"{gaps}?channel=1&skip-gaps", Role.SOURCE)) as source:
        assert np.array_equal(everything(source), heard[np.abs(heard) > 0])
    assert (source.counts.num_gaps, source.counts.gap_samples) == (2, 0)


@pytest.mark.parametrize(
    ("options", "begin"), [("start=120", 120), ("start=50ms", 50_000), ("start=.07s", 70_000)]
)
def test_it_starts_anywhere(tmp_path: Path, options: str, begin: int) -> None:
    iq = noise(100_000)
    path = write_recording(tmp_path / "a.sigmf", iq, sample_rate_hz=RATE_HZ, datatype="cf32_le")
    with open_source(parse_endpoint(f"{path}?{options}", Role.SOURCE)) as source:
        assert np.array_equal(everything(source), iq[begin:])


def test_a_shipped_recording_is_found_by_its_name() -> None:
    endpoint = parse_endpoint("office-nlos?loop", Role.SOURCE)
    assert endpoint.path.endswith("office_nlos.sigmf")
    assert endpoint.loops
    assert recording_facts(endpoint).sample_rate_hz == 20e6


@pytest.mark.parametrize(
    ("spec", "role", "message"),
    [
        ("a.sigmf?start=soon", Role.SOURCE, "start is a time such as 500ms"),
        ("a.sigmf?channel=x", Role.SOURCE, "channel is a number from 0"),
        ("a.sigmf?loop", Role.SINK, "unknown option 'loop'; allowed are format"),
        ("a.sigmf?bind", Role.SOURCE, "unknown option 'bind'"),
        ("offise-nlos", Role.SOURCE, "office-nlos"),
        ("zmq+rep://:1?samples=0", Role.SINK, "samples is a number from 1"),
        ("zmq+push://:1?samples=5", Role.SINK, "unknown option 'samples'"),
    ],
)
def test_a_spec_that_is_wrong_gets_one_line(spec: str, role: Role, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_endpoint(spec, role)


def test_what_is_not_there_gets_one_line(gaps: Path, tmp_path: Path) -> None:
    for options, message in (("channel=2", "from 0 to 1"), ("start=180", "has 180")):
        with (
            pytest.raises(ConfigError, match=message),
            open_source(parse_endpoint(f"{gaps}?{options}", Role.SOURCE)),
        ):
            pass
    with (
        pytest.raises(PhyemuError, match="nowhere"),
        open_source(parse_endpoint(str(tmp_path / "nowhere.sigmf"), Role.SOURCE)),
    ):
        pass
    # Half an archive is no archive, and half a sample no sample.
    whole = gaps.read_bytes()
    gaps.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError), open_source(parse_endpoint(str(gaps), Role.SOURCE)):
        pass


def test_samples_beyond_all_bounds_become_silence_and_nan_ends_it(tmp_path: Path) -> None:
    iq = noise(100)
    iq[[3, 50]] = 1e20, -1e12j
    path = write_recording(tmp_path / "a", iq, sample_rate_hz=RATE_HZ, datatype="cf32_le")
    with open_source(parse_endpoint(str(path), Role.SOURCE)) as source:
        heard = everything(source)
    assert not heard[[3, 50]].any()
    assert np.array_equal(np.delete(heard, [3, 50]), np.delete(iq, [3, 50]))
    assert source.counts.silenced_samples == 2
    iq[7] = np.nan
    iq.tofile(path.with_suffix(".sigmf-data"))
    with open_source(parse_endpoint(str(path), Role.SOURCE)) as source:
        with pytest.raises(RecordingError, match="sample 7 is NaN"):
            source.receive(0.0)


def test_what_was_written_before_an_error_is_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "rx.sigmf"
    endpoint = parse_endpoint(f"{path}?format=ci16", Role.SINK)
    ending = open_sink(endpoint, sample_rate_hz=RATE_HZ)
    sink = ending.__enter__()
    sink.send(np.array([0.5, 2.0], np.complex64), 0.0)
    assert not ending.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    with open_recording(path, verify=True) as recording:
        assert recording.read().tolist() == pytest.approx([0.5, 32767 / 32768])
    assert sink.num_clipped == 1
    with open_sink(parse_endpoint(str(tmp_path / "no.sigmf"), Role.SINK), sample_rate_hz=RATE_HZ):
        pass
    assert sorted(item.name for item in tmp_path.iterdir()) == ["rx.sigmf"]
    with (
        pytest.raises(ConfigError, match="needs the sample rate"),
        open_sink(parse_endpoint(str(tmp_path / "no.sigmf"), Role.SINK)),
    ):
        pass


def test_lost_datagrams_are_gaps_of_the_recording(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    path = tmp_path / "rx.sigmf"
    iq = noise(1000)
    with (
        open_source(parse_endpoint(f"udp://:{port}?sequence", Role.SOURCE)) as source,
        open_sink(parse_endpoint(str(path), Role.SINK), sample_rate_hz=RATE_HZ) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        # All of them wait when the first one is received, two losses among them.
        for number, begin in ((1, 0), (2, 200), (5, 400), (6, 600), (9, 800)):
            datagram = number.to_bytes(8, "little") + iq[begin : begin + 200].tobytes()
            peer.sendto(datagram, ("127.0.0.1", port))
        run_live(
            source,
            ScheduledChannel(
                parse_schedule("awgn:inf"),
                sample_rate_hz=RATE_HZ,
                symbol_rate_hz=RATE_HZ,
                reference_power=1.0,
                seed=0,
            ),
            sink,
            sample_rate_hz=RATE_HZ,
            reference_power=1.0,
            duration_s=1e-3,
        )
    with open_recording(path, verify=True) as recording:
        assert np.array_equal(recording.read(), iq)
        assert [
            (segment.sample_start, segment.fields.get("phyemu:lost_messages"))
            for segment in recording.captures
        ] == [(0, None), (400, 2), (800, 2)]
