"""Known samples are found in a stream at any offset, and never in noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.waveform.reference_detection import ReferenceDetector, ReferenceHit

RATE = 20e6


def _noise(count: int, seed: int) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)) / np.sqrt(2)


def _detect(
    known: NDArray[np.complex64], iq: NDArray[np.complex128], block: int
) -> list[ReferenceHit]:
    detector = ReferenceDetector(known, sample_rate_hz=RATE)
    stream = iq.astype(np.complex64)
    hits = [h for k in range(0, len(iq), block) for h in detector.process(stream[k : k + block])]
    return hits + detector.finish()


@pytest.mark.parametrize("cfo_hz", [-100e3, 0.0, 43e3])
def test_occurrences_are_found_with_their_offset(cfo_hz: float) -> None:
    known = _noise(512, 1).astype(np.complex64)
    iq = 0.5 * _noise(90_000, 2)
    starts = [0, 5000, 32_700, 33_500, 89_000]
    for start in starts:
        turn = np.exp(2j * np.pi * cfo_hz / RATE * np.arange(512))
        iq[start : start + 512] += known * turn
    for block in (4000, 90_000):
        hits = _detect(known, iq, block)
        assert [hit.sample_start for hit in hits] == starts
        # Chunks of 60 samples at 6 dB: the phase step has an error of about 0.03 rad.
        assert max(abs(hit.cfo_hz - cfo_hz) for hit in hits) < 5 * 0.03 / (2 * np.pi) * RATE / 60


def test_noise_has_no_hits() -> None:
    # 1e-13 per position by the bound in the module.
    assert _detect(_noise(256, 1).astype(np.complex64), _noise(300_000, 4), 1 << 20) == []


def test_short_and_silent_references_are_refused() -> None:
    with pytest.raises(SignalError, match="at least 128 samples"):
        ReferenceDetector(np.ones(10, np.complex64), sample_rate_hz=RATE)
    with pytest.raises(SignalError, match="only zeros"):
        ReferenceDetector(np.zeros(256, np.complex64), sample_rate_hz=RATE)
