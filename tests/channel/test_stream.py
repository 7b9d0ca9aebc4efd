"""The streaming executor: any blocking, any threads, in step with the torch executor."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.channel import (
    Awgn,
    ChannelModel,
    ChannelRealisation,
    ChannelStream,
    DelayProfile,
    Distribution,
    EmpiricalChannel,
    FadingFamily,
    FrontEnd,
    Interpolation,
    LargeScaleDrift,
    NoiseLevel,
    TappedDelayLine,
    apply_converter,
    apply_response,
    draw_of,
    offset_clock,
    rotate_carrier,
    tdl,
    tgn,
)
from phyemu.channel.counter_random import counter_normals, stream_keys
from phyemu.channel.stream_bank import NOISE_STREAM
from phyemu.errors import ConfigError, SignalError

RATE_HZ = 20e6
RATES = {"sample_rate_hz": RATE_HZ, "symbol_rate_hz": 10e6, "reference_power": 0.02}

FULL = FrontEnd(
    cfo_hz=Distribution.constant(-7e3),
    sfo_ppm=Distribution.constant(4.0),
    linewidth_hz=Distribution.constant(100.0),
    iq_gain_db=Distribution.constant(0.3),
    iq_phase_rad=Distribution.constant(0.02),
    dc_offset=Distribution.constant(0.01),
    clip_level=0.9,
)
FEW_PATHS = TappedDelayLine(
    profile=DelayProfile(
        name="four",
        delays_s=(0.0, 123e-9, 347e-9, 901e-9),
        powers=(0.5, 0.25, 0.2, 0.05),
        k_factor=(0.0,) * 4,
    ),
    noise=NoiseLevel.of_snr_db(12.0),
    doppler_hz=50.0,
)
ON_GRID = dataclasses.replace(
    FEW_PATHS, profile=dataclasses.replace(FEW_PATHS.profile, delays_s=(0, 1e-7, 3e-7, 9e-7))
)
FITTED = EmpiricalChannel(
    name="fitted",
    delays_s=(0.0, 123e-9, 347e-9),
    powers=(0.6, 0.3, 0.1),
    k_factor=(4.0, 0.0, 0.0),
    doppler_hz=(50.0,) * 3,
    snr_db=Distribution.constant(12.0),
    family=(FadingFamily.RICIAN, FadingFamily.NAKAGAMI, FadingFamily.LOGNORMAL),
    shape=(0.0, 3.0, 0.4),
    drift=LargeScaleDrift(std_db=3.0, correlation_s=0.1),
)
MODELS: dict[str, ChannelModel] = {
    "awgn": Awgn(10.0),
    "on-grid": ON_GRID,
    "by-path": FEW_PATHS,
    "by-lag": tgn("D", snr_db=15.0, doppler_hz=80.0),
    "fitted": FITTED,
    "full": dataclasses.replace(FEW_PATHS, front_end=dataclasses.replace(FULL, bits=12)),
    "full-by-lag": dataclasses.replace(
        tdl("D", rms_delay_spread_s=30e-9, snr_db=20.0, doppler_hz=40.0), front_end=FULL
    ),
}


def signal(count: int) -> NDArray[np.complex64]:
    """Return band-limited noise (80 % of the band), peak 0.7."""
    rng = np.random.default_rng(7)
    spectrum = np.fft.fft(rng.standard_normal(count) + 1j * rng.standard_normal(count))
    spectrum[np.abs(np.fft.fftfreq(count)) > 0.4] = 0
    x = np.fft.ifft(spectrum)
    return (0.7 * x / np.abs(x).max()).astype(np.complex64)


def realise(model: ChannelModel) -> ChannelRealisation:
    return model.realise(symbol_rate_hz=10e6, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", MODELS)
def test_output_is_bit_identical_for_any_blocks_and_threads(name: str) -> None:
    x = signal(150_000)
    whole = ChannelStream(MODELS[name], **RATES, seed=5, interval_s=1e-4).process(x)
    rng = np.random.default_rng(1)
    for threads in (1, 2, 3):
        stream = ChannelStream(MODELS[name], **RATES, seed=5, interval_s=1e-4, num_threads=threads)
        pieces, done = [], 0
        while done < len(x):
            count = int(rng.choice([0, 1, 7, 63, 1000, 4097, 40_000]))
            pieces.append(stream.process(x[done : done + count]))
            done += count
        assert np.concatenate(pieces).tobytes() == whole.tobytes()
        assert stream.num_samples == len(x)


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 3000), max_size=12),
    threads=st.integers(1, 3),
    skipped=st.integers(0, 40_000),
)
def test_no_division_of_the_input_changes_a_bit(
    sizes: list[int], threads: int, skipped: int
) -> None:
    # Updates every 50 samples: blocks begin and end anywhere among knots, chunks and groups.
    arguments = {**RATES, "seed": 5, "interval_s": 2.5e-6}
    x = signal(3000)
    whole = ChannelStream(MODELS["full"], **arguments)
    parts = ChannelStream(MODELS["full"], **arguments, num_threads=threads)
    for stream in (whole, parts):
        stream.skip(skipped)
    expected = whole.process(x)
    cuts = np.clip(np.cumsum(sizes), 0, len(x))
    received = [parts.process(piece) for piece in np.split(x, cuts)]
    assert np.concatenate(received).tobytes() == expected.tobytes()


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_it_agrees_with_the_torch_executor_on_the_same_draw(name: str, hold: bool) -> None:
    realisation = realise(MODELS[name])
    if hold:
        realisation = dataclasses.replace(realisation, interpolation=Interpolation.HOLD)
    x = signal(60_001)
    # The quantiser's rounding would turn 1e-7 into a whole step.
    plain = dataclasses.replace(
        realisation,
        impairments=dataclasses.replace(
            realisation.impairments, bits=torch.zeros((), dtype=torch.int64)
        ),
    )
    stream = ChannelStream.of_realisation(plain, **RATES, seed=11)
    latency = stream.latency_samples
    streamed = np.concatenate([stream.process(x), stream.flush()])[latency:]

    draw = draw_of(plain, num_steps=5, interval_s=1e-3)
    y = offset_clock(torch.from_numpy(x)[None], draw.impairments)
    y = apply_response(y, draw.response, sample_rate_hz=RATE_HZ, interpolation=draw.interpolation)
    y = rotate_carrier(y, draw.impairments, sample_rate_hz=RATE_HZ)
    noise = counter_normals(stream_keys(11, NOISE_STREAM), torch.arange(len(x)))
    y = y + noise.to(torch.complex64) * math.sqrt(stream.noise_variance)
    applied = apply_converter(y, draw.impairments)[0].numpy()
    # At the ends a cascade of two interpolators sees samples that one call does not have.
    inner = slice(64, -64) if float(plain.impairments.sfo_ppm) else slice(None)
    assert np.abs(applied - streamed)[inner].max() < 1e-5


def test_noise_has_the_variance_of_the_definition() -> None:
    n = 1_000_000
    stream = ChannelStream(Awgn(12.0), **RATES, seed=1)
    noise = stream.process(np.zeros(n, np.complex64))
    expected = 0.02 * 2 / 10**1.2
    assert np.mean(np.abs(noise) ** 2, dtype=np.float64) == pytest.approx(expected, rel=5 / n**0.5)


def test_taps_on_the_grid_are_exact_shifts() -> None:
    gains = torch.tensor([[0.8 + 0.1j, -0.2j]], dtype=torch.complex64)

    @dataclasses.dataclass(frozen=True)
    class Fixed:
        delays_s = torch.tensor([0.0, 3 / RATE_HZ], dtype=torch.float64)
        snr_db = math.inf
        impairments = realise(Awgn(1.0)).impairments
        interpolation = Interpolation.HOLD
        gains: Callable[[torch.Tensor], torch.Tensor] = lambda times_s: gains.expand(
            len(times_s), -1
        )

    x = signal(5000)
    stream = ChannelStream.of_realisation(Fixed(), **RATES, seed=0)
    expected = (0.8 + 0.1j) * x
    expected[3:] += -0.2j * x[:-3]
    assert stream.latency_samples == 0
    np.testing.assert_allclose(stream.process(x), expected, atol=1e-6)


@pytest.mark.parametrize("gap", [1, 5000, 100_003, 9_000_001])
def test_skipping_silence_equals_processing_it(gap: int) -> None:
    model, x = MODELS["full"], signal(3000)
    streams = [ChannelStream(model, **RATES, seed=2) for _ in range(2)]
    for stream in streams:
        stream.process(x)
    streams[0].process(np.zeros(gap, np.complex64))
    streams[1].skip(gap)
    assert streams[0].process(x).tobytes() == streams[1].process(x).tobytes()


def test_memory_does_not_grow_with_the_stream() -> None:
    stream = ChannelStream(MODELS["full"], **RATES, seed=2)
    x = signal(50_000)
    stream.process(x)
    sizes = [value.nbytes for value in vars(stream).values() if isinstance(value, np.ndarray)]
    for _ in range(20):
        stream.process(x)
    after = [value.nbytes for value in vars(stream).values() if isinstance(value, np.ndarray)]
    assert after == sizes


def test_clock_drift_stays_within_its_room_by_leaps() -> None:
    # 400 ppm pass 4096 samples after 10 million: a leap, and the output stays a tone.
    model = dataclasses.replace(
        ON_GRID,
        profile=DelayProfile(name="one", delays_s=(0.0,), powers=(1.0,), k_factor=(math.inf,)),
        noise=NoiseLevel.of_snr_db(math.inf),
        doppler_hz=0.0,
        front_end=FrontEnd(sfo_ppm=Distribution.constant(400.0)),
    )
    stream = ChannelStream(model, **RATES, seed=2)
    block = np.ones(1 << 20, np.complex64)
    for _ in range(12):
        tail = stream.process(block)
    np.testing.assert_allclose(np.abs(tail), 1.0, atol=1e-3)


def test_bad_input_is_refused() -> None:
    stream = ChannelStream(Awgn(10.0), **RATES, seed=1)
    with pytest.raises(SignalError, match="one channel at a time"):
        stream.process(np.zeros((2, 4), np.complex64))
    broken = np.zeros(10, np.complex64)
    broken[4] = complex(0, math.nan)
    stream.process(np.zeros(100, np.complex64))
    with pytest.raises(SignalError, match="sample 104 is not finite"):
        stream.process(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate_hz": 0.0}, "sample_rate_hz"),
        ({"symbol_rate_hz": math.nan}, "symbol_rate_hz"),
        ({"reference_power": -1.0}, "reference_power"),
        ({"interval_s": 0.0}, "interval_s"),
        ({"num_threads": 0}, "num_threads"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChannelStream(Awgn(10.0), **(RATES | {"seed": 1} | change))


@pytest.mark.parametrize(
    ("front_end", "message"),
    [
        (FrontEnd(sfo_ppm=Distribution.constant(900.0)), "sfo_ppm"),
        (FrontEnd(cfo_hz=Distribution.constant(2e7)), "cfo_hz"),
    ],
)
def test_impairments_out_of_range_are_refused(front_end: FrontEnd, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChannelStream(dataclasses.replace(ON_GRID, front_end=front_end), **RATES, seed=1)
