"""The counter-based generator: reference values, moments, tails, whiteness, independence."""

import math

import numpy as np
import torch
from scipy import stats

from phyemu.channel.counter_random import counter_normals, counter_uniforms, stream_keys
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


def test_tails_are_exact_to_six_sigma() -> None:
    # Drawing 1e10 numbers to see six sigma is too slow; the radius is a function of 32 bits, so
    # its extreme values are checked where they come from: P(r^2 > t) = exp(-t) down to 2^-32.
    smallest = 0.5 * 2.0**-32
    assert math.sqrt(-2 * math.log(smallest)) > 6.6
    n = 4_000_000
    noise = np.concatenate([kernel_noise(seed, n // 4) for seed in range(4)])
    power = (noise.real.astype(np.float64) ** 2) + (noise.imag.astype(np.float64) ** 2)
    for threshold in (4.0, 8.0, 11.0):
        expected = n * math.exp(-threshold)
        assert abs((power > threshold).sum() - expected) < 5 * expected**0.5


def test_streams_are_white_and_independent_of_each_other() -> None:
    n = 1 << 18
    noise = kernel_noise(3, n)
    spectrum = np.fft.fft(noise)
    autocorrelation = np.fft.ifft(np.abs(spectrum) ** 2) / n
    # The largest of n lags of a white sequence is about sqrt(ln n / n).
    bound = math.sqrt(math.log(n) / n) + 5 / n**0.5
    assert np.abs(autocorrelation[1:]).max() < bound
    other = np.fft.fft(kernel_noise(4, n))
    assert np.abs(np.fft.ifft(spectrum * other.conj()) / n).max() < bound


def test_streams_of_one_seed_differ() -> None:
    keys = {stream_keys(seed, stream) for seed in range(50) for stream in range(50)}
    assert len(keys) == 2500
