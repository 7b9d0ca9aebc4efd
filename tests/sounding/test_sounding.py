"""A sounding checks its arrays and sums itself up in plain numbers."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.errors import SignalError
from phyemu.sounding import Sounding, on_common_frequencies
from phyemu.sounding.summary import describe, summarise


def make_sounding(num_frames: int = 4) -> Sounding:
    """Return a sounding of two paths of equal power, 100 ns apart."""
    gains = torch.full((num_frames, 2), 0.1, dtype=torch.complex64)
    frequencies = np.arange(-8, 8) * 1e6
    return Sounding(
        probe="sounder",
        sample_rate_hz=20e6,
        bandwidth_hz=16e6,
        center_frequency_hz=2.4e9,
        transmitter=0,
        sample_start=np.arange(num_frames) * 1000,
        time_s=np.arange(num_frames) * 5e-5,
        frequencies_hz=frequencies,
        transfer=np.full((num_frames, 16), 0.2, np.complex64),
        noise_variance=np.full((num_frames, 16), 1e-6),
        cfo_hz=np.arange(num_frames, dtype=float),
        sfo_ppm=np.full(num_frames, np.nan),
        cn0_dbhz=np.full(num_frames, 100.0),
        received_power_dbfs=np.full(num_frames, -14.0),
        noise_floor_dbfs=np.full(num_frames, -60.0),
        confidence=np.ones(num_frames),
        paths=ImpulseResponse(gains, torch.tensor([0.0, 1e-7], dtype=torch.float64), 5e-5),
    )


def test_delay_spread_and_snr_follow_from_their_definitions() -> None:
    sounding = make_sounding()
    # Two equal powers 100 ns apart: half of that.
    np.testing.assert_allclose(sounding.rms_delay_spread_s, 50e-9, rtol=1e-6)
    np.testing.assert_allclose(sounding.snr_db, 100.0 - 10 * np.log10(16e6))


def test_summary_is_plain_and_names_every_link() -> None:
    summary = summarise([make_sounding(), dataclasses.replace(make_sounding(3), transmitter=1)])
    json.dumps(summary)
    assert summary["frames"] == 7
    assert [link["frames"] for link in summary["transmitters"]] == [4, 3]
    assert summary["cfo_hz"]["median"] == 1.5
    assert summary["paths"][1] == {
        "delay_s": pytest.approx(1e-7),
        "gain_db": pytest.approx(-20.0, abs=1e-4),
    }
    lines = describe([make_sounding()])
    assert len(lines) == 3
    assert "4 sounder frames" in lines[0]
    with pytest.raises(SignalError, match="no sounding"):
        summarise([])


@pytest.mark.parametrize("name", ["transfer", "noise_variance", "cfo_hz", "time_s", "confidence"])
def test_a_field_of_another_length_is_refused_by_name(name: str) -> None:
    sounding = make_sounding()
    with pytest.raises(SignalError, match=name):
        dataclasses.replace(sounding, **{name: getattr(sounding, name)[:2]})


def test_no_frames_are_no_sounding() -> None:
    with pytest.raises(SignalError, match="at least one frame"):
        dataclasses.replace(make_sounding(), sample_start=np.zeros(0, np.int64))


def test_selected_frames_keep_their_order_and_paths() -> None:
    chosen = make_sounding(6).select(np.array([4, 1]))
    assert chosen.cfo_hz.tolist() == [4.0, 1.0]
    assert chosen.sample_start.tolist() == [4000, 1000]
    assert chosen.paths.gains.shape == (2, 2)


def test_soundings_are_brought_to_the_frequencies_that_all_measure() -> None:
    wide, narrow = make_sounding(), make_sounding()
    index = np.arange(2, 14)
    narrow = dataclasses.replace(
        narrow,
        frequencies_hz=narrow.frequencies_hz[index],
        transfer=narrow.transfer[:, index],
        noise_variance=narrow.noise_variance[:, index],
        bandwidth_hz=12e6,
    )
    first, second = on_common_frequencies([wide, narrow])
    np.testing.assert_array_equal(first.frequencies_hz, narrow.frequencies_hz)
    assert first.transfer.shape == (4, 12)
    assert first.bandwidth_hz == pytest.approx(12e6)
    assert second is narrow
    other = dataclasses.replace(wide, frequencies_hz=wide.frequencies_hz + 0.5e6)
    assert on_common_frequencies([wide, other]) == [wide, other]
