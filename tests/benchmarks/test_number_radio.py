"""The radio double of the recording benchmarks: it counts, and loses what is fetched too late."""

import numpy as np
import pytest

from benchmarks import number_radio
from benchmarks.number_radio import NumberRadio


def numbers(iq: np.ndarray) -> np.ndarray:
    return (iq.view(np.float32) * 32768).astype(np.int16).view(np.uint32)


def test_it_counts_on_every_channel() -> None:
    radio = NumberRadio(sample_rate_hz=1e6, num_channels=2)
    for start in (0, 100_000):
        block = radio.receive(100_000)
        assert (block.sample_index, block.lost_samples) == (start, 0)
        for channel in block.iq:
            np.testing.assert_array_equal(numbers(channel), np.arange(start, start + 100_000))


def test_in_real_time_it_waits_and_loses_what_its_buffer_does_not_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, slept_s = 10.0, []
    monkeypatch.setattr(number_radio.time, "monotonic", lambda: now_s)
    monkeypatch.setattr(number_radio.time, "sleep", slept_s.append)
    radio = NumberRadio(sample_rate_hz=1000.0, real_time=True, buffer_s=0.1)
    assert radio.receive(50).lost_samples == 0
    assert slept_s == [pytest.approx(0.05)]
    now_s = 10.2  # 150 samples later, of which 50 are asked for and 100 wait
    assert radio.receive(50).lost_samples == 0
    now_s = 10.3  # 200 later: 50 too many
    block = radio.receive(50)
    assert (block.lost_samples, block.sample_index) == (50, 150)
    assert numbers(block.iq[0])[0] == 150
