"""Sounder bursts are found at any offset, in any blocks, and never in noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.waveform.sounder import SounderFormat, sounder_waveform
from phyemu.waveform.sounder_burst import SounderBurst
from phyemu.waveform.sounder_detection import SounderDetector, agree_on_offset

FORMAT = SounderFormat(sample_rate_hz=20e6, length=512, gap_samples=1536)


def _noise(count: int, seed: int) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)) / np.sqrt(2)


def _stream(
    num_bursts: int, *, cfo_hz: float, snr_db: float, lead: int = 700, seed: int = 0
) -> NDArray[np.complex64]:
    """Return bursts through three paths, turned by the CFO, in noise."""
    burst = sounder_waveform(FORMAT).numpy()
    iq = np.zeros(lead + num_bursts * FORMAT.interval_samples, complex)
    for index in range(num_bursts):
        start = lead + index * FORMAT.interval_samples
        for delay, gain in ((0, 0.8), (7, 0.5j), (60, 0.33)):
            iq[start + delay : start + delay + len(burst)] += gain * burst
    iq *= np.exp(2j * np.pi * cfo_hz / 20e6 * np.arange(len(iq)))
    return (iq + 10 ** (-snr_db / 20) * _noise(len(iq), seed)).astype(np.complex64)


def _detect(iq: NDArray[np.complex64], block: int = 1 << 20) -> list[SounderBurst]:
    detector = SounderDetector(FORMAT)
    found = [b for k in range(0, len(iq), block) for b in detector.process(iq[k : k + block])]
    return found + detector.finish()


@pytest.mark.parametrize("cfo_hz", [-100e3, -19.6e3, 0.0, 100.0, 58_593.75, 99e3])
def test_bursts_are_found_where_they_are_with_their_offset(cfo_hz: float) -> None:
    # 58,593.75 Hz is one and a half bins: the half may round either way from burst to burst.
    iq = _stream(30, cfo_hz=cfo_hz, snr_db=10.0)
    bursts = agree_on_offset(_detect(iq), sounder_format=FORMAT)
    starts = [burst.sample_start for burst in bursts]
    assert starts == [700 + k * FORMAT.interval_samples for k in range(30)]
    assert max(abs(burst.cfo_hz - cfo_hz) for burst in bursts) < 0.02 * FORMAT.bin_spacing_hz


def test_bursts_below_the_noise_agree_on_their_offset() -> None:
    iq = _stream(40, cfo_hz=-71e3, snr_db=-8.0, seed=5)
    bursts = agree_on_offset(_detect(iq), sounder_format=FORMAT)
    assert len(bursts) >= 39
    assert max(abs(burst.cfo_hz + 71e3) for burst in bursts) < 0.1 * FORMAT.bin_spacing_hz
    assert np.median([burst.confidence for burst in bursts]) < 0.3


@pytest.mark.parametrize("block", [999, 40_000])
def test_any_block_size_gives_the_same_bursts(block: int) -> None:
    iq = _stream(40, cfo_hz=3e4, snr_db=20.0)
    assert [b.sample_start for b in _detect(iq, block)] == [b.sample_start for b in _detect(iq)]


def test_a_burst_cut_by_the_ends_of_the_stream_is_left_out() -> None:
    iq = _stream(3, cfo_hz=0.0, snr_db=20.0)
    cut = iq[1200 : 700 + 2 * FORMAT.interval_samples + 2000]
    assert [b.sample_start for b in _detect(cut)] == [700 + FORMAT.interval_samples - 1200]


def test_noise_and_a_dc_offset_have_no_bursts() -> None:
    # Two blocks of noise agree less than once in 1e12; here are 2000 blocks.
    iq = (_noise(1 << 20, 3) + 0.5).astype(np.complex64)
    assert _detect(iq) == []


def test_a_stream_shorter_than_a_burst_has_none() -> None:
    assert _detect(np.zeros(0, np.complex64)) == []
    assert _detect(_stream(1, cfo_hz=0.0, snr_db=20.0)[:2000]) == []


def test_an_offset_beyond_the_band_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_cfo_hz"):
        SounderDetector(FORMAT, max_cfo_hz=6e6)
