"""What every channel model must keep; a new model joins the list."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch

from phyemu.channel import (
    Awgn,
    AwgnRange,
    ChannelModel,
    Distribution,
    EmpiricalChannel,
    FadingFamily,
    ImpulseResponse,
    LargeScaleDrift,
    MeasuredChannel,
    Mixture,
    NoiseLevel,
    Playback,
    Widened,
    apply_draw,
    draw_of,
    tdl,
    tgn,
    world,
)
from phyemu.errors import ConfigError

EMPIRICAL = EmpiricalChannel(
    name="fitted",
    delays_s=(0.0, 42e-9, 133e-9),
    powers=(0.7, 0.2, 0.1),
    k_factor=(4.0, 0.0, math.inf),
    doppler_hz=(2.0, 5.0, 0.0),
    cn0_dbhz=Distribution.normal(85.0, 2.0),
    specular_phase_rad=(0.0, 1.0, 2.0),
)
FAMILIES = {
    "family": (FadingFamily.NAKAGAMI, FadingFamily.LOGNORMAL, FadingFamily.RICIAN),
    "shape": (3.0, 0.4, 0.0),
}
DRIFT = LargeScaleDrift(std_db=2.0, correlation_s=0.5)


def measured(playback: Playback) -> MeasuredChannel:
    generator = torch.Generator().manual_seed(8)
    gains = torch.randn(40, 2, dtype=torch.complex64, generator=generator)
    delays_s = torch.tensor([0.0, 60e-9], dtype=torch.float64)
    return MeasuredChannel(
        name="record",
        responses=ImpulseResponse(gains, delays_s, 2e-3),
        noise=NoiseLevel(cn0_dbhz=Distribution.constant(80.0)),
        playback=playback,
    )


MODELS: dict[str, Callable[[], ChannelModel]] = {
    "awgn": lambda: Awgn(12.0),
    "awgn-range": lambda: AwgnRange(4.0, 20.0),
    "tgn-b": lambda: tgn("B", snr_db=10.0),
    "tgn-f-los": lambda: tgn("F", snr_db=10.0, line_of_sight=True),
    "tdl-e": lambda: tdl("E", rms_delay_spread_s=1e-7, snr_db=5.0, doppler_hz=30.0),
    "empirical": lambda: EMPIRICAL,
    "empirical-blocks": lambda: dataclasses.replace(EMPIRICAL, block_s=2e-3),
    "families": lambda: dataclasses.replace(EMPIRICAL, **FAMILIES),
    "families-blocks": lambda: dataclasses.replace(EMPIRICAL, block_s=2e-3, **FAMILIES),
    "drift": lambda: dataclasses.replace(EMPIRICAL, drift=DRIFT),
    "measured": lambda: measured(Playback.IN_ORDER),
    "resampled": lambda: measured(Playback.RESAMPLED),
    "mixture": lambda: Mixture((Awgn(3.0), EMPIRICAL), (1.0, 3.0)),
    "office-nlos": lambda: world("office-nlos").model,
    "widened-empirical": lambda: Widened(EMPIRICAL, 1.5),
    "widened-mixture": lambda: Widened(Mixture((Awgn(3.0), EMPIRICAL), (1.0, 3.0)), 2.0),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> ChannelModel:
    return MODELS[request.param]()


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


STEPS = {"num_steps": 3, "interval_s": 1e-3, "symbol_rate_hz": 1e7}


def test_it_is_a_channel_model_with_a_name(model: ChannelModel) -> None:
    assert isinstance(model, ChannelModel)
    assert model.name


def test_draws_have_the_stated_shapes_and_types(model: ChannelModel) -> None:
    draw = model.draw(5, **STEPS, generator=seeded())
    num_paths = draw.response.num_paths
    assert draw.response.gains.shape == (5, 3, num_paths)
    assert draw.response.gains.dtype == torch.complex64
    assert draw.response.delays_s.dtype == torch.float64
    assert draw.snr_db.shape == (5,)
    assert draw.impairments.cfo_hz.shape == (5,)
    assert bool(torch.isfinite(torch.view_as_real(draw.response.gains)).all())


def test_same_seed_same_draw(model: ChannelModel) -> None:
    first, second = (model.draw(4, **STEPS, generator=seeded(6)) for _ in range(2))
    assert torch.equal(first.response.gains, second.response.gains)
    assert torch.equal(first.snr_db, second.snr_db)
    assert torch.equal(first.impairments.cfo_hz, second.impairments.cfo_hz)


def test_mean_path_powers_sum_to_one(model: ChannelModel) -> None:
    n = 8000
    gains = model.draw(n, **(STEPS | {"num_steps": 1}), generator=seeded()).response.gains
    total = gains.abs().double().square().sum(dim=-1)[:, 0]
    assert total.mean().item() == pytest.approx(1.0, abs=5 * total.std().item() / n**0.5 + 1e-6)


def test_a_batch_has_the_statistics_of_singles(model: ChannelModel) -> None:
    n, generator = 400, seeded(2)
    batch = model.draw(n, **STEPS, generator=generator).response.gains
    singles = torch.cat(
        [model.draw(1, **STEPS, generator=generator).response.gains for _ in range(n)]
    )
    for of in (batch, singles):
        assert of.shape == singles.shape
    difference = batch.abs().square().mean(dim=(0, 1)) - singles.abs().square().mean(dim=(0, 1))
    spread = batch.abs().square().std(dim=(0, 1)) + singles.abs().square().std(dim=(0, 1))
    assert bool((difference.abs() <= 5 * spread / n**0.5 + 1e-6).all())


def test_links_of_a_batch_do_not_repeat(model: ChannelModel) -> None:
    if isinstance(model, Awgn):
        pytest.skip("AWGN has one response")
    draw = model.draw(6, **STEPS, generator=seeded())
    links = draw.snr_db[:, None] if isinstance(model, AwgnRange) else draw.response.gains.flatten(1)
    assert len({tuple(row.tolist()) for row in links}) > 1


def test_a_realisation_is_a_function_of_time(model: ChannelModel) -> None:
    realisation = model.realise(symbol_rate_hz=1e7, generator=seeded(3))
    times_s = torch.arange(-5, 200, dtype=torch.float64) * 1e-3
    whole = realisation.gains(times_s)
    assert whole.shape == (205, len(realisation.delays_s))
    assert whole.dtype == torch.complex64
    for part in (times_s[:1], times_s[50:83], times_s[100:].flip(0)):
        again = realisation.gains(part)
        index = ((part / 1e-3).round().long() + 5).tolist()
        torch.testing.assert_close(again, whole[index], rtol=0, atol=1e-6)


def test_same_seed_same_realisation(model: ChannelModel) -> None:
    first, second = (
        draw_of(
            model.realise(symbol_rate_hz=1e7, generator=seeded(9)), num_steps=4, interval_s=1e-2
        )
        for _ in range(2)
    )
    assert torch.equal(first.response.gains, second.response.gains)
    assert torch.equal(first.snr_db, second.snr_db)


def test_realisations_have_the_mean_power_of_draws(model: ChannelModel) -> None:
    generator, powers = seeded(4), []
    times_s = torch.arange(0, 4, dtype=torch.float64) * 0.5
    for _ in range(150):
        realisation = model.realise(symbol_rate_hz=1e7, generator=generator)
        powers.append(realisation.gains(times_s).abs().square().sum(dim=-1).mean().item())
    values = torch.tensor(powers)
    assert values.mean().item() == pytest.approx(
        1.0, abs=5 * values.std().item() / len(powers) ** 0.5 + 1e-6
    )


def test_a_density_becomes_the_snr_of_the_symbol_rate() -> None:
    model = dataclasses.replace(EMPIRICAL, cn0_dbhz=Distribution.constant(85.0))
    for symbol_rate_hz, snr_db in ((10e6, 15.0), (1e6, 25.0)):
        draw = model.draw(2, **(STEPS | {"symbol_rate_hz": symbol_rate_hz}), generator=seeded())
        assert draw.snr_db.tolist() == pytest.approx([snr_db, snr_db])


@pytest.mark.parametrize(
    "change", [{"num_steps": 0}, {"interval_s": 0.0}, {"symbol_rate_hz": -1.0}]
)
def test_impossible_sizes_are_refused(model: ChannelModel, change: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        model.draw(2, **(STEPS | change), generator=seeded())


def test_gradients_through_a_draw_are_right(model: ChannelModel) -> None:
    draw = model.draw(2, num_steps=2, interval_s=8e-7, symbol_rate_hz=1e7, generator=seeded(7))
    # Rounding to the steps of a converter has no derivative; the straight-through one is tested in
    # test_converter.py.
    smooth = dataclasses.replace(
        draw.impairments,
        bits=torch.zeros_like(draw.impairments.bits),
        clip_level=torch.full_like(draw.impairments.clip_level, math.inf),
    )
    iq = torch.randn(2, 16, dtype=torch.complex128, generator=seeded(8)).requires_grad_()

    def received(samples: torch.Tensor) -> torch.Tensor:
        return apply_draw(
            samples,
            dataclasses.replace(draw, impairments=smooth),
            sample_rate_hz=2e7,
            symbol_rate_hz=1e7,
            reference_power=0.5,
            generator=seeded(9),
        )

    assert torch.autograd.gradcheck(received, (iq,), fast_mode=True)
