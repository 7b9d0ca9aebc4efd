"""`UsrpRadio` against a driver that follows UHD's protocol and a script of faults."""

from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from phyemu.errors import ConfigError, RadioError, SignalError
from phyemu.radio import (
    ReceivedBlock,
    StreamEvent,
    UsrpConfig,
    UsrpPort,
    UsrpRadio,
    usrp_receive,
)


def open_radio(uhd: Any, **values: Any) -> UsrpRadio:
    return UsrpRadio(
        UsrpConfig(**({"sample_rate_hz": 1e6, "center_frequency_hz": 2.4e9} | values)), uhd=uhd
    )


def ticks_of(block: ReceivedBlock, channel: int = 0) -> np.ndarray:
    """Return the device's own sample numbers, which the fake driver puts into the samples."""
    parts = (block.iq[channel].view(np.float32).reshape(-1) * 32768).astype(np.int16)
    return parts.view(np.uint32).astype(np.int64)


def receive_all(radio: UsrpRadio, calls: int, size: int) -> list[ReceivedBlock]:
    return [radio.receive(size) for _ in range(calls)]


def actions(fake: ModuleType) -> st.SearchStrategy[list[Any]]:
    count = st.integers(1, 300)
    codes = st.sampled_from(["overflow", "bad_packet"])
    return st.lists(
        st.one_of(
            st.builds(fake.Data, count),
            st.builds(fake.Lose, count, codes),
            st.builds(fake.Lose, count, st.just("overflow"), st.just(True)),
            st.builds(fake.Lose, count, st.none()),
            st.builds(
                fake.Fault,
                st.sampled_from(
                    ["overflow", "late", "broken_chain", "alignment", "bad_packet", "timeout"]
                ),
            ),
            st.builds(fake.Pause),
            st.builds(fake.ClockSet, st.integers(-300, -1)),
        ),
        max_size=12,
    )


@settings(deadline=None)
@given(data=st.data(), size=st.integers(1, 400), packet=st.integers(1, 100), stamps=st.booleans())
def test_no_sample_is_lost_duplicated_or_mislabelled(
    data: st.DataObject, size: int, packet: int, stamps: bool, fake_uhd: ModuleType
) -> None:
    script = data.draw(actions(fake_uhd))
    uhd = fake_uhd.FakeUhd(script=script, time_stamps=stamps, packet_samples=packet)
    radio = open_radio(uhd)
    blocks = receive_all(radio, 3 * len(script) + 8, size)
    received = np.concatenate([ticks_of(block) for block in blocks])
    # Nothing that the driver handed over is missing, and nothing comes twice.
    np.testing.assert_array_equal(received, uhd.delivered_ticks[: received.size])
    assert uhd.delivered_ticks.size - received.size < packet  # the rest of the last packet
    clock_was_set = any(isinstance(step, fake_uhd.ClockSet) for step in script)
    expected_index, last_tick, broken = 0, None, False
    for block in blocks:
        broken |= block.event is not None and block.event.breaks_stream
        assert block.sample_index >= expected_index
        if not block.num_samples:
            continue
        ticks = ticks_of(block)
        # Inside a block there is no gap.
        np.testing.assert_array_equal(np.diff(ticks), 1)
        missing = 0 if last_tick is None else ticks[0] - last_tick - 1
        if block.lost_samples is not None:
            assert block.sample_index - expected_index == block.lost_samples
        if not stamps:
            # The driver's word is all there is.
            assert block.lost_samples == (None if broken and last_tick is not None else 0)
        elif not clock_was_set:
            assert block.lost_samples == missing
        expected_index = block.sample_index + block.num_samples
        last_tick, broken = ticks[-1], False


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("overflow", StreamEvent.OVERFLOW),
        ("timeout", StreamEvent.TIMEOUT),
        ("late", StreamEvent.LATE_COMMAND),
        ("broken_chain", StreamEvent.BROKEN_CHAIN),
        ("alignment", StreamEvent.ALIGNMENT),
        ("bad_packet", StreamEvent.BAD_PACKET),
    ],
)
def test_every_error_code_of_the_driver_has_an_event_and_the_stream_goes_on(
    code: str, event: StreamEvent, fake_uhd: ModuleType
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(100), fake_uhd.Fault(code), fake_uhd.Data(100)])
    radio = open_radio(uhd)
    first, fault, after = receive_all(radio, 3, 100)
    assert first.event is None
    assert (fault.num_samples, fault.event) == (0, event)
    assert after.num_samples == 100
    # After a failed alignment the device still sends; it is stopped and started again.
    restarted = code in fake_uhd.STOPS | {"alignment"}
    assert after.lost_samples == (uhd.restart_samples if restarted else 0)


def test_the_event_table_knows_every_error_code(fake_uhd: ModuleType) -> None:
    from phyemu.radio.usrp_receive import _EVENTS

    assert set(_EVENTS) == {code.name for code in fake_uhd.ErrorCode} - {"none"}


def test_lost_packets_are_told_from_an_overflow(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Lose(7, "overflow", True)])
    fault, after = receive_all(open_radio(uhd), 2, 10)
    assert fault.event is StreamEvent.SEQUENCE_GAP
    # Nothing was received before, so there is nothing that the seven samples are missing from.
    assert (after.sample_index, after.lost_samples) == (0, 0)


def test_a_short_read_gives_what_is_there(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(30), fake_uhd.Pause(), fake_uhd.Data(10)])
    short, full = receive_all(open_radio(uhd), 2, 100)
    assert (short.num_samples, short.event) == (30, None)
    assert (full.sample_index, full.lost_samples) == (30, 0)


def test_a_vanished_device_ends_the_stream_once_and_for_all(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(30), fake_uhd.Disconnect()])
    radio = open_radio(uhd)
    blocks = receive_all(radio, 3, 100)
    assert [block.num_samples for block in blocks] == [30, 0, 0]
    assert [block.event for block in blocks[1:]] == [StreamEvent.DISCONNECTED] * 2
    assert "NO_DEVICE" in blocks[1].detail
    radio.close()


@pytest.mark.parametrize("error", [OSError, ValueError, IndexError, MemoryError])
def test_whatever_the_binding_raises_is_a_vanished_device(
    fake_uhd: ModuleType, error: type[Exception]
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(30), fake_uhd.Disconnect(error)])
    radio = open_radio(uhd)
    blocks = receive_all(radio, 2, 100)
    assert [block.num_samples for block in blocks] == [30, 0]
    assert blocks[1].event is StreamEvent.DISCONNECTED
    radio.close()


def test_a_device_that_falls_silent_after_an_overflow_is_started_again(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(100), fake_uhd.Lose(40), fake_uhd.Halt()])
    monkeypatch.setattr(usrp_receive, "time", uhd)
    radio = open_radio(uhd)
    blocks = receive_all(radio, 8, 100)
    events = [block.event for block in blocks]
    restarted = events.index(StreamEvent.RESTARTED)
    assert set(events[2:restarted]) == {StreamEvent.TIMEOUT}
    assert events[1] is StreamEvent.OVERFLOW
    after = blocks[restarted + 1]
    assert (after.num_samples, after.lost_samples) == (100, 40 + uhd.restart_samples)
    assert len(uhd.commands) == 3  # start, stop, start


def test_a_driver_that_returns_nothing_for_ever_is_paced_and_started_again(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(100)] + [fake_uhd.Nothing()] * 2000)
    monkeypatch.setattr(usrp_receive, "time", uhd)
    blocks = receive_all(open_radio(uhd), 1510, 100)
    assert blocks[1].event is StreamEvent.TIMEOUT
    assert "no reason" in blocks[1].detail
    # A millisecond each.
    assert [block.event for block in blocks].count(StreamEvent.RESTARTED) == 1


@pytest.mark.parametrize("samples", [10_000_000, -5_000_000, -7])
def test_a_clock_that_is_set_is_told_from_lost_samples(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    uhd = fake_uhd.FakeUhd(
        packet_samples=5,
        script=[fake_uhd.Data(100), fake_uhd.Fault("timeout"), fake_uhd.ClockSet(samples)],
    )
    monkeypatch.setattr(usrp_receive, "time", uhd)
    radio = open_radio(uhd)
    first, _, after, later = receive_all(radio, 4, 100)
    assert (after.lost_samples, after.event) == (None, StreamEvent.TIME_JUMP)
    assert after.sample_index == first.num_samples
    assert (later.lost_samples, later.event, later.sample_index) == (0, None, 200)
    # A burst is placed by the clock as it is set now: 300 samples were received, 10,000 follow.
    radio.transmit(np.zeros(10, np.complex64), delay_s=0.1).wait()
    origin = uhd.now_ticks - (uhd.first_tick + uhd.clock_offset)
    report = radio.transmit(np.zeros(10, np.complex64), delay_s=0.1).wait()
    assert report is not None
    assert report.start_index == origin + 100_000


def test_a_long_loss_is_no_clock_that_was_set(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(100), fake_uhd.Lose(10_000_000)])
    monkeypatch.setattr(usrp_receive, "time", uhd)
    _, _, after = receive_all(open_radio(uhd), 3, 100)
    # Ten seconds have passed on the host, too.
    assert (after.lost_samples, after.sample_index) == (10_000_000, 10_000_100)


def test_a_block_of_many_packets_is_one_call(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(packet_samples=364)
    blocks = receive_all(open_radio(uhd), 5, 1 << 17)
    assert len(uhd.delivered) == 5
    assert {block.num_samples for block in blocks} == {131_072 // 364 * 364}


def test_two_channels_start_together_and_keep_their_samples_apart(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(script=[])
    radio = open_radio(uhd, channels=(0, 1))
    out = np.zeros((2, 500), np.complex64)
    block = radio.receive(200, out)
    assert np.shares_memory(block.iq, out)
    np.testing.assert_array_equal(ticks_of(block, 1), ticks_of(block, 0) + 1)
    assert not uhd.commands[0].stream_now
    assert uhd.commands[0].time_spec.get_real_secs() == pytest.approx(uhd.now_s + 0.1)


def test_what_the_device_really_set_is_in_the_metadata(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(rate=1.0001e6)
    radio = open_radio(uhd, rx=UsrpPort(gain_db=99.0, antenna="TX/RX"))
    assert radio.sample_rate_hz == 1.0001e6
    assert radio.center_frequency_hz == 2.4e9 + uhd.tune_error_hz
    fields = radio.metadata()
    assert fields["core:hw"] == "USRP B210 FE RX, receive antenna TX/RX"
    settings = fields["phyemu:radio"]
    assert settings["gain_db"] == [76.0]
    assert settings["antenna"] == ["TX/RX"]
    assert settings["requested_sample_rate_hz"] == 1e6
    assert settings["driver"] == "UHD 4.3.0.0-fake"
    assert settings["serial"] == "F4KE"
    # This device cannot tell its time source, so nothing is claimed.
    assert "time_source" not in settings


def test_each_channel_has_its_gain_and_antenna(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(kind="n3xx")
    port = UsrpPort(gain_db=(20.0, 30.0), antenna=("RX2", "TX/RX"))
    settings = open_radio(uhd, channels=(0, 1), rx=port).metadata()["phyemu:radio"]
    assert settings["gain_db"] == [20.0, 30.0]
    assert settings["antenna"] == ["RX2", "TX/RX"]


def test_the_front_ends_of_its_own_channels_are_in_the_metadata(fake_uhd: ModuleType) -> None:
    front_ends = {0: "TwinRX", 1: "UBX", 2: "UBX"}
    for channels, shown in (((1,), "UBX RX"), ((1, 2), "UBX RX"), ((1, 0), "UBX RX/TwinRX RX")):
        uhd = fake_uhd.FakeUhd(board="X310", kind="x300", num_channels=3, front_ends=front_ends)
        hardware = open_radio(uhd, channels=channels).metadata()["core:hw"]
        assert hardware.startswith(f"USRP X310 {shown}, receive antenna")


def test_where_the_lo_is_and_what_clocks_the_device_are_in_the_metadata(
    fake_uhd: ModuleType,
) -> None:
    uhd = fake_uhd.FakeUhd(lo_error_hz=3.25)
    port = UsrpPort(lo_offset_hz=5e6, subdev="A:A A:B")
    settings = open_radio(uhd, rx=port).metadata()["phyemu:radio"]
    # The device tuned its LO by 3 Hz beside what was asked; the DSP made up for it.
    assert settings["lo_offset_hz"] == [pytest.approx(5e6 + 3.0, abs=1e-6)]
    assert settings["master_clock_rate_hz"] == 32e6
    assert settings["subdev"] == "A:A A:B"
    assert settings["time_set_by"] == "host"


@pytest.mark.parametrize(
    ("settings", "args"),
    [
        ({"kind": "x300"}, "master_clock_rate=184320000"),
        ({"kind": "b200"}, "num_recv_frames=512,num_send_frames=512,master_clock_rate=30720000"),
    ],
)
def test_the_master_clock_is_chosen_when_the_device_is_opened(
    fake_uhd: ModuleType, settings: dict[str, Any], args: str
) -> None:
    uhd = fake_uhd.FakeUhd(rate=15.36e6, **settings)
    open_radio(uhd, sample_rate_hz=15.36e6, channels=(0, 1))
    assert uhd.opened == [args]


def test_an_x310_with_ubx_gets_the_lo_offsets_that_colosseum_recommends(
    fake_uhd: ModuleType,
) -> None:
    uhd = fake_uhd.FakeUhd(board="X310", front_end="UBX", kind="x300")
    radio = open_radio(uhd)
    assert radio.transmit(np.zeros(10, np.complex64)).wait() is not None
    offsets = {
        direction: value.lo_offset
        for direction, setting, value, _ in uhd.settings
        if setting == "freq"
    }
    assert offsets == {"rx": 42e6, "tx": -42e6}
    assert uhd.opened == [""]


def test_a_b210_gets_more_usb_frames(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    open_radio(uhd, args="num_recv_frames=64")
    assert uhd.opened == ["num_recv_frames=64,num_send_frames=512"]


@pytest.mark.parametrize(
    ("state", "settings", "message"),
    [
        ({"devices": 0}, {"args": "addr=10.0.0.9"}, r"no USRP 'addr=10.0.0.9' answers; .*devices"),
        ({"claimed": True}, {}, "in use by another program"),
        ({}, {"rx": UsrpPort(antenna="RX9")}, "refuses RX9 as rx antenna of channel 0"),
        ({}, {"channels": (5,)}, "channel 5"),
        ({}, {"clock_source": "sundial"}, "refuses sundial as clock_source"),
        ({}, {"rx": UsrpPort(subdev="Z:9")}, "refuses Z:9 as rx subdev"),
        ({"rate": 2e6}, {"sample_rate_hz": 1.5e6}, r"1.5 Msps .*; the nearest rates are 1 and 2"),
        (
            {"rate_step_hz": 1e3, "kind": "x300"},
            {"channels": (0, 1)},
            r"took different rates \(1000000.000, 1001000.000 Hz\)",
        ),
        ({"tune_error_hz": 1e9}, {}, r"cannot receive at 2.4e\+09 Hz .* range \(5e\+07 to 6e\+09"),
    ],
)
def test_what_the_device_refuses_is_one_line_that_says_what(
    state: dict[str, Any], settings: dict[str, Any], message: str, fake_uhd: ModuleType
) -> None:
    with pytest.raises(RadioError, match=message) as caught:
        open_radio(fake_uhd.FakeUhd(**state), **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_rate_hz": 0.0},
        {"center_frequency_hz": -1.0},
        {"transmit_frequency_hz": float("nan")},
        {"channels": ()},
        {"channels": (0, 0)},
        {"channels": (-1,)},
        {"stall_s": 0.0},
        {"start_at_s": -1.0},
        {"rx": UsrpPort(gain_db=(1.0, 2.0))},
        {"channels": (0, 1, 2), "rx": UsrpPort(antenna=("RX2", "RX2"))},
    ],
)
def test_settings_that_no_device_could_mean_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        UsrpConfig(**({"sample_rate_hz": 1e6, "center_frequency_hz": 1e9} | settings))


def test_a_closed_radio_and_a_wrong_buffer_are_refused(fake_uhd: ModuleType) -> None:
    radio = open_radio(fake_uhd.FakeUhd())
    with pytest.raises(SignalError, match="at least 1"):
        radio.receive(0)
    with pytest.raises(SignalError, match="complex64"):
        radio.receive(10, np.zeros((1, 10), np.complex128))  # type: ignore[arg-type]
    radio.close()
    radio.close()
    with pytest.raises(RadioError, match="closed"):
        radio.receive(10)
    with pytest.raises(RadioError, match="closed"):
        radio.transmit(np.zeros(10, np.complex64))


def test_tuning_begins_another_stream_at_the_new_frequency(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd(sensors={"lo_locked": [False, True], "tx_lo_locked": [True]})
    with open_radio(uhd, rx=UsrpPort(lo_offset_hz=5e6), tx=UsrpPort(lo_offset_hz=-5e6)) as radio:
        assert radio.receive(100).sample_index == 0
        assert radio.receive(100).sample_index == 100
        radio.prepare_transmission()
        before = len(uhd.settings)
        radio.retune(1.5e9)
        asked = [
            (direction, value.target_freq, value.lo_offset)
            for direction, setting, value, _ in uhd.settings[before:]
            if setting == "freq"
        ]
        assert asked == [("rx", 1.5e9, 5e6), ("tx", 1.5e9, -5e6)]
        assert len(asked) == len(uhd.settings) - before  # gains and rates stay as they are
        assert radio.center_frequency_hz == pytest.approx(1.5e9)
        assert uhd.sensors["lo_locked"] == [True]
        assert radio.metadata()["phyemu:radio"]["requested_center_frequency_hz"] == 1.5e9
        first = radio.receive(100)
        assert (first.sample_index, first.lost_samples, first.event) == (0, 0, None)


def test_it_may_transmit_on_another_frequency_than_it_hears(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()

    def asked() -> list[tuple[str, float]]:
        return [
            (direction, value.target_freq)
            for direction, setting, value, _ in uhd.settings
            if setting == "freq"
        ]

    with open_radio(uhd, transmit_frequency_hz=2.45e9) as radio:
        radio.prepare_transmission()
        assert asked() == [("rx", 2.4e9), ("tx", 2.45e9)]
        assert radio.center_frequency_hz == pytest.approx(2.4e9)
        radio.retune(1e9)
        assert asked()[2:] == [("rx", 1e9), ("tx", 1e9)]


def test_a_radio_that_transmits_is_not_tuned(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()

    def for_ever() -> Any:
        while True:
            yield np.zeros(1000, np.complex64)

    with open_radio(uhd) as radio:
        transmission = radio.transmit(for_ever())
        with pytest.raises(RadioError, match="still transmits; stop that before it is tuned"):
            radio.retune(1e9)
        transmission.stop()
        transmission.wait()
        radio.retune(1e9)
        assert radio.center_frequency_hz == pytest.approx(1e9)


def test_a_frequency_out_of_reach_is_refused_when_tuning(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    with open_radio(uhd) as radio:
        uhd.tune_error_hz = 1e8
        with pytest.raises(RadioError, match=r"cannot receive at 7e\+09 Hz and took 7\.1e\+09"):
            radio.retune(7e9)
        uhd.sensors["lo_locked"] = [False]
        with pytest.raises(RadioError, match="receive LO of channel 0 does not lock"):
            radio.retune(1e9)
