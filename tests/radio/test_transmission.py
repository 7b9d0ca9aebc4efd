"""Recordings on their way to a transmitter."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from phyemu.channel import Awgn
from phyemu.errors import ConfigError, RadioError
from phyemu.iq import Recording, write_recording
from phyemu.radio import (
    EmulatedRadio,
    UsrpConfig,
    UsrpRadio,
    measure_levels,
    send_recording,
    sent_fields,
    transmit_recording,
)

Record = Callable[..., Recording]


@pytest.fixture
def record(tmp_path: Path, opened: Callable[[Path], Recording]) -> Record:
    """Return a function that writes samples and opens the recording."""

    def write(iq: np.ndarray, rate: float = 1e6) -> Recording:
        path = write_recording(
            tmp_path / "tx.sigmf",
            np.asarray(iq, np.complex64),
            sample_rate_hz=rate,
            datatype="cf32_le",
            global_fields={"phyemu:waveform": "sounder"},
            force=True,
        )
        return opened(path)

    return write


def test_levels_are_known_before_anything_is_sent(record: Record) -> None:
    recording = record(np.array([0.5 + 0.25j, -0.75j, 0.1, 0.0]))
    levels = measure_levels(recording, amplitude=2.0)
    assert levels.peak == pytest.approx(1.5)
    assert levels.num_clipped == 1
    assert levels.mean_power == pytest.approx(4 * (0.3125 + 0.5625 + 0.01) / 4)
    assert levels.largest_amplitude == pytest.approx(1 / 0.75)
    assert measure_levels(recording, amplitude=1 / 0.75).num_clipped == 0


def test_repetitions_follow_each_other_without_a_gap(record: Record, fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    uhd.async_events.append("burst_ack")
    counted = np.arange(1000) / 32768
    radio = UsrpRadio(UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9), uhd=uhd)
    seen: list[int] = []
    report = send_recording(
        radio,
        record(counted),
        amplitude=2.0,
        repeats=3,
        progress=lambda stage, done, total, note="": seen.append(total),
    )
    assert report.num_samples == 3000
    assert set(seen) == {3000}
    np.testing.assert_array_equal(uhd.sent_words[0], np.tile(2 * np.arange(1000), 3))


def test_an_endless_transmission_ends_with_the_recording_that_hears_it(record: Record) -> None:
    settings = {"sample_rate_hz": 1e6, "symbol_rate_hz": 1e6, "reference_power": 1.0}
    radio = EmulatedRadio(Awgn(float("inf")), seed=0, **settings)
    transmission = transmit_recording(radio, record(np.ones(70)), repeats=None)
    radio.receive(1000)
    transmission.stop()
    report = transmission.wait()
    assert report is not None
    assert report.num_samples == 1000


def test_what_was_sent_is_named_for_the_reception(record: Record) -> None:
    assert sent_fields(record(np.ones(3))) == {
        "phyemu:waveform": "sounder",
        "phyemu:transmit_recording": "tx.sigmf",
    }


def test_recordings_that_do_not_suit_the_radio_are_refused(
    record: Record, fake_uhd: ModuleType
) -> None:
    radio = UsrpRadio(
        UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9), uhd=fake_uhd.FakeUhd()
    )
    with pytest.raises(RadioError, match="made for 2000000 Hz"):
        transmit_recording(radio, record(np.ones(3), 2e6))
    with pytest.raises(RadioError, match="has 3 channels"):
        transmit_recording(radio, record(np.ones((3, 5))))
    fine = record(np.ones(3))
    with pytest.raises(ConfigError, match="repeats"):
        transmit_recording(radio, fine, repeats=0)
    for amplitude in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="amplitude"):
            measure_levels(fine, amplitude=amplitude)
