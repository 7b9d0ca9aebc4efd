"""LS responses of bursts against the channel that was put in."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.sounding.burst_estimate import estimate_bursts, estimate_repetitions
from phyemu.waveform.sounder import (
    SounderFormat,
    chip_sounder,
    sounder_bins,
    sounder_waveform,
)

FORMAT = SounderFormat(sample_rate_hz=20e6, length=256, repetitions=9, gap_samples=512)
TAPS = {0: 0.8, 3: 0.5j, 40: -0.2}


def _bursts(count: int, *, cfo_hz: float, noise: float, seed: int = 1) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    burst = sounder_waveform(FORMAT).numpy()
    clean = np.zeros(len(burst), complex)
    for delay, gain in TAPS.items():
        clean[delay:] += gain * burst[: len(burst) - delay]
    clean *= np.exp(2j * np.pi * cfo_hz / 20e6 * np.arange(len(burst)))
    shape = (count, len(burst))
    added = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (clean + np.sqrt(noise / 2) * added).astype(np.complex64)


def _truth() -> NDArray[np.complex128]:
    bins = sounder_bins(FORMAT).numpy()
    response = np.zeros(len(bins), complex)
    for delay, gain in TAPS.items():
        response += gain * np.exp(-2j * np.pi * bins * delay / 256)
    return response


def test_response_is_exact_without_noise() -> None:
    estimates = estimate_bursts(_bursts(2, cfo_hz=3e3, noise=0.0), FORMAT, cfo_hz=np.full(2, 3e3))
    np.testing.assert_allclose(estimates.transfer, np.stack([_truth()] * 2), atol=2e-5)


@pytest.mark.parametrize("error_hz", [0.0, 5e3, -15e3])
def test_errors_are_as_large_as_they_claim(error_hz: float) -> None:
    # The bin is 78 kHz wide: a rough offset may be wrong by a quarter of that.
    count, noise = 200, 0.1
    iq = _bursts(count, cfo_hz=42e3, noise=noise)
    estimates = estimate_bursts(iq, FORMAT, cfo_hz=np.full(count, 42e3 + error_hz))
    # Noise variance over 8 averaged repetitions of a flat spectrum: noise / 8 per bin.
    assert estimates.noise_variance.mean() == pytest.approx(noise / 8, rel=5 / np.sqrt(200 * 1700))
    phase = np.angle(np.sum(estimates.transfer * _truth().conj(), axis=1))
    error = estimates.transfer * np.exp(-1j * phase)[:, None] - _truth()
    assert np.mean(np.abs(error) ** 2) == pytest.approx(noise / 8, rel=0.05)
    offsets = (estimates.cfo_hz - 42e3) / estimates.cfo_std_hz
    assert abs(offsets.mean()) < 5 / np.sqrt(count)
    assert offsets.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * count))


def test_a_batch_equals_its_singles() -> None:
    iq = _bursts(3, cfo_hz=1e3, noise=0.01)
    batch = estimate_bursts(iq, FORMAT, cfo_hz=np.full(3, 1e3))
    for index in range(3):
        single = estimate_bursts(iq[index : index + 1], FORMAT, cfo_hz=np.full(1, 1e3))
        np.testing.assert_allclose(single.transfer[0], batch.transfer[index], atol=1e-6)


def test_bursts_of_another_length_are_refused() -> None:
    with pytest.raises(SignalError, match="bursts must be"):
        estimate_bursts(np.zeros((1, 100), np.complex64), FORMAT, cfo_hz=np.zeros(1))


def _chips(kind: str, *, continuous: bool) -> SounderFormat:
    return chip_sounder(
        20e6,
        kind,
        degree=7,
        index=0,
        samples_per_chip=2,
        repetitions=8,
        gap_samples=0 if continuous else None,
    )


FORMATS = {
    "zadoff-chu": FORMAT,
    "part of the band": SounderFormat(
        sample_rate_hz=20e6, length=256, gap_samples=512, bandwidth_hz=10e6
    ),
    **{
        f"{kind} {'without end' if continuous else 'in bursts'}": _chips(
            kind, continuous=continuous
        )
        for kind in ("glfsr", "gold", "golay", "ga128")
        for continuous in (False, True)
    },
}


def _received(
    sounder: SounderFormat, count: int, *, cfo_hz: float, noise: float, seed: int = 1
) -> NDArray[np.complex64]:
    """Return bursts through the taps; what is sent without end has been sent before."""
    rng = np.random.default_rng(seed)
    burst = sounder_waveform(sounder).numpy()
    clean = np.zeros(len(burst), complex)
    before = burst if sounder.is_continuous else np.zeros_like(burst)
    for delay, gain in TAPS.items():
        clean += gain * np.concatenate([before, burst])[len(burst) - delay :][: len(burst)]
    clean *= np.exp(2j * np.pi * cfo_hz / 20e6 * np.arange(len(burst)))
    shape = (count, len(burst))
    added = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (clean + np.sqrt(noise / 2) * added).astype(np.complex64)


def _response(sounder: SounderFormat) -> NDArray[np.complex128]:
    bins = sounder_bins(sounder).numpy()
    return np.sum(
        [g * np.exp(-2j * np.pi * bins * d / sounder.length) for d, g in TAPS.items()], axis=0
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sfo_ppm", [0.0, 1e-6])
def test_every_sequence_shows_the_response_exactly(name: str, sfo_ppm: float) -> None:
    # A sampling offset, however small, takes the way over spectra; the other stays in time.
    sounder = FORMATS[name]
    iq = _received(sounder, 2, cfo_hz=3e3, noise=0.0)
    estimates = estimate_bursts(iq, sounder, cfo_hz=np.full(2, 3e3), sfo_ppm=sfo_ppm)
    truth = np.stack([_response(sounder)] * 2)
    # Bins with 1/16 of the power carry four times the rounding of complex64.
    np.testing.assert_allclose(estimates.transfer, truth, atol=1e-4)
    assert np.abs(estimates.cfo_hz - 3e3).max() < 1.0
    assert np.abs(estimates.phase_rad).max() < 1e-4


@pytest.mark.parametrize("name", FORMATS)
def test_the_error_of_every_frequency_is_as_large_as_it_claims(name: str) -> None:
    sounder, count, noise = FORMATS[name], 300, 0.1
    iq = _received(sounder, count, cfo_hz=42e3, noise=noise)
    estimates = estimate_bursts(iq, sounder, cfo_hz=np.full(count, 42e3 + 3e3))
    assert estimates.sample_noise.mean() == pytest.approx(noise, rel=0.01)
    truth = _response(sounder)
    weight = 1.0 / estimates.noise_gain
    phase = np.angle((estimates.transfer * truth.conj() * weight).sum(axis=1))
    error = estimates.transfer * np.exp(-1j * phase)[:, None] - truth
    ratio = np.square(np.abs(error)) / estimates.noise_variance
    # |error|^2 / variance is exponential: over frequencies, and each over bursts (six sigma; the
    # phase of each burst that was fitted takes half a degree of freedom of one of the bins).
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    assert np.abs(ratio.mean(axis=0) - 1.0).max() < 6 / np.sqrt(count)
    offsets = (estimates.cfo_hz - 42e3) / estimates.cfo_std_hz
    assert abs(offsets.mean()) < 5 / np.sqrt(count)
    assert offsets.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * count))
    phases = estimates.phase_rad.std(axis=0) / np.sqrt(estimates.phase_variance.mean())
    assert 0.2 < phases.min() < phases.max() < 1.1  # less than 1 by the line that was taken out


@pytest.mark.parametrize("name", [name for name in FORMATS if "golay" not in name])
def test_single_repetitions_average_to_the_burst(name: str) -> None:
    sounder = FORMATS[name]
    iq = _received(sounder, 40, cfo_hz=5e3, noise=1e-4)
    cfo_hz = np.full(40, 5e3)
    single = estimate_repetitions(iq, sounder, cfo_hz=cfo_hz)
    assert single.shape[1] == sounder.repetitions - sounder.guard_repetitions
    mean = estimate_bursts(iq, sounder, cfo_hz=cfo_hz).transfer
    # The burst also removes a phase per repetition: 1 % of noise turns it by some 1e-3 rad.
    np.testing.assert_allclose(single.mean(axis=1), mean, atol=5e-3)
    truth = _response(sounder)
    spread = np.square(np.abs(single - truth)).mean(axis=(0, 1))
    expected = 1e-4 * estimate_bursts(iq, sounder, cfo_hz=cfo_hz).noise_gain * single.shape[1]
    np.testing.assert_allclose(spread, expected, rtol=6 / np.sqrt(40 * single.shape[1]))


def test_single_repetitions_of_a_pair_are_refused() -> None:
    sounder = FORMATS["golay in bursts"]
    with pytest.raises(SignalError, match="use estimate_bursts"):
        estimate_repetitions(
            np.zeros((1, sounder.burst_samples), np.complex64), sounder, cfo_hz=np.zeros(1)
        )
