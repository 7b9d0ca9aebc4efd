"""Repeated chips are found at any offset, in any blocks, as they drift, and never in noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.waveform import ChipDetector, SounderBurst, SounderFormat
from phyemu.waveform.sounder import chip_sounder, sounder_waveform

RATE = 20e6
KINDS = ["glfsr", "gold", "golay", "ga128"]


def _sounder(kind: str, *, continuous: bool) -> SounderFormat:
    return chip_sounder(
        RATE,
        kind,
        degree=7,
        index=0,
        samples_per_chip=2,
        repetitions=8,
        gap_samples=0 if continuous else None,
    )


def _noise(count: int, seed: int) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)) / np.sqrt(2)


def _stream(
    sounder: SounderFormat,
    num_bursts: int,
    *,
    cfo_hz: float,
    snr_db: float,
    lead: int = 700,
    seed: int = 0,
) -> NDArray[np.complex64]:
    """Return bursts through three paths, turned by the CFO, in noise, with a DC offset."""
    burst = np.concatenate([sounder_waveform(sounder).numpy(), np.zeros(sounder.gap_samples)])
    sent = np.concatenate([np.zeros(lead), np.tile(burst, num_bursts), np.zeros(400)])
    iq = np.zeros(len(sent), complex)
    for delay, gain in ((0, 0.8), (7, 0.5j), (60, 0.33)):
        iq[delay:] += gain * sent[: len(sent) - delay]
    iq *= np.exp(2j * np.pi * cfo_hz / RATE * np.arange(len(iq)))
    return (iq + 10 ** (-snr_db / 20) * _noise(len(iq), seed) + 0.02).astype(np.complex64)


def _detect(
    sounder: SounderFormat, iq: NDArray[np.complex64], block: int = 1 << 20
) -> list[SounderBurst]:
    detector = ChipDetector(sounder)
    found = [b for k in range(0, len(iq), block) for b in detector.process(iq[k : k + block])]
    return found + detector.finish()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cfo_hz", [-100e3, 0.0, 39.37e3, 99e3])
def test_bursts_are_found_where_they_are_with_their_offset(kind: str, cfo_hz: float) -> None:
    # 39.37 kHz is half a bin of the longer periods.
    sounder = _sounder(kind, continuous=False)
    bursts = _detect(sounder, _stream(sounder, 30, cfo_hz=cfo_hz, snr_db=10.0))
    starts = [burst.sample_start for burst in bursts]
    assert starts == [700 + k * sounder.interval_samples for k in range(30)]
    assert max(abs(burst.cfo_hz - cfo_hz) for burst in bursts) < 0.02 * sounder.bin_spacing_hz


@pytest.mark.parametrize("kind", ["glfsr", "gold", "ga128"])
@pytest.mark.parametrize("cfo_hz", [-99e3, 0.0, 39.37e3])
def test_repetition_without_end_is_cut_into_frames(kind: str, cfo_hz: float) -> None:
    sounder = _sounder(kind, continuous=True)
    bursts = _detect(sounder, _stream(sounder, 60, cfo_hz=cfo_hz, snr_db=10.0))
    starts = np.array([burst.sample_start for burst in bursts])
    # The frames that hold the beginning and the end of the transmission may be missing.
    assert len(starts) >= 58
    assert set(np.diff(starts).tolist()) == {sounder.burst_samples}
    assert set(((starts - 700) % sounder.length).tolist()) == {0}
    assert starts[0] > 700 - sounder.length // 8
    assert max(abs(burst.cfo_hz - cfo_hz) for burst in bursts) < 0.02 * sounder.bin_spacing_hz


def test_a_pair_without_end_is_found_where_it_begins_anew() -> None:
    sounder = _sounder("golay", continuous=True)
    bursts = _detect(sounder, _stream(sounder, 60, cfo_hz=20e3, snr_db=10.0))
    starts = np.array([burst.sample_start for burst in bursts])
    assert len(starts) >= 59
    assert set(((starts - 700) % sounder.burst_samples).tolist()) == {0}


@pytest.mark.parametrize("continuous", [False, True])
def test_chips_below_the_noise_are_found(continuous: bool) -> None:
    sounder = _sounder("glfsr", continuous=continuous)
    bursts = _detect(sounder, _stream(sounder, 100, cfo_hz=-71e3, snr_db=-4.0, seed=5))
    assert len(bursts) >= 97
    assert max(abs(burst.cfo_hz + 71e3) for burst in bursts) < 0.1 * sounder.bin_spacing_hz


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("block", [999, 40_000])
def test_any_block_size_gives_the_same_bursts(continuous: bool, block: int) -> None:
    sounder = _sounder("glfsr", continuous=continuous)
    iq = _stream(sounder, 200, cfo_hz=3e4, snr_db=20.0)
    expected = [(b.sample_start, b.cfo_hz) for b in _detect(sounder, iq)]
    assert [(b.sample_start, b.cfo_hz) for b in _detect(sounder, iq, block)] == expected


@pytest.mark.parametrize("sfo_ppm", [-200.0, 200.0])
def test_frames_follow_a_drifting_delay_without_a_jump(sfo_ppm: float) -> None:
    # 2 M samples at 200 ppm drift by 400 samples, more than the period of 254.
    sounder = _sounder("glfsr", continuous=True)
    period = sounder_waveform(sounder).numpy()[: sounder.length]
    # Held chips, read at another clock: the sample at t is that of floor(t).
    clock = np.arange(2_000_000) * (1.0 + sfo_ppm * 1e-6)
    iq = period[np.floor(clock).astype(int) % sounder.length]
    iq = (iq + 0.1 * _noise(len(iq), 1)).astype(np.complex64)
    starts = np.array([burst.sample_start for burst in _detect(sounder, iq)])
    steps = np.diff(starts)
    assert np.abs(steps - sounder.burst_samples).max() <= 2
    drift = (starts[-1] - starts[0]) / (len(steps) * sounder.burst_samples) - 1.0
    assert drift == pytest.approx(-sfo_ppm * 1e-6, abs=3e-6)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("tone", [0.0, 3.0])
def test_noise_a_dc_offset_and_a_tone_have_no_bursts(continuous: bool, tone: float) -> None:
    sounder = _sounder("glfsr", continuous=continuous)
    n = np.arange(1 << 20)
    # A tone repeats every period, so the first gate lets it pass; the sequence is not in it.
    iq = _noise(len(n), 3) + 0.5 + tone * np.exp(2j * np.pi * n * 5 / sounder.length)
    assert _detect(sounder, iq.astype(np.complex64)) == []


def test_another_sequence_of_the_same_length_is_not_taken_for_it() -> None:
    sent = _sounder("gold", continuous=True)
    assert (
        _detect(_sounder("glfsr", continuous=True), _stream(sent, 60, cfo_hz=0.0, snr_db=0.0)) == []
    )


def test_gold_sequences_do_not_pass_for_one_another() -> None:
    one, other = (
        chip_sounder(
            RATE,
            "gold",
            degree=7,
            index=index,
            samples_per_chip=2,
            repetitions=8,
            gap_samples=0,
        )
        for index in (3, 90)
    )
    iq = _stream(one, 60, cfo_hz=0.0, snr_db=30.0)
    assert len(_detect(one, iq)) >= 58
    assert _detect(other, iq) == []


def test_a_stream_shorter_than_a_burst_has_none() -> None:
    sounder = _sounder("glfsr", continuous=False)
    assert _detect(sounder, np.zeros(0, np.complex64)) == []
    assert _detect(sounder, _stream(sounder, 1, cfo_hz=0.0, snr_db=20.0)[:2000]) == []


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="SounderDetector"):
        ChipDetector(SounderFormat(sample_rate_hz=RATE))
    with pytest.raises(ConfigError, match="max_cfo_hz"):
        ChipDetector(_sounder("glfsr", continuous=True), max_cfo_hz=6e6)
