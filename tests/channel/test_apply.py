"""Multipath in torch against naive sums and SciPy, its gradients, its batches."""

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from phyemu.channel import ImpulseResponse, Interpolation, apply_response
from phyemu.channel.fractional_delay import delay_filters
from phyemu.errors import ConfigError, SignalError

RATE_HZ = 1e6


def noise(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=generator)


def response_of(gains: torch.Tensor, delays: list[float], interval: int) -> ImpulseResponse:
    delays_s = torch.tensor(delays, dtype=torch.float64) / RATE_HZ
    return ImpulseResponse(gains, delays_s, interval / RATE_HZ)


def naive(x: np.ndarray, response: ImpulseResponse, *, hold: bool) -> np.ndarray:
    """Redo the sum over paths and lags one sample at a time."""
    gains, interval = response.gains.numpy(), round(response.interval_s * RATE_HZ)
    lags, filters = delay_filters(response.delays_s * RATE_HZ)
    y = np.zeros(len(x), np.complex128)
    for n in range(len(x)):
        step = min(n // interval, len(gains) - 1)
        following = step if hold else min(step + 1, len(gains) - 1)
        share = n / interval - n // interval
        gain = gains[step] + share * (gains[following] - gains[step])
        for lag, taps in zip(lags.tolist(), filters.numpy().T, strict=True):
            if 0 <= n - lag < len(x):
                y[n] += (gain * taps).sum() * x[n - lag]
    return y


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("delays", [[0.0, 3.0], [0.3, 7.71, 2.0], [-1.5, 0.25], [-40.0]])
@pytest.mark.parametrize(("interval", "steps"), [(37, 6), (500, 2), (50, 2), (10, 1)])
def test_it_is_the_sum_over_paths_and_lags(
    hold: bool, delays: list[float], interval: int, steps: int, generator: torch.Generator
) -> None:
    x = noise(generator, 150)
    response = response_of(noise(generator, steps, len(delays)), delays, interval)
    interpolation = Interpolation.HOLD if hold else Interpolation.LINEAR
    y = apply_response(x, response, sample_rate_hz=RATE_HZ, interpolation=interpolation)
    expected = naive(x.numpy(), response, hold=hold or steps == 1)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-5)


def test_static_taps_on_the_grid_are_a_convolution(generator: torch.Generator) -> None:
    x, gains = noise(generator, 1000), noise(generator, 1, 3)
    taps = np.zeros(19, np.complex64)
    taps[[0, 7, 18]] = gains[0].numpy()
    y = apply_response(x, response_of(gains, [0, 7, 18], 1000), sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(y.numpy(), fftconvolve(x.numpy(), taps)[:1000], atol=1e-5)


def test_a_tone_in_band_is_delayed_by_a_fraction() -> None:
    n = np.arange(400)
    tone = np.exp(2j * np.pi * 0.31 * n).astype(np.complex64)
    response = response_of(torch.ones(1, 1, dtype=torch.complex64), [5.37], 400)
    y = apply_response(torch.from_numpy(tone), response, sample_rate_hz=RATE_HZ).numpy()
    expected = np.exp(2j * np.pi * 0.31 * (n - 5.37))
    error = np.abs(y - expected)[40:-40].max()
    assert 20 * np.log10(error) < -60


def test_a_batch_equals_its_singles(generator: torch.Generator) -> None:
    x, gains = noise(generator, 3, 200), noise(generator, 3, 5, 2)
    together = apply_response(x, response_of(gains, [0.5, 3], 60), sample_rate_hz=RATE_HZ)
    for index in range(3):
        single = apply_response(
            x[index : index + 1],
            response_of(gains[index : index + 1], [0.5, 3], 60),
            sample_rate_hz=RATE_HZ,
        )
        torch.testing.assert_close(together[index : index + 1], single)


def test_gradients_are_right_for_samples_and_gains(generator: torch.Generator) -> None:
    x = torch.randn(2, 30, dtype=torch.complex128, generator=generator, requires_grad=True)
    gains = torch.randn(2, 4, 2, dtype=torch.complex128, generator=generator, requires_grad=True)

    def through(samples: torch.Tensor, path_gains: torch.Tensor) -> torch.Tensor:
        response = response_of(path_gains, [0.4, 3.0], 11)
        return apply_response(samples, response, sample_rate_hz=RATE_HZ)

    assert torch.autograd.gradcheck(through, (x, gains))


def test_bad_input_is_refused(generator: torch.Generator) -> None:
    response = response_of(noise(generator, 1, 1), [0], 10)
    with pytest.raises(SignalError, match="complex"):
        apply_response(torch.zeros(4), response, sample_rate_hz=RATE_HZ)
    with pytest.raises(ConfigError, match="sample_rate_hz"):
        apply_response(torch.zeros(4) + 0j, response, sample_rate_hz=0.0)
