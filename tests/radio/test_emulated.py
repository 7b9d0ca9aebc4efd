"""The radio that hears itself through a channel."""

import itertools
import queue
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from phyemu.channel import Awgn, ChannelStream, tgn
from phyemu.channel.emulate import emulate_recording
from phyemu.errors import ConfigError, RadioError, SignalError
from phyemu.iq import open_recording, write_recording
from phyemu.radio import (
    EmulatedRadio,
    TransmitEnd,
    load_world_or_channel,
    transmit_recording,
)

RATE = 20e6


def emulated(snr_db: float = float("inf"), seed: int = 0, gain_db: float = 0.0) -> EmulatedRadio:
    return EmulatedRadio(
        Awgn(snr_db),
        sample_rate_hz=RATE,
        symbol_rate_hz=RATE,
        reference_power=1.0,
        seed=seed,
        gain_db=gain_db,
    )


def ramp(count: int, start: int = 1) -> np.ndarray:
    return np.arange(start, start + count).astype(np.complex64) / 1e5


def heard(radio: EmulatedRadio, count: int) -> np.ndarray:
    """Receive `count` samples and take out the latency."""
    radio_latency = radio.latency_samples
    return radio.receive(count + radio_latency).iq[0, radio_latency:]


def test_transmissions_follow_each_other_after_their_delays_with_silence_between() -> None:
    radio = emulated()
    first = radio.transmit([ramp(100), ramp(50, 101)])
    second = radio.transmit(ramp(30), delay_s=40 / RATE)
    received = heard(radio, 400)
    expected = np.concatenate([ramp(150), np.zeros(40), ramp(30), np.zeros(180)])
    # The only thing between is the channel's interpolation filter.
    np.testing.assert_allclose(received, expected, atol=1e-5)
    for transmission, start, count in ((first, 0, 150), (second, 190, 30)):
        report = transmission.wait()
        assert (report.start_index, report.num_samples) == (start, count)
        assert report.acknowledged


def test_what_is_received_is_what_the_channel_makes_of_what_is_sent() -> None:
    model = tgn("B", snr_db=15.0)
    settings = {"sample_rate_hz": RATE, "symbol_rate_hz": RATE, "reference_power": 0.1}
    radio = EmulatedRadio(model, seed=5, **settings)
    sent = np.zeros(4000, np.complex64)
    sent[1000:2000] = ramp(1000)
    radio.transmit(ramp(1000), delay_s=1000 / RATE)
    oracle = ChannelStream(model, seed=5, **settings).process(sent)
    np.testing.assert_array_equal(radio.receive(4000).iq[0], oracle)


def test_the_radio_and_phyemu_emulate_make_the_same_of_a_recording(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    iq = (0.1 * (rng.standard_normal(30_000) + 1j * rng.standard_normal(30_000))).astype(
        np.complex64
    )
    sent = write_recording(tmp_path / "tx.sigmf", iq, sample_rate_hz=RATE, datatype="cf32_le")
    model = tgn("C", snr_db=18.0)
    with open_recording(sent) as recording:
        radio = EmulatedRadio.for_recording(recording, model, seed=8, gain_db=0.0)
        emulation = emulate_recording(recording, model, tmp_path / "rx.sigmf", seed=8)
        transmit_recording(radio, recording)
        # In pieces of any length, each with its own share of the transmission.
        sizes = [1, 4999, 7000, 100, 17_900]
        heard = np.concatenate([radio.receive(size).iq[0] for size in sizes])
    with open_recording(emulation.output) as received:
        made = received.read(0, 30_000 - emulation.latency_samples)
    np.testing.assert_array_equal(heard[emulation.latency_samples :], made)


def test_a_transmission_starts_at_a_time_of_the_radio() -> None:
    radio = emulated()
    radio.receive(1000)
    assert radio.time_s == 1000 / RATE
    with pytest.raises(ConfigError, match="too soon"):
        radio.transmit(ramp(10), at_s=999 / RATE)
    first = radio.transmit(ramp(100), at_s=1500 / RATE)
    second = radio.transmit(ramp(10), at_s=1550 / RATE)
    third = radio.transmit(ramp(10), at_s=1700 / RATE)
    radio.receive(1000)
    assert (first.wait().start_index, third.wait().start_index) == (1500, 1700)
    assert first.wait().start_time_s == 1500 / RATE
    # The first one was still under way.
    report = second.wait()
    assert (report.ended_by, report.late, report.num_samples) == (TransmitEnd.LATE, 1, 0)


def test_samples_beyond_full_scale_are_limited_and_counted() -> None:
    radio, fair = emulated(), emulated()
    loud = np.array([0.5, 2.0, -1.5 + 0.25j, 1j, 0.5 - 3j] * 10, np.complex64)
    limited = np.array([0.5, 1.0, -1.0 + 0.25j, 1j, 0.5 - 1j] * 10, np.complex64)
    transmission = radio.transmit(loud)
    fair.transmit(limited)
    np.testing.assert_array_equal(radio.receive(200).iq, fair.receive(200).iq)
    assert transmission.wait().clipped == 30
    assert loud[1] == 2.0  # the caller's samples stay as they are


def test_a_transmitter_and_a_receiver_may_run_in_threads_of_their_own() -> None:
    """Samples are handed over a block at a time for as long as both like, and none is kept."""
    blocks: queue.Queue[np.ndarray | None] = queue.Queue(maxsize=2)
    radio = emulated()
    waiting: list[int] = []

    def source() -> Iterator[np.ndarray]:
        while (block := blocks.get()) is not None:
            waiting.append(blocks.qsize())
            yield block

    transmission = radio.transmit(source())

    def send() -> None:
        for number in range(50):
            blocks.put(ramp(1000, 1 + 1000 * number))
            # Asking does not disturb the thread that receives, nor wait for it.
            assert transmission.wait().num_samples <= 1000 * (number + 1)
        blocks.put(None)

    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(send)
        heard = np.concatenate([radio.receive(777).iq[0] for _ in range(80)])
        sender.result(20)
    latency = radio.latency_samples
    np.testing.assert_allclose(heard[latency : latency + 50_000], ramp(50_000), atol=2e-5)
    assert transmission.wait().acknowledged
    assert max(waiting) <= 2


def test_the_report_is_there_while_the_receiver_waits_for_the_source() -> None:
    reading, more = threading.Event(), threading.Event()

    def source() -> Iterator[np.ndarray]:
        reading.set()
        assert more.wait(20)
        yield ramp(10)

    radio = emulated()
    transmission = radio.transmit(source())
    with ThreadPoolExecutor(1) as pool:
        receiver = pool.submit(radio.receive, 10)
        assert reading.wait(20)
        report = transmission.wait()
        # Whoever had waited for the source would have met its end: it gives up by itself.
        assert not receiver.done()
        more.set()
        receiver.result(20)
    assert (report.num_samples, report.acknowledged) == (0, False)


def test_an_endless_transmission_takes_no_more_memory_than_a_short_one() -> None:
    radio = emulated()
    block = ramp(10_000)
    transmission = radio.transmit(itertools.repeat(block))
    out = np.empty((1, 10_000), np.complex64)

    def grown(count: int) -> int:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            radio.receive(10_000, out)
        return tracemalloc.get_traced_memory()[1] - before

    radio.receive(10_000, out)
    tracemalloc.start()
    try:
        short, long = grown(5), grown(100)
    finally:
        tracemalloc.stop()
    assert long <= short + 50_000
    assert transmission.num_samples == 106 * 10_000


def test_nothing_transmitted_is_noise_of_the_stated_power() -> None:
    count = 100_000
    noise = emulated(snr_db=10.0).receive(count).iq[0]
    # The mean of |n|^2 over `count` samples deviates by 1/sqrt(count); allow five of these.
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.1, rel=5 / count**0.5)


def test_a_burst_that_is_stopped_ends_there() -> None:
    radio = emulated()
    transmission = radio.transmit(ramp(1000))
    radio.receive(300)
    transmission.stop()
    radio.receive(300)
    assert transmission.wait().num_samples == 300


def test_the_receivers_gain_scales_signal_and_noise_alike() -> None:
    quiet, loud = (emulated(20.0, gain_db=gain).receive(1000).iq for gain in (-20.0, 0.0))
    np.testing.assert_allclose(quiet, 0.1 * loud, rtol=1e-6)


def test_seeds_tell_realisations_apart() -> None:
    first, same, other = (emulated(10.0, seed).receive(100).iq for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_noise_refers_to_what_the_recording_says_of_itself(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "tx.sigmf",
        ramp(1000),
        sample_rate_hz=RATE,
        global_fields={"phyemu:reference_power": 0.04},
    )
    with open_recording(path) as recording:
        radio = EmulatedRadio.for_recording(recording, Awgn(0.0), seed=0, gain_db=0.0)
    noise = radio.receive(100_000).iq
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.04, rel=5 / 100_000**0.5)
    assert radio.metadata()["phyemu:seed"] == 0


def test_samples_and_settings_that_make_no_sense_are_refused() -> None:
    radio = emulated()
    with pytest.raises(ConfigError, match="delay_s"):
        radio.transmit(ramp(10), delay_s=-1.0)
    with pytest.raises(ConfigError, match="seed"):
        emulated(seed=-1)
    with pytest.raises(ConfigError, match="gain_db"):
        emulated(gain_db=float("nan"))
    radio.transmit(np.full(10, np.inf, np.complex64))
    with pytest.raises(SignalError, match="infinity"):
        radio.receive(10)
    other = emulated()
    other.transmit(np.zeros((2, 10), np.complex64))
    with pytest.raises(SignalError, match=r"\(2, 10\)"):
        other.receive(10)
    other.close()
    with pytest.raises(RadioError, match="closed"):
        other.receive(10)


def test_worlds_and_channels_are_found_by_name() -> None:
    assert load_world_or_channel("office-nlos-world").name == "world:office-nlos"
    assert load_world_or_channel("Office_LoS_world").name == "world:office-los"
    assert load_world_or_channel("awgn:12").name == "awgn:12"
    with pytest.raises(ConfigError, match="office-nlos"):
        load_world_or_channel("garden-world")
