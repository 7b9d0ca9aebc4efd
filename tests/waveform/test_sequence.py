"""Known sequences keep the correlation properties of the literature."""

import numpy as np
import pytest
from scipy.signal import max_len_seq

from phyemu.errors import ConfigError
from phyemu.waveform import m_sequence, zadoff_chu


@pytest.mark.parametrize(("length", "root"), [(32, 13), (63, 25), (139, 1), (1024, 391)])
def test_zadoff_chu_is_constant_and_white(length: int, root: int) -> None:
    sequence = zadoff_chu(length, root).numpy().astype(complex)
    np.testing.assert_allclose(np.abs(sequence), 1.0, atol=1e-6)
    correlation = [abs(np.vdot(sequence, np.roll(sequence, k))) for k in range(1, length)]
    # complex64 rounding of each of `length` products.
    assert max(correlation) < 1e-6 * length


@pytest.mark.parametrize("degree", range(2, 17))
def test_m_sequences_have_full_period_and_two_valued_correlation(degree: int) -> None:
    bits = m_sequence(degree).numpy()
    assert len(bits) == 2**degree - 1
    signs = 1.0 - 2.0 * bits
    spectrum = np.square(np.abs(np.fft.fft(signs)))
    # Correlation N at 0 and -1 elsewhere: the spectrum is N + 1 everywhere but 1 at 0.
    np.testing.assert_allclose(spectrum[1:], 2.0**degree, rtol=1e-6)
    # As SciPy's: as many ones, also a maximum-length sequence.
    assert bits.sum() == max_len_seq(degree)[0].sum()


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="coprime"):
        zadoff_chu(32, 6)
    with pytest.raises(ConfigError, match="degree"):
        m_sequence(17)
