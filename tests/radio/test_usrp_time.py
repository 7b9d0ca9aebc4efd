"""References, locks and device time, by a scripted driver with a clock of its own."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from phyemu.errors import RadioError
from phyemu.iq import open_recording, write_recording
from phyemu.radio import (
    StreamEvent,
    UsrpConfig,
    UsrpRadio,
    capture_to_recording,
    capture_transmission,
    usrp_receive,
    usrp_time,
)


def open_radio(uhd: Any, monkeypatch: pytest.MonkeyPatch, **values: Any) -> UsrpRadio:
    for module in (usrp_time, usrp_receive):
        monkeypatch.setattr(module, "time", uhd)
    return UsrpRadio(
        UsrpConfig(**({"sample_rate_hz": 1e6, "center_frequency_hz": 2.4e9} | values)), uhd=uhd
    )


def test_without_a_pulse_the_device_follows_the_hosts_clock(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd, monkeypatch)
    assert uhd.times_set == [("now", uhd.utc_s)]
    assert radio.metadata()["phyemu:radio"]["time_set_by"] == "host"


def test_with_a_pulse_the_device_gets_whole_seconds_at_it(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd, monkeypatch, clock_source="external", time_source="external")
    assert uhd.times_set == [("pps", 1.8e9 + 2)]
    known = radio.metadata()["phyemu:radio"]
    assert (known["clock_source"], known["time_source"]) == ("external", "external")
    assert known["time_set_by"] == "pps"


@pytest.mark.parametrize(
    ("fix", "second", "by"), [(True, 1.7e9 + 1, "gps"), (False, 1.8e9 + 2, "pps")]
)
def test_gps_tells_the_second_once_it_has_a_fix(
    fake_uhd: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    fix: bool,
    second: float,
    by: str,
) -> None:
    sensors = {"gps_time": [1_700_000_000], "gps_locked": [fix]}
    uhd = fake_uhd.FakeUhd(sensors=sensors)
    radio = open_radio(uhd, monkeypatch, time_source="gpsdo")
    assert uhd.times_set == [("pps", second)]
    assert radio.metadata()["phyemu:radio"]["time_set_by"] == by


def test_locks_are_waited_for(fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    sensors = {"ref_locked": [False] * 5 + [True], "lo_locked": [False, True]}
    uhd = fake_uhd.FakeUhd(sensors=sensors)
    open_radio(uhd, monkeypatch, clock_source="external")
    assert sensors == {"ref_locked": [True], "lo_locked": [True]}


@pytest.mark.parametrize(
    ("state", "settings", "message"),
    [
        (
            {"sensors": {"ref_locked": [False]}},
            {"clock_source": "external"},
            r"motherboard 0 does not lock to its external clock within 10 s; check the 10 MHz",
        ),
        (
            {"sensors": {"lo_locked": [False]}},
            {},
            r"receive LO of channel 0 does not lock within 1 s; choose another frequency",
        ),
        ({"pulses": False}, {"time_source": "external"}, "no pulse per second within 1.5 s"),
        ({"num_boards": 2}, {}, "2 motherboards need a common clock and time"),
        (
            {"num_boards": 2, "board_skew_s": 1.0},
            {"time_source": "external", "clock_source": "external"},
            "did not take the time 1800000002 at the pulse",
        ),
        ({}, {"clock_source": "gps"}, "refuses gps as clock_source.*has internal, external, gpsdo"),
        ({"clock_runs": False}, {"start_at_s": 5.0}, "clock stands still"),
        ({}, {"start_at_s": 1.8e9}, r"start lies -0.2 s from now .* 0.5 s ahead"),
    ],
)
def test_what_does_not_lock_or_tick_is_one_line_with_the_remedy(
    fake_uhd: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
    settings: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(RadioError, match=message):
        open_radio(fake_uhd.FakeUhd(**state), monkeypatch, **settings).await_start()


def test_two_motherboards_with_a_common_pulse_are_aligned(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd(num_boards=2, num_channels=4)
    radio = open_radio(
        uhd, monkeypatch, clock_source="external", time_source="external", channels=(0, 1, 2, 3)
    )
    block = radio.receive(100)
    assert block.num_samples == 100
    assert not uhd.commands[0].stream_now


def test_a_stream_starts_at_the_time_that_was_asked_for(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd, monkeypatch, start_at_s=1.8e9 + 60)
    assert uhd.now_s == pytest.approx(1.8e9 + 0.25, abs=0.11)
    radio.await_start()
    # It was waited for, and half a second is left to ask for the stream.
    assert uhd.now_s == pytest.approx(1.8e9 + 59.5, abs=0.11)
    block = radio.receive(100)
    assert (block.sample_index, block.event) == (0, None)
    command = uhd.commands[0]
    assert not command.stream_now
    assert (command.time_spec.full, command.time_spec.frac) == (1_800_000_060, 0.0)


def test_a_start_that_comes_too_late_begins_at_once_and_is_told(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Fault("late")])
    radio = open_radio(uhd, monkeypatch, start_at_s=1.8e9 + 60)
    late, first = radio.receive(100), radio.receive(100)
    assert late.event is StreamEvent.LATE_COMMAND
    assert (first.num_samples, first.lost_samples) == (100, 0)
    assert uhd.commands[-1].stream_now
    np.testing.assert_array_equal(np.diff(uhd.delivered_ticks), 1)


@pytest.mark.parametrize("late", [False, True])
def test_a_capture_whose_start_was_missed_says_so(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, late: bool
) -> None:
    data = fake_uhd.Data(50)
    # A late command further on is another thing.
    script = [fake_uhd.Fault("late")] if late else [data, fake_uhd.Fault("late")]
    radio = open_radio(fake_uhd.FakeUhd(script=script), monkeypatch, start_at_s=1.8e9 + 60)
    summary = capture_to_recording(radio, tmp_path / "rx.sigmf", num_samples=100)
    assert summary.events == {"late_command": 1}
    assert (summary.start_missed, summary.is_failure) == (late, late)
    assert summary.to_dict()["start_missed"] == late
    assert ("the time to start at was missed" in summary.line()) == late


def test_a_late_command_of_an_untimed_capture_misses_no_start(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    radio = open_radio(fake_uhd.FakeUhd(script=[fake_uhd.Fault("late")]), monkeypatch)
    summary = capture_to_recording(radio, tmp_path / "rx.sigmf", num_samples=100)
    assert not summary.start_missed


def test_the_transmitter_is_ready_before_a_start_is_waited_for(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent = write_recording(tmp_path / "tx.sigmf", np.ones(100, np.complex64), sample_rate_hz=1e6)
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd, monkeypatch, start_at_s=1.8e9 + 60)
    opened_at: list[float] = []
    get_tx_stream = fake_uhd.MultiUSRP.get_tx_stream

    def slowly(self: Any, args: Any) -> Any:
        opened_at.append(uhd.now_s)
        # Longer than the half second that is left when the waiting is over.
        uhd.sleep(2.0)
        return get_tx_stream(self, args)

    monkeypatch.setattr(fake_uhd.MultiUSRP, "get_tx_stream", slowly)
    with radio, open_recording(sent) as recording:
        capture_transmission(radio, recording, tmp_path / "rx.sigmf", num_samples=1000)
    assert opened_at[0] < 1.8e9 + 50
    command = uhd.commands[0]
    assert command.time_spec.full == 1_800_000_060
    asked_s = uhd.now_s - 1.8e9
    assert asked_s < 60 + 0.11


def test_the_transmit_lo_is_waited_for_once_it_is_set_up(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensors = {"tx_lo_locked": [False, True]}
    open_radio(fake_uhd.FakeUhd(sensors=sensors), monkeypatch).prepare_transmission()
    assert sensors == {"tx_lo_locked": [True]}
    # Who only receives does not ask.
    radio = open_radio(fake_uhd.FakeUhd(sensors={"tx_lo_locked": [False]}), monkeypatch)
    radio.receive(100)
    with pytest.raises(RadioError, match="transmit LO of channel 0 does not lock within 1 s"):
        radio.prepare_transmission()
