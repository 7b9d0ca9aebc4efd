"""Both executors against theory, and against each other on every kind of channel."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import i0, j0

from phyemu.channel import (
    Awgn,
    ChannelModel,
    ChannelRealisation,
    ChannelStream,
    DelayProfile,
    Distribution,
    DopplerSpectrum,
    EmpiricalChannel,
    FrontEnd,
    Impairments,
    ImpulseResponse,
    Interpolation,
    MeasuredChannel,
    Mixture,
    NoiseLevel,
    Playback,
    TappedDelayLine,
    apply_draw,
    draw_of,
    tdl,
    tgn,
    world,
)
from phyemu.channel.realisation import FunctionRealisation

RATE_HZ = 20e6
Executor = Callable[
    [ChannelRealisation, NDArray[np.complex64], float, float], NDArray[np.complex64]
]


def by_stream(
    realisation: ChannelRealisation, x: NDArray[np.complex64], rate_hz: float, interval_s: float
) -> NDArray[np.complex64]:
    """Return x through `ChannelStream`, without noise and latency."""
    stream = ChannelStream.of_realisation(
        realisation,
        sample_rate_hz=rate_hz,
        symbol_rate_hz=rate_hz,
        reference_power=0.0,
        seed=1,
        interval_s=interval_s,
        num_threads=2,
    )
    return np.concatenate([stream.process(x), stream.flush()])[stream.latency_samples :]


def by_layer(
    realisation: ChannelRealisation, x: NDArray[np.complex64], rate_hz: float, interval_s: float
) -> NDArray[np.complex64]:
    """Return x through `apply_draw`, without noise."""
    num_steps = math.ceil(len(x) / (interval_s * rate_hz)) + 1
    received = apply_draw(
        torch.from_numpy(x)[None],
        draw_of(realisation, num_steps=num_steps, interval_s=interval_s),
        sample_rate_hz=rate_hz,
        symbol_rate_hz=rate_hz,
        reference_power=0.0,
        generator=torch.Generator().manual_seed(1),
    )
    return received[0].numpy()


@pytest.fixture(params=[by_stream, by_layer], ids=["stream", "layer"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Return each executor in turn."""
    chosen: Executor = request.param
    return chosen


def fixed(
    delays_samples: list[float], gains: list[complex], **impairments: float
) -> FunctionRealisation:
    """Return a channel that does not change."""
    row = torch.tensor([gains], dtype=torch.complex64)
    changed = {
        name: torch.tensor(value, dtype=torch.float64) for name, value in impairments.items()
    }
    return FunctionRealisation(
        delays_s=torch.tensor(delays_samples, dtype=torch.float64) / RATE_HZ,
        snr_db=math.inf,
        impairments=dataclasses.replace(Impairments.none(), **changed),
        function=lambda times_s: row.expand(len(times_s), -1),
        interpolation=Interpolation.HOLD,
    )


def tones(places: NDArray[np.float64], seed: int, band: float) -> NDArray[np.complex128]:
    """Return a sum of 200 tones within +-band of the sample rate, at any places [samples]."""
    rng = np.random.default_rng(seed)
    frequencies = np.linspace(-band, band, 200)
    amplitudes = np.exp(2j * np.pi * rng.random(200)) / 200**0.5
    return np.exp(2j * np.pi * places[:, None] * frequencies) @ amplitudes


@pytest.mark.parametrize("delay", [0.5, 0.25, 1e-3, 0.999, 1 / 3, 7.77, 0.06, 2e-6, 4 + 1e-4, 41.6])
def test_fractional_delays_err_by_less_than_minus_sixty_db_in_band(
    executor: Executor, delay: float
) -> None:
    n = np.arange(1200.0)
    x = tones(n, 1, 0.42).astype(np.complex64)
    measured = executor(fixed([delay], [1.0]), x, RATE_HZ, 1e-3)
    # Exact: the tones themselves, later. Away from the ends, where the filter sees no silence.
    error = (measured - tones(n - delay, 1, 0.42))[80:-40]
    assert 10 * np.log10(np.mean(np.abs(error) ** 2)) < -70
    # At every frequency by itself, too: no tone of power 1 / 200 errs by more.
    spectrum = np.abs(np.fft.fft(error * np.hanning(len(error)))) / (0.5 * len(error))
    assert 20 * np.log10(spectrum.max() * 200**0.5) < -60


def test_paths_between_samples_add_up_exactly(executor: Executor) -> None:
    n = np.arange(1200.0)
    x = tones(n, 2, 0.42).astype(np.complex64)
    delays, gains = [0.31, 2.0, 5.77, 9.5], [0.7, -0.4j, 0.2 + 0.3j, 0.1]
    measured = executor(fixed(delays, gains), x, RATE_HZ, 1e-3)
    exact = sum(gain * tones(n - delay, 2, 0.42) for delay, gain in zip(delays, gains, strict=True))
    error = (measured - exact)[80:-40]
    assert 10 * np.log10(np.mean(np.abs(error) ** 2)) < -65


@pytest.mark.parametrize("ppm", [-20.0, 3.0, 400.0])
def test_a_clock_offset_errs_by_less_than_minus_sixty_db_in_band(
    executor: Executor, ppm: float
) -> None:
    n = np.arange(6000.0)
    x = tones(n, 3, 0.42).astype(np.complex64)
    measured = executor(fixed([0.0], [1.0], sfo_ppm=ppm), x, RATE_HZ, 1e-3)
    error = (measured - tones(n * (1 + ppm * 1e-6), 3, 0.42))[80:-80]
    assert 10 * np.log10(np.mean(np.abs(error) ** 2)) < -65


def envelope(executor: Executor, k_factor: float, seed: int) -> NDArray[np.complex64]:
    """Return what a channel with 50 Hz Jakes Doppler makes of a constant, 40 s at 2 kHz."""
    model = TappedDelayLine(
        profile=DelayProfile(name="one", delays_s=(0.0,), powers=(1.0,), k_factor=(k_factor,)),
        noise=NoiseLevel.of_snr_db(math.inf),
        doppler_hz=50.0,
        spectrum=DopplerSpectrum.JAKES,
    )
    generator = torch.Generator().manual_seed(seed)
    realisation = model.realise(symbol_rate_hz=2e3, generator=generator)
    return executor(realisation, np.ones(80_000, np.complex64), 2e3, 1e-3)


@pytest.mark.parametrize("k_factor", [0.0, 3.0])
def test_level_crossing_rate_is_rices(executor: Executor, k_factor: float) -> None:
    counts = {0.5: 0, 1.0: 0}
    for seed in range(5):
        magnitude = np.abs(envelope(executor, k_factor, seed))
        for level in counts:
            counts[level] += int(((magnitude[:-1] < level) & (magnitude[1:] >= level)).sum())
    for rho, count in counts.items():
        # Rice 1948; Abdi and Kaveh 2002, eq. 1, specular part without Doppler:
        # N = sqrt(2 pi (K + 1)) fd rho exp(-K - (K + 1) rho^2) I0(2 rho sqrt(K (K + 1)))
        rate_hz = math.sqrt(2 * math.pi * (k_factor + 1)) * 50.0 * rho
        rate_hz *= math.exp(-k_factor - (k_factor + 1) * rho**2)
        rate_hz *= float(i0(2 * rho * math.sqrt(k_factor * (k_factor + 1))))
        expected = rate_hz * 40 * 5
        # Crossings are nearly Poisson. Gains on straight lines between updates of 1 ms, a
        # twentieth of a Doppler period, miss some: 2 % as sampled envelopes do.
        assert count == pytest.approx(expected, rel=5 / expected**0.5 + 0.03)


def test_autocorrelation_is_that_of_jakes(executor: Executor) -> None:
    lags = np.array([1, 4, 10, 16, 25, 40, 60])  # 0.5 ms to 30 ms: 1.5 Doppler periods
    measured = np.zeros(len(lags), complex)
    for seed in range(5):
        h = envelope(executor, 0.0, seed).astype(np.complex128)
        measured += [np.mean(h[lag:] * h[:-lag].conj()) / 5 for lag in lags]
    # 200 s hold some 10^4 independent values, and each realisation has 48 frequencies: its own
    # autocorrelation deviates from Bessel's by some 1 / 48 at these lags.
    np.testing.assert_allclose(measured, j0(2 * np.pi * 50 * lags / 2e3), atol=0.04)


FULL = FrontEnd(
    cfo_hz=Distribution.constant(5e3),
    sfo_ppm=Distribution.constant(-6.0),
    linewidth_hz=Distribution.constant(200.0),
    iq_gain_db=Distribution.constant(-0.4),
    iq_phase_rad=Distribution.constant(0.03),
    dc_offset=Distribution.constant(0.02),
    clip_level=0.8,
)
EMPIRICAL = EmpiricalChannel(
    name="fitted",
    delays_s=(0.0, 42e-9, 133e-9),
    powers=(0.7, 0.2, 0.1),
    k_factor=(4.0, 0.0, math.inf),
    doppler_hz=(20.0, 50.0, 0.0),
    cn0_dbhz=Distribution.normal(85.0, 2.0),
    front_end=FULL,
)


def measured(playback: Playback) -> MeasuredChannel:
    generator = torch.Generator().manual_seed(8)
    return MeasuredChannel(
        name="record",
        responses=ImpulseResponse(
            torch.randn(40, 2, dtype=torch.complex64, generator=generator),
            torch.tensor([0.0, 60e-9], dtype=torch.float64),
            1e-3,
        ),
        noise=NoiseLevel(cn0_dbhz=Distribution.constant(80.0)),
        playback=playback,
        front_end=FULL,
    )


MODELS: dict[str, ChannelModel] = {
    "awgn": Awgn(12.0),
    "tgn": tgn("F", snr_db=10.0, line_of_sight=True, doppler_hz=60.0),
    "tdl": dataclasses.replace(
        tdl("E", rms_delay_spread_s=1e-7, snr_db=5.0, doppler_hz=30.0), front_end=FULL
    ),
    "empirical": EMPIRICAL,
    "empirical-blocks": dataclasses.replace(EMPIRICAL, block_s=1e-3),
    "measured": measured(Playback.IN_ORDER),
    "resampled": measured(Playback.RESAMPLED),
    "mixture": Mixture((Awgn(3.0), EMPIRICAL), (0.001, 1000.0)),
    "office-nlos": world("office-nlos").model,
}


@pytest.mark.parametrize("name", MODELS)
def test_executors_agree_on_the_same_draw_of_every_model(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    realisation = MODELS[name].realise(symbol_rate_hz=10e6, generator=generator)
    # The quantiser's rounding would turn 1e-7 into a whole step.
    impairments = dataclasses.replace(
        realisation.impairments, bits=torch.zeros((), dtype=torch.int64)
    )
    plain = dataclasses.replace(realisation, impairments=impairments)
    rng = np.random.default_rng(2)
    spectrum = np.fft.fft(rng.standard_normal(60_000) + 1j * rng.standard_normal(60_000))
    spectrum[np.abs(np.fft.fftfreq(60_000)) > 0.4] = 0
    x = np.fft.ifft(spectrum)
    x = (0.7 * x / np.abs(x).max()).astype(np.complex64)
    streamed, layered = (run(plain, x, RATE_HZ, 1e-3) for run in (by_stream, by_layer))
    # At the ends a cascade of two interpolators sees samples that one call does not have.
    inner = slice(64, -64) if float(impairments.sfo_ppm) else slice(None)
    assert np.abs(streamed - layered)[inner].max() < 1e-5
    assert np.abs(streamed).max() > 0.1
