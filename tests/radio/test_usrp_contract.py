"""What `UsrpRadio` relies on in the driver, asked of the scripted driver and of the real one.

The real driver talks to UHD's own simulator of an E320, which loses three packets before every
twentieth; the script says the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

RATE = 1e6
PACKET = 2000


@dataclass
class Driver:
    """A driver with a device to open, and an open one."""

    uhd: Any
    device: Any
    has_lo_offset: bool


@pytest.fixture(
    scope="module", params=["scripted", pytest.param("simulated", marks=pytest.mark.usrp)]
)
def driver(
    request: pytest.FixtureRequest, fake_uhd: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    """Return a driver and a device that counts its samples, with a gap in every twenty packets."""
    if request.param == "scripted":
        script = [fake_uhd.Data(19 * PACKET)]
        for _ in range(100):
            script += [fake_uhd.Lose(3 * PACKET, "overflow", True), fake_uhd.Data(20 * PACKET)]
        uhd = fake_uhd.FakeUhd(
            script=script,
            packet_samples=PACKET,
            first_tick=0,
            master_clock_hz=122.88e6,
            opened_s=0.0,
            clock_runs=False,
            in_flight_samples=PACKET,
            num_channels=1,
        )
        yield Driver(uhd, uhd.usrp.MultiUSRP(""), has_lo_offset=True)
        return
    request.getfixturevalue("simulator_packages")
    start: Callable[..., Any] = request.getfixturevalue("simulator")
    from phyemu.radio.usrp_driver import load_driver

    source = {"class": "CountingSource", "lose_every": "20", "lost_packets": "3"}
    with start(tmp_path_factory.mktemp("simulator"), source, {"class": "LoopSink"}):
        uhd = load_driver()
        driver = Driver(uhd, uhd.usrp.MultiUSRP("addr=127.0.0.1"), has_lo_offset=False)
        driver.device.set_rx_rate(RATE, 0)
        yield driver
        # The device lets go of the simulator, which must still be there.
        driver.device = None


@pytest.fixture
def streamer(driver: Driver) -> Iterator[Any]:
    """Return a streamer that runs."""
    arguments = driver.uhd.usrp.StreamArgs("sc16", "sc16")
    arguments.channels = [0]
    streamer = driver.device.get_rx_stream(arguments)
    start(driver, streamer)
    yield streamer
    stop(driver, streamer)


def start(driver: Driver, streamer: Any) -> None:
    command = driver.uhd.types.StreamCMD(driver.uhd.types.StreamMode.start_cont)
    command.stream_now = True
    streamer.issue_stream_cmd(command)


def stop(driver: Driver, streamer: Any) -> None:
    command = driver.uhd.types.StreamCMD(driver.uhd.types.StreamMode.stop_cont)
    streamer.issue_stream_cmd(command)


def receive(
    driver: Driver, streamer: Any, size: int, timeout_s: float = 5.0
) -> tuple[np.ndarray, Any]:
    words, metadata = np.zeros((1, size), np.uint32), driver.uhd.types.RXMetadata()
    count = streamer.recv(words, metadata, timeout_s)
    return words[0, :count].astype(np.int64), metadata


def stamp(metadata: Any) -> int:
    assert metadata.has_time_spec
    return int(metadata.time_spec.to_ticks(RATE))


def test_a_call_in_the_middle_of_a_packet_has_the_time_of_its_start(
    driver: Driver, streamer: Any
) -> None:
    assert streamer.get_max_num_samps() == PACKET
    first, metadata = receive(driver, streamer, 2 * PACKET + 500)
    origin = stamp(metadata) - int(first[0])
    assert metadata.error_code.name == "none"
    assert not metadata.out_of_sequence
    np.testing.assert_array_equal(np.diff(first), 1)
    middle, metadata = receive(driver, streamer, PACKET)
    assert middle[0] == first[-1] + 1
    # 500 samples early, but for 500 periods of the master clock.
    assert 490 <= origin + int(middle[0]) - stamp(metadata) <= 500


def test_a_gap_is_told_by_the_call_after_the_samples_before_it(
    driver: Driver, streamer: Any
) -> None:
    for _ in range(3):
        before, metadata = receive(driver, streamer, 100 * PACKET)
        if metadata.error_code.name == "none":
            break
    assert before.size < 100 * PACKET
    origin = stamp(metadata) - int(before[0])
    nothing, metadata = receive(driver, streamer, PACKET)
    assert nothing.size == 0
    assert metadata.error_code.name == "overflow"
    assert metadata.out_of_sequence
    after, metadata = receive(driver, streamer, PACKET)
    assert after[0] - before[-1] - 1 == 3 * PACKET
    assert stamp(metadata) - int(after[0]) == origin


def test_a_stopped_stream_runs_dry_and_starts_again(driver: Driver, streamer: Any) -> None:
    receive(driver, streamer, PACKET)
    stop(driver, streamer)
    for _ in range(500):
        samples, metadata = receive(driver, streamer, PACKET, 0.5)
        if not samples.size and metadata.error_code.name == "timeout":
            break
    assert metadata.error_code.name == "timeout"
    assert not metadata.has_time_spec
    start(driver, streamer)
    samples, metadata = receive(driver, streamer, PACKET)
    assert samples.size == PACKET


def test_a_second_streamer_needs_the_first_to_be_gone(driver: Driver, streamer: Any) -> None:
    arguments = driver.uhd.usrp.StreamArgs("sc16", "sc16")
    arguments.channels = [0]
    # "Attempting to reconnect output port", or a simulator that is too busy to say so.
    with pytest.raises(RuntimeError, match=r"reconnect|Timed out"):
        driver.device.get_rx_stream(arguments)


def test_what_the_device_lacks_is_a_runtime_error(driver: Driver) -> None:
    device = driver.device
    with pytest.raises(RuntimeError, match="RX9"):
        device.set_rx_antenna("RX9", 0)
    with pytest.raises(RuntimeError):
        device.set_rx_antenna("RX2", 5)
    with pytest.raises(RuntimeError):
        device.set_rx_subdev_spec(driver.uhd.usrp.SubdevSpec("Z:9"))


def test_what_the_device_has_can_be_asked(driver: Driver) -> None:
    device, types = driver.device, driver.uhd.types
    tuned = device.set_rx_freq(types.TuneRequest(2.4e9, 10e6), 0)
    offset_hz = 10e6 if driver.has_lo_offset else 0.0
    assert tuned.actual_rf_freq - device.get_rx_freq(0) == pytest.approx(offset_hz, abs=10)
    rates = device.get_rx_rates(0)
    assert rates.start() <= rates.clip(RATE) <= rates.stop()
    assert device.get_num_mboards() == 1
    assert device.get_master_clock_rate(0) > 0
    assert isinstance(device.get_rx_subdev_spec(0).to_string(), str)
    assert isinstance(device.get_mboard_sensor_names(0), list)
    assert isinstance(device.get_rx_sensor_names(0), list)
    assert device.get_clock_source(0) == "internal"
    assert device.get_rx_freq_range(0).start() < 2.4e9 < device.get_rx_freq_range(0).stop()


def test_a_device_time_is_set_and_seen_at_the_pulse(driver: Driver) -> None:
    device, spec = driver.device, driver.uhd.types.TimeSpec(1_800_000_000, 0.5)
    assert (spec + driver.uhd.types.TimeSpec(0.75)).get_full_secs() == 1_800_000_001
    device.set_time_now(spec)
    # Neither device has a clock that runs.
    assert device.get_time_now().get_real_secs() == 0
    assert isinstance(device.get_time_last_pps(0).get_real_secs(), float)
