"""Times against the standard's sums, error rates against the code itself."""

import itertools
import math

import numpy as np
import pytest

from phyemu.errors import ConfigError
from phyemu.fullstack.rates import (
    RATES_MBPS,
    basic_rate,
    chosen_rate,
    phy_rate,
    raw_error_rate,
)

_GENERATORS = (0o133, 0o171)
# Clause 17.3.5.6: which of the two coded bits of each information bit are sent.
_PUNCTURING = {1: ((1, 1),), 2: ((1, 1), (1, 0)), 3: ((1, 1), (1, 0), (0, 1))}


def information_weights(k: int, most: int) -> list[int]:
    """Return the wrong information bits of all error events by their weight, from the trellis."""
    total = np.zeros(most + 1, np.int64)
    pattern = _PUNCTURING[k]
    for phase in range(k):
        # Of the paths that left state 0: how many there are, and their information bits, by state
        # and weight so far.
        paths = np.zeros((64, most + 1), np.int64)
        bits = np.zeros((64, most + 1), np.int64)
        step = 0
        while step == 0 or paths.any():
            new_paths, new_bits = np.zeros_like(paths), np.zeros_like(bits)
            for state in range(64) if step else (0,):
                if step and not paths[state].any():
                    continue
                for bit in (0, 1) if step else (1,):
                    register = bit << 6 | state
                    sent = pattern[(phase + step) % k]
                    coded = ((register & g).bit_count() % 2 for g in _GENERATORS)
                    weight = sum(c * s for c, s in zip(coded, sent, strict=True))
                    count = paths[state] if step else np.eye(1, most + 1, dtype=np.int64)[0]
                    carried = (bits[state] if step else 0) + bit * count
                    into = register >> 1
                    kept = slice(None, most + 1 - weight)
                    if into == 0:
                        total[weight:] += carried[kept]
                        continue
                    new_paths[into, weight:] += count[kept]
                    new_bits[into, weight:] += carried[kept]
            paths, bits = new_paths, new_bits
            step += 1
    return [int(value) for value in total]


@pytest.mark.parametrize(
    ("k", "rate_mbps", "most"), [(1, 24, 16), (2, 48, 9), (3, 54, 8)], ids=["1/2", "2/3", "3/4"]
)
def test_the_distance_spectrum_is_the_codes(k: int, rate_mbps: int, most: int) -> None:
    weights = information_weights(k, most)
    # So high up that the terms beyond `most` add less than a millionth.
    snr_db = {1: 24.0, 2: 30.0, 3: 30.0}[k]
    rate = phy_rate(rate_mbps)
    p = raw_error_rate(rate.mode.bits_per_carrier, 10 ** (snr_db / 10))
    d = math.sqrt(4 * p * (1 - p))
    expected = sum(count * d**weight for weight, count in enumerate(weights)) / (2 * k)
    assert rate.bit_error_rate(snr_db) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("bits", "snr_db"), [(1, 5.0), (2, 8.0), (4, 14.0), (6, 20.0)])
def test_raw_error_rate_is_that_of_gray_mapped_points(bits: int, snr_db: float) -> None:
    rng = np.random.default_rng(3)
    levels = 2 if bits == 1 else 2 ** (bits // 2)
    amplitudes = np.arange(levels) * 2.0 - (levels - 1)
    dimensions = 1 if bits == 1 else 2
    power = dimensions * np.mean(amplitudes**2)
    sigma = math.sqrt(power / 10 ** (snr_db / 10) / 2)
    n = 400_000
    sent = rng.integers(0, levels, n)
    received = amplitudes[sent] + sigma * rng.standard_normal(n)
    decided = np.clip(np.round((received + levels - 1) / 2), 0, levels - 1).astype(int)
    gray = np.arange(levels) ^ np.arange(levels) >> 1
    wrong = np.bitwise_count(gray[sent] ^ gray[decided])
    rate = wrong.mean() / math.log2(levels)
    expected = raw_error_rate(bits, 10 ** (snr_db / 10))
    # Binomial scatter, five of them, and the neighbours beyond the nearest: less than 1 % here.
    tolerance = 5 * math.sqrt(expected / (n * math.log2(levels))) + 0.01 * expected
    assert rate == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("rate_mbps", "duration_us"),
    # 16 + 4 + 4 ceil((16 + 8 * 1536 + 6) / N_DBPS) by hand.
    [(6, 2072), (9, 1388), (12, 1048), (18, 704), (24, 536), (36, 364), (48, 280), (54, 248)],
)
def test_a_full_frame_lasts_as_long_as_the_standard_says(rate_mbps: int, duration_us: int) -> None:
    rate = phy_rate(rate_mbps)
    assert rate.duration_s(1536) == pytest.approx(duration_us * 1e-6)
    bits = (duration_us - 20) * rate_mbps + 24
    assert rate.phy_bytes(1536) == pytest.approx(bits / 8 - 1536)


def test_acknowledgements_go_at_the_highest_basic_rate_not_above() -> None:
    assert [basic_rate(phy_rate(r)).rate_mbps for r in RATES_MBPS] == [6, 6, 12, 12, 24, 24, 24, 24]


def test_the_chosen_rate_makes_one_error_in_a_million_and_the_next_one_more() -> None:
    for slower, faster in itertools.pairwise(RATES_MBPS):
        snr_db = phy_rate(faster).least_snr_db
        assert phy_rate(faster).bit_error_rate(snr_db) == pytest.approx(1e-6, rel=1e-4)
        at = {bits: snr_db for bits in (1, 2, 4, 6)}
        below = {bits: snr_db - 1e-3 for bits in (1, 2, 4, 6)}
        assert chosen_rate(at).rate_mbps == faster
        assert chosen_rate(below).rate_mbps == slower


def test_below_every_threshold_the_lowest_rate_is_taken() -> None:
    assert chosen_rate({bits: -20.0 for bits in (1, 2, 4, 6)}).rate_mbps == 6


@pytest.mark.parametrize("rate_mbps", RATES_MBPS)
def test_frames_arrive_more_often_at_more_snr_and_when_shorter(rate_mbps: int) -> None:
    rate = phy_rate(rate_mbps)
    curve = [rate.success_rate(snr_db / 4, 1536) for snr_db in range(-20, 140)]
    assert curve == sorted(curve)
    assert curve[0] == 0.0
    assert curve[-1] == pytest.approx(1.0)
    middle = rate.least_snr_db - 1
    assert rate.success_rate(middle, 100) > rate.success_rate(middle, 1536)


def test_another_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"6, 9, 12, 18, 24, 36, 48, 54; got 11"):
        phy_rate(11)
