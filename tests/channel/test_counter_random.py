"""The counter-based generator: reference values, moments, tails, whiteness, independence."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from phyemu.channel.counter_random import _words, counter_normals, counter_uniforms, stream_keys
from phyemu.channel.front_end_kernel import fill_noise
from phyemu.channel.kernel_math import F4, U8

MASK = (1 << 64) - 1


def naive_word(keys: tuple[int, int], counter: int) -> int:
    z = (keys[0] + counter * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 + keys[1]) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def kernel_noise(seed: int, count: int, start: int = 0) -> np.ndarray:
    real, imaginary = np.empty(count, np.float32), np.empty(count, np.float32)
    key0, key1 = stream_keys(seed)
    fill_noise(real, imaginary, count, start, U8(key0), U8(key1), F4(1))
    return real + 1j * imaginary


def test_uniforms_are_splitmix_in_python_integers() -> None:
    keys = stream_keys(123, 4)
    counters = [0, 1, 2, 10**6, 2**40 + 3]
    measured = counter_uniforms(keys, torch.tensor(counters))
    expected = [(naive_word(keys, counter) + 0.5) / 2**64 for counter in counters]
    np.testing.assert_allclose(measured, expected, rtol=1e-12)


def test_with_second_key_zero_it_is_the_published_splitmix64() -> None:
    # First outputs of SplitMix64 from state 0: the counters are 1, 2, 3.
    words = [naive_word((0, 0), counter) for counter in (1, 2, 3)]
    assert words == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_kernel_and_torch_draw_the_same_normals() -> None:
    n, start = 50_000, 2**33 + 7
    expected = counter_normals(stream_keys(9), torch.arange(start, start + n)).numpy()
    # float32 rounds the uniform near one, where the radius is small: 2^-12 at worst at radius 0.
    assert np.abs(kernel_noise(9, n, start) - expected).max() < 2e-5


def test_moments_are_those_of_the_normal_distribution() -> None:
    n = 2_000_000
    noise = kernel_noise(1, n)
    for part in (noise.real * np.sqrt(2), noise.imag * np.sqrt(2)):
        part = part.astype(np.float64)
        assert abs(part.mean()) < 5 / n**0.5
        assert abs((part**2).mean() - 1) < 5 * (2 / n) ** 0.5
        assert abs((part**3).mean()) < 5 * (15 / n) ** 0.5
        assert abs((part**4).mean() - 3) < 5 * (96 / n) ** 0.5
    assert abs((noise.real * noise.imag).mean()) < 5 * 0.5 / n**0.5


def test_distribution_passes_kolmogorov_smirnov() -> None:
    noise = kernel_noise(2, 500_000)
    assert stats.kstest(noise.real * np.sqrt(2), "norm").pvalue > 1e-3
    assert stats.kstest(np.abs(noise) ** 2, "expon").pvalue > 1e-3


def counter_of(keys: tuple[int, int], word: int) -> int:
    """Return the counter at which the generator gives `word`: each of its steps has an inverse."""

    def unshift(z: int, bits: int) -> int:
        result = z
        for _ in range(64 // bits):
            result = z ^ (result >> bits)
        return result

    z = unshift(word, 31)
    z = unshift(z * pow(0x94D049BB133111EB, -1, 1 << 64) & MASK, 27)
    z = unshift((z - keys[1]) * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & MASK, 30)
    return (z - keys[0]) * pow(0x9E3779B97F4A7C15, -1, 1 << 64) & MASK


def kernel_normals_of(words: np.ndarray) -> np.ndarray:
    """Return what the streaming kernel makes of 64-bit words, through their counters."""
    keys = stream_keys(5, 2)
    key0, key1 = U8(keys[0]), U8(keys[1])
    real, imaginary = np.empty(33, np.float32), np.empty(33, np.float32)
    normals = np.empty(len(words), np.complex128)
    for index, word in enumerate(words.tolist()):
        # In the middle of a run, so that it is the vectorised loop that computes it.
        start = (counter_of(keys, word) - 7) & MASK
        fill_noise(real, imaginary, 33, U8(start), key0, key1, F4(1))
        normals[index] = complex(real[7], imaginary[7])
    return normals


def test_the_inverse_finds_the_counter_of_a_word() -> None:
    keys = stream_keys(5, 2)
    for counter in (0, 1, 12345, 2**63 + 11):
        assert counter_of(keys, naive_word(keys, counter)) == counter


def test_kernels_radius_and_angle_are_exact_to_the_last_word() -> None:
    # The strongest normals there are, the weakest, and some between.
    upper = np.array([0, 1, 2, 3, 7, 64, 1000, 2**20, 2**31, 2**32 - 300, 2**32 - 1])
    lower = np.arange(0, 2**32, 2**27 + 12345)
    words = (upper[:, None].astype(np.uint64) << np.uint64(32)) + lower.astype(np.uint64)
    measured = kernel_normals_of(words.ravel()).reshape(words.shape)
    radius = np.sqrt(-np.log((upper + 0.5) * 2.0**-32))
    expected = radius[:, None] * np.exp(2j * np.pi * lower * 2.0**-32)
    # Near one the uniform is rounded to float32, 2^-25: an error of that over twice the radius.
    allowed = 1e-6 * radius + np.minimum(2.0**-25 / radius, 2.0**-12)
    assert (np.abs(measured - expected) < allowed[:, None]).all()
    assert np.abs(measured).max() * np.sqrt(2) > 6.7


@pytest.mark.parametrize("sigmas", [3.0, 4.0, 5.0, 6.0])
def test_kernels_tails_hold_the_right_share_to_six_sigma(sigmas: float) -> None:
    # |n| <= radius: only words below 2^32 exp(-sigmas^2 / 2) can get there. They are drawn from
    # these alone, and the share of them that does get there is scaled back.
    n = 30_000
    limit = math.exp(-(sigmas**2) / 2)
    rng = np.random.default_rng(int(sigmas))
    largest = math.ceil(limit * 2**32) + 1
    upper = rng.integers(0, largest, n, dtype=np.uint64)
    lower = rng.integers(0, 2**32, n, dtype=np.uint64)
    normals = kernel_normals_of((upper << np.uint64(32)) + lower) * math.sqrt(2)
    tail = float(stats.norm.sf(sigmas))
    for part in (normals.real, -normals.real, normals.imag, -normals.imag):
        hits = int((part > sigmas).sum())
        expected = n * tail / (largest * 2.0**-32)
        # The 32 bits of the radius end at 6.76 sigma: at 6 they are steps of 2 %.
        assert abs(hits - expected) < 5 * expected**0.5 + 0.03 * expected


def defects(noise: np.ndarray) -> dict[str, float]:
    """Return how far complex normals of variance 1 are from independent ones, 1 at the bound.

    Every bound is at 5 standard deviations, or what the worst of n lags exceeds once in 10^6.
    """
    n = len(noise)
    parts = [noise.real * np.sqrt(2), noise.imag * np.sqrt(2)]
    power = np.abs(noise) ** 2 - 1  # exponential: variance 1
    found = {}
    pairs = {
        "x x*": (noise, noise),
        "x x": (noise, noise.conj()),
        "power": (power, power),
        "I^2 Q^2": (parts[0] ** 2 - 1, (parts[1] ** 2 - 1) / 2),
        "I |Q|": (parts[0], (np.abs(parts[1]) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi)),
    }
    for name, (first, second) in pairs.items():
        # All lags at once; each is a mean of n products of variance 1.
        alike = first is second
        product = np.fft.fft(first) * np.fft.fft(second).conj()
        scale = n**0.5 * np.sqrt(np.mean(np.abs(first) ** 2) * np.mean(np.abs(second) ** 2))
        squares = np.abs(np.fft.ifft(product)[1 if alike else 0 :] / scale) ** 2
        # The largest of n squares, of a complex normal or of a real one; then their sum.
        is_complex = np.iscomplexobj(first)
        found[f"{name}, worst lag"] = squares.max() / ((math.log(n) + 14) * (2 - is_complex))
        # Positive and negative lags are equal but for cross-correlations.
        deviation = (2 * n) ** 0.5 if is_complex or not alike else (4 * n) ** 0.5
        found[f"{name}, all lags"] = abs(squares.sum() - len(squares)) / (5 * deviation)
    uniforms = [stats.norm.cdf(part) for part in parts]
    grids = {
        "I, Q": (uniforms[0], uniforms[1]),
        "I, next I": (uniforms[0][:-1], uniforms[0][1:]),
        "Q, next I": (uniforms[1][:-1], uniforms[0][1:]),
        "I, third I": (uniforms[0][:-3], uniforms[0][3:]),
    }
    for name, (first, second) in grids.items():
        counts = np.histogram2d(first, second, bins=32, range=[[0, 1], [0, 1]])[0]
        expected = len(first) / 1024
        chi2 = float(((counts - expected) ** 2).sum() / expected)
        found[name] = abs(chi2 - 1023) / (5 * math.sqrt(2 * 1023))
    return found


def words_as_normals(words: np.ndarray) -> np.ndarray:
    radius = np.sqrt(-np.log(((words >> np.uint64(32)).astype(float) + 0.5) * 2.0**-32))
    angle = (words & np.uint64(0xFFFFFFFF)).astype(float) * 2.0**-32
    return radius * np.exp(2j * np.pi * angle)


N = 1 << 17


@pytest.mark.parametrize(
    "start", [0, 2**33 + 5, 2**62], ids=["from the start", "after minutes", "after centuries"]
)
def test_a_stream_is_white_in_samples_powers_and_neighbours(start: int) -> None:
    assert max(defects(kernel_noise(3, N, start)).values()) < 1


@pytest.mark.parametrize("stride", [2, 16, 1000, 2**20, 2**32])
def test_a_stream_is_white_at_any_stride(stride: int) -> None:
    counters = torch.arange(N, dtype=torch.int64) * stride
    assert max(defects(counter_normals(stream_keys(8), counters).numpy()).values()) < 1


def test_samples_of_neighbouring_seeds_are_white_in_turn() -> None:
    # Seeds 0, 1, 2, ... and streams of one seed, interleaved sample by sample: dependence between
    # streams at any lag up to 2048 shows as dependence within this sequence.
    streams = np.stack([kernel_noise(seed, N // 64) for seed in range(64)])
    assert max(defects(streams.T.ravel()).values()) < 1
    counters = torch.arange(N // 64)
    streams = np.stack([counter_normals(stream_keys(7, index), counters) for index in range(64)])
    assert max(defects(streams.T.ravel()).values()) < 1


def test_streams_of_two_seeds_do_not_correlate_at_any_lag() -> None:
    for first, second in ((3, 4), (0, 2**32), (1, 2**63)):
        one, other = kernel_noise(first, N), kernel_noise(second, N)
        for x, y in ((one, other), (np.abs(one) ** 2 - 1, np.abs(other) ** 2 - 1)):
            lags = np.fft.ifft(np.fft.fft(x) * np.fft.fft(y).conj()) * N**-0.5
            tail = (math.log(N) + 14) * (1 if np.iscomplexobj(x) else 2)
            assert (np.abs(lags) ** 2).max() < tail


def worst_bits(words: np.ndarray) -> float:
    """Return the largest correlation of a bit of a word with one of the same or a later word.

    In units of 6 standard deviations: 12288 correlations and 64 means of fair signs stay below.
    """
    n = len(words)
    places = np.arange(64, dtype=np.uint64)
    signs = 1 - 2 * ((words[:, None] >> places) & np.uint64(1)).astype(np.float32)
    worst = float(np.abs(signs.mean(axis=0)).max())
    for lag in (0, 1, 2):
        products = signs[: n - lag].T @ signs[lag:] / n
        if lag == 0:
            np.fill_diagonal(products, 0)
        worst = max(worst, float(np.abs(products).max()))
    return worst * n**0.5 / 6


def test_no_bit_of_a_word_depends_on_a_bit_of_the_next() -> None:
    first, second = (int(np.uint64(key).astype(np.int64)) for key in stream_keys(11))
    upper, lower = _words(first, second, torch.arange(N // 2))
    words = (upper.numpy().astype(np.uint64) << np.uint64(32)) | lower.numpy().astype(np.uint64)
    assert worst_bits(words) < 1


def test_the_checks_find_bad_generators() -> None:
    counters = np.arange(N, dtype=np.uint64)
    golden, first = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
    key = np.uint64(stream_keys(3)[0])
    plain = key + counters * golden
    half = (plain ^ (plain >> np.uint64(30))) * first
    good = kernel_noise(3, N)
    bad = {
        "no mixing": words_as_normals(plain),
        "a weak echo": (good + 0.03 * np.roll(good, 777)) / math.sqrt(1 + 0.03**2),
        "power that drifts": good * (1 + 0.05 * np.sin(2 * np.pi * np.arange(N) / 500)),
        "I like Q": good.real + 1j * (0.02 * good.real + 0.9998 * good.imag),
        "a pool played again": np.tile(good[: N // 8], 8),
    }
    # What is wrong with half of the mixing, only single bits show.
    assert worst_bits(half[: N // 4]) > 1
    for name, noise in bad.items():
        assert max(defects(noise).values()) > 1, name


def test_streams_of_one_seed_differ() -> None:
    keys = {stream_keys(seed, stream) for seed in range(50) for stream in range(50)}
    assert len(keys) == 2500
