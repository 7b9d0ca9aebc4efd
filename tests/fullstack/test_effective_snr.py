"""The flat channel that informs as much, against Monte Carlo and against what must hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phyemu.fullstack.effective_snr import effective_snr_db, missing_information

BITS = (1, 2, 4, 6)
CARRIERS = arrays(np.float64, 52, elements=st.floats(-30, 60))


@pytest.mark.parametrize(("bits", "snr_db"), [(1, 0.0), (2, 5.0), (4, 10.0), (6, 15.0)])
def test_information_is_that_of_drawn_symbols(bits: int, snr_db: float) -> None:
    # I = log2 M - E log2 sum_j p(y | x_j) / p(y | x_i), over complex points and complex noise.
    rng = np.random.default_rng(11)
    side = 2 ** (bits // 2)
    axis = np.arange(side) * 2.0 - (side - 1)
    points = np.array([-1.0, 1.0]) + 0j if bits == 1 else (axis[:, None] + 1j * axis).ravel()
    points = points / math.sqrt(np.mean(np.abs(points) ** 2))
    variance = 10 ** (-snr_db / 10)
    n = 20_000
    sent = rng.integers(0, len(points), n)
    noise = math.sqrt(variance / 2) * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
    received = points[sent] + noise
    distances = np.abs(received[:, None] - points) ** 2
    exponents = (np.abs(noise) ** 2)[:, None] - distances
    surprise = np.log2(np.exp(exponents / variance).sum(axis=1)) / bits
    tolerance = 5 * surprise.std() / math.sqrt(n)
    missing = missing_information(bits, 10 ** (snr_db / 10))
    assert missing == pytest.approx(surprise.mean(), abs=tolerance)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 12.3, 30.0, 55.0])
def test_a_flat_channel_is_itself(bits: int, snr_db: float) -> None:
    assert effective_snr_db(np.full((3, 52), snr_db), bits) == pytest.approx(snr_db, abs=1e-6)


@given(CARRIERS, st.sampled_from(BITS))
def test_it_lies_between_the_carriers(snr_db: np.ndarray, bits: int) -> None:
    (found,) = effective_snr_db(snr_db[None], bits)
    assert snr_db.min() - 1e-6 <= found <= snr_db.max() + 1e-6


@given(CARRIERS, st.sampled_from(BITS), st.integers(0, 51), st.floats(0, 20))
def test_a_better_carrier_makes_no_channel_worse(
    snr_db: np.ndarray, bits: int, carrier: int, more_db: float
) -> None:
    better = snr_db.copy()
    better[carrier] += more_db
    both = effective_snr_db(np.stack([snr_db, better]), bits)
    assert both[1] >= both[0] - 1e-9


def test_denser_constellations_make_more_of_strong_carriers() -> None:
    half_faded = np.array([[25.0] * 26 + [5.0] * 26])
    found = [float(effective_snr_db(half_faded, bits)[0]) for bits in BITS]
    assert found == sorted(found)
