"""The Viterbi decoder undoes the standard's encoder, and reaches the code's known error rate."""

from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest

from phyemu.errors import ConfigError
from phyemu.wifi.convolutional_code import CODE_RATES, depunctured, viterbi


@pytest.mark.parametrize("rate", CODE_RATES, ids=str)
def test_coded_bits_decode_to_what_was_encoded(
    rate: Fraction, wifi_transmitter: ModuleType
) -> None:
    # 120 bits fill whole periods of every puncturing pattern.
    bits = [*np.random.default_rng(1).integers(0, 2, 114).tolist(), *[0] * 6]
    sent = wifi_transmitter.puncture(wifi_transmitter.encode(bits), str(rate))
    assert len(sent) == 120 / rate
    soft = depunctured(2.0 * np.array(sent, np.float32) - 1.0, rate)
    assert viterbi(soft, terminated=True).tolist() == bits
    assert viterbi(soft, terminated=False)[:90].tolist() == bits[:90]


def test_errors_within_half_the_free_distance_are_corrected(wifi_transmitter: ModuleType) -> None:
    # The free distance of the code is 10: any four wrong bits are corrected.
    bits = [*np.random.default_rng(2).integers(0, 2, 60).tolist(), *[0] * 6]
    clean = 2.0 * np.array(wifi_transmitter.encode(bits), np.float32) - 1.0
    rng = np.random.default_rng(3)
    for _ in range(200):
        soft = clean.copy()
        first = int(rng.integers(0, len(soft) - 12))
        soft[first + rng.choice(12, 4, replace=False)] *= -1
        assert viterbi(soft, terminated=True).tolist() == bits


def test_the_error_rate_is_that_of_the_code(wifi_transmitter: ModuleType) -> None:
    # Soft decisions at Eb/N0 = 3 dB. Union bound sum_d c_d Q(sqrt(d Eb / N0)) over the weights of
    # the code, c_10 = 36, c_12 = 211, c_14 = 1404, c_16 = 11633, c_18 = 77433, c_20 = 502690
    # (Proakis): 5.8e-4, which the rate stays below. A decoder that loses 1 dB exceeds it.
    rng = np.random.default_rng(4)
    bits = [*rng.integers(0, 2, 60_000).tolist(), *[0] * 6]
    sent = 2.0 * np.array(wifi_transmitter.encode(bits)) - 1.0
    sigma = np.sqrt(1 / (2 * 0.5 * 10**0.3))
    soft = (sent + sigma * rng.standard_normal(len(sent))).astype(np.float32)
    rate = float(np.mean(viterbi(soft, terminated=True) != np.array(bits)))
    assert 5e-5 < rate < 5.8e-4


def test_no_bits_decode_to_none() -> None:
    assert len(viterbi(np.zeros(0, np.float32), terminated=False)) == 0


def test_a_rate_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="1/2, 2/3, 3/4, 5/6, got 7/8"):
        depunctured(np.zeros(8, np.float32), Fraction(7, 8))
