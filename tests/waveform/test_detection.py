"""Detection of preambles: what is found, and what noise passes for."""

import numpy as np
import pytest
import torch
from scipy.stats import beta, poisson

from phyemu.errors import ConfigError
from phyemu.waveform import FrameFormat, build_frame, preamble_points, psk
from phyemu.waveform.detection import PreambleDetector
from phyemu.waveform.pulse import shape_pulses

FORMAT = FrameFormat()
START = 1500


def _detector(rate: float = 1e-12) -> PreambleDetector:
    return PreambleDetector(FORMAT, max_cfo_hz=100e3, false_alarm_rate=rate)


def _noise(rng: np.random.Generator, count: int) -> np.ndarray:
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)) / np.sqrt(2)


def _frame() -> np.ndarray:
    payload = psk(4).points[torch.arange(400) * 7 % 4]
    return build_frame(payload, frame_index=1, frame_format=FORMAT).numpy()


@pytest.mark.parametrize("cfo_hz", [-100e3, 0.0, 37e3, 100e3])
def test_a_frame_at_0_db_is_found_where_it_is(cfo_hz: float) -> None:
    rng = np.random.default_rng(1)
    frame = _frame()
    for _ in range(20):
        iq = _noise(rng, 6000)
        turns = cfo_hz / 20e6 * np.arange(len(frame))
        iq[START : START + len(frame)] += frame * np.exp(2j * np.pi * turns)
        found = _detector().search(iq.astype(np.complex64), 6000 - _detector().overlap)
        assert found is not None
        assert abs(found.sample_start - START) <= 1
        # The bound of Cramer and Rao is 2.4 kHz here (128 symbols at 0 dB); allow five of it.
        assert found.cfo_hz == pytest.approx(cfo_hz, abs=12e3)


def test_confidence_is_the_part_of_the_energy() -> None:
    rng = np.random.default_rng(2)
    iq = _noise(rng, 6000) * 0.1
    frame = _frame()
    iq[START : START + len(frame)] += frame
    found = _detector().search(iq.astype(np.complex64), 6000 - _detector().overlap)
    assert found is not None
    # Behind the matched filter the preamble holds 128 symbols of energy 1 (up to 7 % less, as
    # between its symbols the pulses do not reach 1), and 128 of noise of 1 %.
    assert found.confidence == pytest.approx(128 / (128 + 128 * 0.01), abs=0.08)


def test_a_frame_shortly_behind_another_is_found_at_its_beginning() -> None:
    # The end of one frame may open the first gate so early that only the first periods of the next
    # one are in reach, which stand out of a quiet gap well enough to pass.
    rng = np.random.default_rng(12)
    detector, frame = _detector(), _frame()
    for gap in range(40, 640, 20):
        iq = 0.1 * _noise(rng, 6000)
        iq[: len(frame) - 600] += frame[600:]
        start = len(frame) - 600 + gap
        iq[start : start + len(frame)] += frame
        found = detector.search(iq.astype(np.complex64), 6000 - detector.overlap)
        assert found is not None
        assert abs(found.sample_start - start) <= 1, gap


def test_noise_opens_the_gates_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(3)
    template = np.random.default_rng(4).standard_normal(128)
    # The law behind both gates, on plain vectors: the part of white noise on K directions.
    basis = np.linalg.qr(np.stack([np.roll(template, 13 * k) for k in range(4)], axis=1))[0]
    draws = _noise(rng, 40_000 * 128).reshape(40_000, 128)
    part = np.square(np.abs(draws @ basis)).sum(1) / np.square(np.abs(draws)).sum(1)
    threshold = beta.isf(1e-2, 4, 124)
    assert (part > threshold).mean() == pytest.approx(1e-2, abs=5 * np.sqrt(1e-2 / 40_000))


@pytest.mark.parametrize("band", [1.0, 0.8, 0.6, 0.4])
def test_noise_of_any_band_passes_no_more_often_than_stated(band: float) -> None:
    # P(|v^H z|^2 / |v|^2 > t z^H B z) of Gaussian z is a product over the eigenvalues of the
    # difference of both forms, of which one is positive (Imhof, Biometrika 48, 1961).
    rate, pulse = 1e-9, FORMAT.pulse_taps().numpy()
    taps = FORMAT.pulse_taps()
    template = shape_pulses(preamble_points(FORMAT), taps, samples_per_symbol=2).numpy()
    rows = np.zeros((255, len(template)))
    for index in range(255):
        rows[index, index : index + len(pulse)] = pulse
    lags = np.subtract.outer(np.arange(len(template)), np.arange(len(template)))
    levels, basis = np.linalg.eigh(band * np.sinc(band * lags))
    colour = basis * np.sqrt(levels.clip(0))
    part = colour.T @ template
    energy = colour.T @ (rows.T @ rows / 2) @ colour
    form = np.outer(part, part.conj()) / np.vdot(template, template).real
    values = np.linalg.eigvalsh(form - _detector(rate)._second_threshold * energy)
    exceeds = np.exp(-np.log1p(np.abs(values[:-1]) / values[-1]).sum())
    # The threshold allows for 16 candidates; seen over all samples instead of one a symbol, the
    # energy is smaller by up to 7 %, which is a factor of 1.6 of the 16.
    assert 0.1 * rate < 16 * exceeds < 2.0 * rate


def test_other_signals_of_the_same_band_pass_no_more_often_than_noise() -> None:
    # Compared with the energy of the whole sampled band, half of these windows held a preamble.
    detector, starts, rate = _detector(1e-5), 512, 1e-5
    rng = np.random.default_rng(8)
    for order in (2, 4, 16):
        symbols = torch.from_numpy(rng.integers(0, order, (200, 800)))
        iq = shape_pulses(psk(order).points[symbols], FORMAT.pulse_taps(), samples_per_symbol=2)
        found = detector.search_each(iq.numpy()[:, 32 : 32 + starts + detector.overlap], starts)
        assert found.found.sum() <= poisson.ppf(0.9999, rate * starts * 200)


def test_false_alarms_are_as_rare_as_stated() -> None:
    detector, starts, rate = _detector(1e-5), 1 << 14, 1e-5
    rng = np.random.Generator(np.random.SFC64(9))
    alarms = 0
    for _ in range(600):
        count = starts + detector.overlap
        iq = rng.standard_normal(2 * count, dtype=np.float32).view(np.complex64)
        alarms += detector.search(iq, starts) is not None
    # A window ends at its first alarm: one in seven would have another.
    assert 0 < alarms <= poisson.ppf(0.9999, rate * starts * 600)


def test_a_chance_opening_before_a_frame_does_not_hide_its_peak() -> None:
    # Half of the preamble on the template's other half explains up to half of a window's energy.
    detector = _detector()
    frame = _frame()
    iq = 0.1 * _noise(np.random.default_rng(10), 6000)
    iq[START : START + len(frame)] += frame
    window = iq.astype(np.complex64)
    correlation, filtered = detector._filter(window, 4000)
    energy = detector._window_energy(filtered, 3000)
    seen = [
        detector._confirm(window, correlation, energy, opening)
        for opening in range(START - 420, START - 180, 7)
    ]
    starts = [found.sample_start for found in seen if found is not None]
    assert len(starts) > 10
    assert max(abs(start - START) for start in starts) <= 1


@pytest.mark.parametrize("colour", ["white", "band-limited", "with DC"])
def test_a_second_of_noise_at_two_megasamples_holds_no_frame(colour: str) -> None:
    rng = np.random.default_rng(5)
    detector = _detector()
    starts = 1 << 17
    for _ in range(5):
        iq = _noise(rng, starts + detector.overlap)
        if colour == "band-limited":
            spectrum = np.fft.fft(iq)
            spectrum[np.abs(np.fft.fftfreq(len(iq))) > 0.4] = 0
            iq = np.fft.ifft(spectrum)
        if colour == "with DC":
            iq += 3.0
        assert detector.search(iq.astype(np.complex64), starts) is None


def test_silence_holds_no_frame() -> None:
    detector = _detector()
    assert detector.search(np.zeros(4096 + detector.overlap, np.complex64), 4096) is None


def test_gain_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    iq = _noise(rng, 6000)
    frame = _frame()
    iq[START : START + len(frame)] += frame
    loud = _detector().search((1e3 * iq).astype(np.complex64), 6000 - _detector().overlap)
    quiet = _detector().search((1e-6 * iq).astype(np.complex64), 6000 - _detector().overlap)
    assert loud is not None
    assert quiet is not None
    assert loud.sample_start == quiet.sample_start
    assert loud.confidence == pytest.approx(quiet.confidence, rel=1e-3)


def test_the_end_of_a_frame_before_does_not_hide_the_beginning() -> None:
    rng = np.random.default_rng(12)
    detector, frame = _detector(), _frame()
    for gap in range(40, 640, 20):
        iq = 0.1 * _noise(rng, 6000)
        start = len(frame) - 600 + gap
        iq[: len(frame) - 600] += frame[600:]
        iq[start : start + len(frame)] += frame
        found = detector.search(iq.astype(np.complex64), 6000 - detector.overlap)
        assert found is not None
        assert abs(found.sample_start - start) <= 1, gap


def test_the_cover_tells_repetitions_apart() -> None:
    points = preamble_points(FORMAT).reshape(4, 32)
    assert torch.equal(points[0], points[1])
    assert torch.equal(points[2], -points[1])


def test_bad_settings_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="shorten preamble_period"):
        PreambleDetector(FORMAT, max_cfo_hz=200e3, false_alarm_rate=1e-12)
    with pytest.raises(ConfigError, match="false_alarm_rate"):
        PreambleDetector(FORMAT, max_cfo_hz=1e3, false_alarm_rate=0.0)


@pytest.mark.parametrize("snr_db", [-9.0, -6.0, 3.0])
def test_each_of_several_windows_is_searched_as_one(snr_db: float) -> None:
    rng = np.random.default_rng(7)
    detector = _detector()
    frame = _frame()
    windows = np.sqrt(10 ** (-snr_db / 10)) * np.stack([_noise(rng, 1500) for _ in range(24)])
    for row, start in enumerate(rng.integers(0, 900, 16)):  # eight rows are noise alone
        stop = min(start + len(frame), 1500)
        turns = np.exp(2j * np.pi * rng.uniform(-5e-3, 5e-3) * np.arange(len(frame)))
        windows[row, start:stop] += (frame * turns)[: stop - start]
    rows = windows.astype(np.complex64)
    num_starts = 1500 - detector.overlap
    found = detector.search_each(rows, num_starts)
    for row in range(24):
        alone = detector.search(rows[row], num_starts)
        assert found.found[row] == (alone is not None)
        if alone is not None:
            assert found.sample_start[row] == alone.sample_start
            assert found.cfo_hz[row] == pytest.approx(alone.cfo_hz)
