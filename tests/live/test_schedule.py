"""Channels that take turns."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.channel import Distribution, FrontEnd, load_channel, tgn
from phyemu.channel.emulate import emulate_recording
from phyemu.errors import ConfigError
from phyemu.iq import open_recording, write_recording
from phyemu.live import ScheduledChannel, ScheduledModel, parse_schedule

RATE_HZ = 20e6
POWER = 0.02


def emulated(
    iq: NDArray[np.complex64], model: object, seed: int, folder: Path
) -> NDArray[np.complex64]:
    """Return what `phyemu emulate` makes of samples in a file."""
    path = write_recording(
        folder / "tx.sigmf-meta",
        iq,
        sample_rate_hz=RATE_HZ,
        datatype="cf32_le",
        global_fields={"phyemu:reference_power": POWER},
        force=True,
    )
    with open_recording(path) as recording:
        written = emulate_recording(
            recording, model, folder / "rx.sigmf-meta", seed=seed, force=True
        )
    with open_recording(written.output) as received:
        return received.read().copy()


def scheduled(schedule: tuple[ScheduledModel, ...], seed: int = 3) -> ScheduledChannel:
    return ScheduledChannel(
        schedule, sample_rate_hz=RATE_HZ, symbol_rate_hz=RATE_HZ, reference_power=POWER, seed=seed
    )


def test_one_channel_equals_phyemu_emulate_sample_for_sample(
    iq: NDArray[np.complex64], tmp_path: Path
) -> None:
    channel = scheduled(parse_schedule("tgn-d:15"))
    got = [channel.process(iq[begin : begin + 777]) for begin in range(0, len(iq), 777)]
    out = np.concatenate([*got, channel.flush()])
    assert np.array_equal(out, emulated(iq, load_channel("tgn-d:15"), 3, tmp_path))


def test_a_switch_equals_phyemu_emulate_on_each_stretch(
    iq: NDArray[np.complex64], tmp_path: Path
) -> None:
    # A clock offset brings a latency of thousands of samples, unlike that of the others.
    offset = replace(tgn("b", snr_db=20.0), front_end=FrontEnd(sfo_ppm=Distribution.constant(2.0)))
    schedule = (
        ScheduledModel(0.0, load_channel("tgn-d:15")),
        ScheduledModel(0.4e-3, offset),
        ScheduledModel(1.0e-3, load_channel("awgn:12")),
    )
    channel = scheduled(schedule)
    got = [channel.process(iq[begin : begin + 1111]) for begin in range(0, len(iq), 1111)]
    assert channel.name == "awgn:12"
    got.append(channel.flush())
    cuts = (0, 8000, 20_000, 30_000)
    expected = [
        emulated(iq[cuts[i] : cuts[i + 1]], part.model, 3 + i, tmp_path)
        for i, part in enumerate(schedule)
    ]
    assert np.array_equal(np.concatenate(got), np.concatenate(expected))
    assert channel.latency_samples > 4096


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 3000), max_size=10))
def test_the_output_does_not_depend_on_how_the_samples_arrive(cuts: list[int]) -> None:
    iq = np.exp(1j * np.arange(3000)).astype(np.complex64)
    schedule = parse_schedule("0s=awgn:20,50ms=tgn-b:15")
    schedule = (schedule[0], ScheduledModel(1000 / RATE_HZ, schedule[1].model))
    whole, cut = scheduled(schedule), scheduled(schedule)
    expected = np.concatenate([whole.process(iq), whole.flush()])
    places = [0, *sorted(cuts), 3000]
    got = [cut.process(iq[a:b]) for a, b in pairwise(places)]
    assert np.array_equal(np.concatenate([*got, cut.flush()]), expected)
    assert len(expected) == 3000


def test_times_have_units_and_a_mixture_keeps_its_commas() -> None:
    schedule = parse_schedule("0s=mixture:awgn:3,awgn:9,500ms=awgn:1,2min=awgn:2,1.5h=awgn:3")
    assert [part.start_s for part in schedule] == [0, 0.5, 120, 5400]
    assert schedule[0].model.name == "mixture:awgn:3,awgn:9"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1s=awgn:3", "begin at 0s"),
        ("0s=awgn:3,2s=awgn:4,2s=awgn:5", "rise"),
        ("awgn:3,1s=awgn:4", "begins with a time"),
        ("0s=awgn:3,1s=nowhere", "a channel is"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_schedule(text)


def test_a_channel_measured_at_another_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="measured at 20 MHz"):
        ScheduledChannel(
            parse_schedule("0s=awgn:3,1s=office-nlos"),
            sample_rate_hz=10e6,
            symbol_rate_hz=10e6,
            reference_power=1.0,
            seed=0,
        )
