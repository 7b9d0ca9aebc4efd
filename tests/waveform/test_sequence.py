"""Known sequences keep the correlation properties of the literature."""

import numpy as np
import pytest
from scipy.signal import max_len_seq

from phyemu.errors import ConfigError
from phyemu.waveform import (
    ga128,
    glfsr_sequence,
    golay_pair,
    gold_sequence,
    m_sequence,
    zadoff_chu,
)

# The chips that CaST sends (wineslab/cast 5911477, radio_api/code_sequences), + for 1.
CAST_GLFSR = (
    "+-++---++++-+----++++++++--+----+-+--+++++-+-+-+-+++-----++---+-+-++--++--+-++++++-++++--++-+++"
    "-+++--+-+-+--+-+---+--+-++-+---++--+++--++++---++-++----+---+-+++-+-++++-++-+++++----++-+--++-+"
    "-++-++-+-+-----+--+++-++--+--+--++------+++-+--+---+++---+-------"
)
CAST_GA128 = (
    "++-------+-++--+++--++++-+-+-++---+++++++-+--++-++--++++-+-+-++-++-------+-++--+++--++++-+-+-++-"
    "++-------+-++--+--++----+-+-+--+"
)


def _chips(signs: str) -> list[int]:
    return [1 if sign == "+" else -1 for sign in signs]


def _periodic(a: np.ndarray, b: np.ndarray) -> list[int]:
    product = np.fft.fft(a) * np.fft.fft(b).conj()
    return np.fft.ifft(product).real.round().astype(int).tolist()


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


def test_the_sequences_of_cast_are_made_chip_by_chip() -> None:
    assert glfsr_sequence(8).tolist() == _chips(CAST_GLFSR)
    assert ga128().tolist() == _chips(CAST_GA128)


@pytest.mark.parametrize("degree", range(5, 17))
def test_glfsr_sequences_are_balanced_with_a_two_valued_correlation(degree: int) -> None:
    chips = glfsr_sequence(degree).numpy()
    assert len(chips) == 2**degree - 1
    assert chips.sum() == 1
    assert _periodic(chips, chips) == [len(chips)] + [-1] * (len(chips) - 1)
    # Runs of ones: 2^(degree - 2 - k) of length k (Golomb's second postulate), seen for k = 1.
    ones = chips == 1
    alone = ones & ~np.roll(ones, 1) & ~np.roll(ones, -1)
    assert alone.sum() == 2 ** (degree - 3)


@pytest.mark.parametrize("degree", [5, 6, 7, 9, 10, 11, 13])
def test_gold_sequences_correlate_with_three_values(degree: int) -> None:
    length = 2**degree - 1
    t = 1 + 2 ** ((degree + 2) // 2)
    chosen = [length, length + 1, 0, 1, 2, length // 2, length - 1]
    family = [gold_sequence(degree, index).numpy() for index in chosen]
    values: set[int] = set()
    for one in range(len(family)):
        for other in range(one):
            values |= set(_periodic(family[one], family[other]))
    assert values == {-1, -t, t - 2}


@pytest.mark.parametrize("degree", range(5, 17))
def test_golay_autocorrelations_sum_to_a_pulse(degree: int) -> None:
    pair = [chips.numpy().astype(float) for chips in golay_pair(degree)]
    assert all(set(np.abs(chips)) == {1.0} for chips in pair)
    length = len(pair[0])
    # Aperiodic correlations through FFTs of twice the length: a flat sum of power spectra.
    total = sum(np.square(np.abs(np.fft.fft(chips, 2 * length))) for chips in pair)
    np.testing.assert_allclose(total, 2.0 * length, rtol=1e-9)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="not 8 or 12"):
        gold_sequence(8, 0)
    with pytest.raises(ConfigError, match="index"):
        gold_sequence(5, 33)
    with pytest.raises(ConfigError, match="degree"):
        glfsr_sequence(4)
    with pytest.raises(ConfigError, match="degree"):
        golay_pair(17)
    with pytest.raises(ConfigError, match="coprime"):
        zadoff_chu(32, 6)
    with pytest.raises(ConfigError, match="degree"):
        m_sequence(17)
