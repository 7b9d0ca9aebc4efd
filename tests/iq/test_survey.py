"""Statistics of all samples: power, clipping, DC, spectrum."""

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from phyemu.errors import RecordingError
from phyemu.iq import SampleSurvey, open_recording, survey_samples, write_recording

RATE_HZ = 20e6


def survey(
    tmp_path: Path, iq: np.ndarray, datatype: str = "cf32_le", channel: int = 0
) -> SampleSurvey:
    path = write_recording(
        tmp_path / "r", iq, sample_rate_hz=RATE_HZ, datatype=datatype, force=True
    )
    with open_recording(path) as recording:
        return survey_samples(recording, channel=channel)


def white(size: int, variance: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(size)
    noise = rng.standard_normal((size, 2)) @ [1, 1j]
    return (noise * math.sqrt(variance / 2)).astype(np.complex64)


@pytest.mark.parametrize("size", [1, 100, 1023, 1024, 100_000])
def test_power_peak_and_dc_are_those_of_numpy(tmp_path: Path, size: int) -> None:
    iq = white(size, 0.01) + np.complex64(0.02 - 0.01j)
    result = survey(tmp_path, iq)
    exact = iq.astype(np.complex128)
    power, peak = np.mean(np.abs(exact) ** 2), np.max(np.abs(exact) ** 2)
    # Squares are single precision, sums are double.
    assert result.power_dbfs == pytest.approx(10 * np.log10(power), abs=1e-5)
    assert result.peak_dbfs == pytest.approx(10 * np.log10(peak), abs=1e-5)
    assert result.dc_offset == pytest.approx(exact.mean(), abs=1e-12)


def test_a_tone_stands_at_its_frequency_with_its_power(tmp_path: Path) -> None:
    # Bin 100 of 1024, so that the Hann window reads its power exactly.
    tone = 0.5 * np.exp(2j * np.pi * 100 / 1024 * np.arange(1 << 16))
    result = survey(tmp_path, tone.astype(np.complex64))
    best = int(result.density_db_per_hz.argmax())
    assert result.frequencies_hz[best] == pytest.approx(100 / 1024 * RATE_HZ)
    assert result.power_dbfs == pytest.approx(20 * math.log10(0.5), abs=1e-4)
    assert result.spectrogram_db[best] == pytest.approx(20 * math.log10(0.5), abs=1e-4)
    # Hann spreads a tone over three bins, 99 % of it within the outer ones.
    assert result.occupied_bandwidth_hz < 3 * RATE_HZ / 1024


def test_the_density_is_that_of_scipys_welch(tmp_path: Path) -> None:
    iq = white(300_000) * np.exp(1j)
    result = survey(tmp_path, iq.astype(np.complex64))
    whole = iq[: iq.size // 1024 * 1024].astype(np.complex64)
    _, density = scipy.signal.welch(
        whole, RATE_HZ, "hann", 1024, 0, detrend=False, return_onesided=False
    )
    expected = 10 * np.log10(np.fft.fftshift(density))
    assert result.density_db_per_hz == pytest.approx(expected, abs=1e-4)
    # White noise of unit variance has 1 / RATE_HZ per hertz.
    mean = np.mean(10 ** (result.density_db_per_hz / 10))
    assert mean * RATE_HZ == pytest.approx(1.0, rel=5 / math.sqrt(iq.size))


@pytest.mark.parametrize(("width_hz", "centre_hz"), [(2e6, 0.0), (5e6, -3e6), (16e6, 1e6)])
def test_occupied_bandwidth_holds_99_percent(
    tmp_path: Path, width_hz: float, centre_hz: float
) -> None:
    # Noise that is flat within the band and nothing outside, made in the frequency domain.
    size = 1 << 18
    frequencies_hz = np.fft.fftfreq(size, 1 / RATE_HZ)
    spectrum = np.fft.fft(white(size)) * (np.abs(frequencies_hz - centre_hz) <= width_hz / 2)
    result = survey(tmp_path, (0.1 * np.fft.ifft(spectrum)).astype(np.complex64))
    # Off by the window's spread at either edge (two bins), and by the noise's own fluctuation:
    # a share of 1/2 % of the band is estimated from 1/200 of the samples in it.
    share = 0.005 * size * width_hz / RATE_HZ
    fluctuation_hz = 0.005 * width_hz * 5 / math.sqrt(share)
    tolerance_hz = 2 * (2 * RATE_HZ / 1024 + fluctuation_hz)
    assert result.occupied_bandwidth_hz == pytest.approx(0.99 * width_hz, abs=tolerance_hz)


def test_the_spectrogram_shows_when_a_burst_is_sent(tmp_path: Path) -> None:
    iq = np.zeros(1024 * 2000, np.complex64)
    iq[1024 * 500 : 1024 * 700] = 0.5
    result = survey(tmp_path, iq)
    assert result.spectrogram_db.shape == (1024, 500)  # four transforms in a column
    assert result.times_s == pytest.approx((np.arange(500) + 0.5) * 4096 / RATE_HZ)
    dc_db = result.spectrogram_db[512]
    active = dc_db > -20
    assert np.flatnonzero(active).tolist() == list(range(125, 175))
    assert dc_db[active] == pytest.approx(20 * math.log10(0.5), abs=1e-4)
    assert np.all(dc_db[~active] == -200.0)


@pytest.mark.parametrize(
    ("datatype", "values", "clipped"),
    [
        ("ci8", [1.0, -1.0, 1j, -2 - 2j, 126 / 128, -126 / 128, 0], 4),
        ("cu8", [1.0, -1.0, 126 / 128, 0], 2),
        ("ci16_le", [1.0, 5j, (2**15 - 2) / 2**15], 2),
        ("cf32_le", [1.0, -1j, 3 + 3j, 0.9999], 3),
    ],
)
def test_samples_at_the_end_of_the_range_are_clipped(
    tmp_path: Path, datatype: str, values: list[complex], clipped: int
) -> None:
    assert survey(tmp_path, np.array(values, np.complex64), datatype).num_clipped == clipped


def test_silence_has_no_power_and_no_bandwidth(tmp_path: Path) -> None:
    result = survey(tmp_path, np.zeros(5000, np.complex64), "ci16_le")
    assert result.power_dbfs == result.peak_dbfs == -math.inf
    assert math.isnan(result.occupied_bandwidth_hz)
    assert np.all(np.isfinite(result.spectrogram_db))


def test_channels_are_surveyed_apart(tmp_path: Path) -> None:
    iq = np.array([[0.5] * 3000, [0.25j] * 3000], np.complex64)
    assert survey(tmp_path, iq, channel=0).dc_offset == pytest.approx(0.5)
    assert survey(tmp_path, iq, channel=1).dc_offset == pytest.approx(0.25j)
    with pytest.raises(RecordingError, match="no channel 2"):
        survey(tmp_path, iq, channel=2)


def test_progress_reaches_the_end_and_memory_is_bounded(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "r", np.zeros(10, np.complex64), sample_rate_hz=1.0)
    peaks, steps = [], []
    for size in (1 << 20, 1 << 23):
        with path.with_suffix(".sigmf-data").open("r+b") as file:
            file.truncate(4 * size)
        with open_recording(path) as recording:
            tracemalloc.start()
            survey_samples(
                recording, progress=lambda stage, done, total, note="": steps.append((done, total))
            )
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert steps[-1] == (size, size)
    assert peaks[1] < 1.1 * peaks[0]


def test_a_bad_sample_is_named(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "r", np.ones(3000, np.complex64), sample_rate_hz=1.0, datatype="cf32_le"
    )
    data = bytearray(path.with_suffix(".sigmf-data").read_bytes())
    data[8 * 2000 : 8 * 2000 + 4] = np.float32(np.nan).tobytes()
    path.with_suffix(".sigmf-data").write_bytes(data)
    with (
        open_recording(path) as recording,
        pytest.raises(RecordingError, match="sample 2000 is NaN"),
    ):
        survey_samples(recording)
