"""Domain randomisation: what it spreads, how far, and that a factor of one does nothing."""

import dataclasses
import math

import pytest
import torch

from phyemu.channel import (
    Awgn,
    AwgnRange,
    ChannelStream,
    Distribution,
    EmpiricalChannel,
    FrontEnd,
    ImpulseResponse,
    MeasuredChannel,
    NoiseLevel,
    Widened,
    draw_of,
    load_channel,
    tdl,
)
from phyemu.channel.drift import LargeScaleDrift
from phyemu.errors import ConfigError

FITTED = EmpiricalChannel(
    name="fitted",
    delays_s=(10e-9, 42e-9, 133e-9),
    powers=(0.7, 0.2, 0.1),
    k_factor=(4.0, 0.0, math.inf),
    doppler_hz=(2.0, 5.0, 0.0),
    cn0_dbhz=Distribution.normal(85.0, 2.0),
    front_end=FrontEnd(cfo_hz=Distribution.uniform(900.0, 1100.0)),
    drift=LargeScaleDrift(std_db=1.2, correlation_s=3.0),
)
STEPS = {"num_steps": 2, "interval_s": 1e-3, "symbol_rate_hz": 1e7}


def variants(model: Widened, count: int, generator: torch.Generator) -> list[EmpiricalChannel]:
    drawn = [model.variant(generator) for _ in range(count)]
    return [variant for variant in drawn if isinstance(variant, EmpiricalChannel)]


def test_a_factor_of_one_is_the_model_itself() -> None:
    plain = load_channel("office-nlos")
    same = load_channel("widen:1:office-nlos")
    first, second = (
        model.draw(5, **STEPS, generator=torch.Generator().manual_seed(4))
        for model in (plain, same)
    )
    assert torch.equal(first.response.gains, second.response.gains)
    assert torch.equal(first.response.delays_s, second.response.delays_s)
    assert torch.equal(first.snr_db, second.snr_db)
    assert torch.equal(first.impairments.seed, second.impairments.seed)
    left, right = (
        draw_of(
            model.realise(symbol_rate_hz=1e7, generator=torch.Generator().manual_seed(4)),
            num_steps=3,
            interval_s=1e-2,
        )
        for model in (plain, same)
    )
    assert torch.equal(left.response.gains, right.response.gains)


def test_scales_are_log_uniform_within_the_factor(generator: torch.Generator) -> None:
    count = 600
    drawn = variants(Widened(FITTED, 2.0), count, generator)
    assert len(drawn) == count
    logs = {
        "delay": [(v.delays_s[2] - v.delays_s[0]) / 123e-9 for v in drawn],
        "k": [v.k_factor[0] / 4.0 for v in drawn],
        "doppler": [v.doppler_hz[1] / 5.0 for v in drawn],
    }
    for scales in logs.values():
        values = torch.tensor(scales).log()
        assert values.abs().max() <= math.log(2) + 1e-9
        # Uniform over 2 ln 2: the mean of 600 deviates by 2 ln 2 / sqrt(12 x 600), its standard
        # deviation by less than a tenth of that over the mean.
        assert values.mean().item() == pytest.approx(0, abs=5 * 2 * math.log(2) / 7200**0.5)
        assert values.std().item() == pytest.approx(2 * math.log(2) / 12**0.5, rel=0.1)
    for variant in drawn[:20]:
        assert variant.delays_s[0] == FITTED.delays_s[0]
        assert sum(variant.powers) == pytest.approx(1.0)
        assert variant.k_factor[1:] == (0.0, math.inf)
        ratios = [power / was for power, was in zip(variant.powers, FITTED.powers, strict=True)]
        assert max(ratios) / min(ratios) <= 4.0 + 1e-9
        assert variant.doppler_hz[1] / variant.doppler_hz[0] == pytest.approx(2.5)


def test_the_spread_of_each_distribution_grows_by_the_factor(generator: torch.Generator) -> None:
    for variant in variants(Widened(FITTED, 1.5), 20, generator):
        level, cfo_hz = variant.cn0_dbhz, variant.front_end.cfo_hz
        assert level is not None
        assert level.std == pytest.approx(1.5 * 2.0)
        assert variant.drift == LargeScaleDrift(std_db=1.5 * 1.2, correlation_s=3.0)
        assert abs(level.mean - 85.0) <= 10 * math.log10(1.5)
        scale = cfo_hz.mean / 1000.0
        assert 1 / 1.5 <= scale <= 1.5
        assert cfo_hz.std / scale == pytest.approx(1.5 * 200 / 12**0.5)
        assert cfo_hz.quantiles == pytest.approx([scale * 850.0, scale * 1150.0])


def test_draws_spread_more_than_those_of_the_model(generator: torch.Generator) -> None:
    def spreads(model: Widened) -> torch.Tensor:
        values = []
        for _ in range(60):
            response = model.draw(8, **STEPS, generator=generator).response
            powers = response.gains[:, 0].abs().double().square()
            powers = powers / powers.sum(-1, keepdim=True)
            mean = powers @ response.delays_s
            values.append((powers @ response.delays_s.square() - mean.square()).clamp(min=0).sqrt())
        return torch.cat(values)

    assert spreads(Widened(FITTED, 3.0)).std() > 1.3 * spreads(Widened(FITTED, 1.0)).std()


def test_specular_and_diffuse_doppler_scale_together(generator: torch.Generator) -> None:
    model = tdl("D", rms_delay_spread_s=1e-7, snr_db=9.0, doppler_hz=10.0)
    variant = Widened(model, 2.0).variant(generator)
    assert isinstance(variant, type(model))
    assert variant.specular_doppler_hz == pytest.approx(0.7 * variant.doppler_hz)


def test_a_record_is_widened_in_delays_powers_and_speed(generator: torch.Generator) -> None:
    gains = torch.randn(40, 2, dtype=torch.complex64, generator=generator)
    delays_s = torch.tensor([0.0, 60e-9], dtype=torch.float64)
    record = MeasuredChannel(
        name="record",
        responses=ImpulseResponse(gains, delays_s, 2e-3),
        noise=NoiseLevel.of_snr_db(9.0),
    )
    variant = Widened(record, 2.0).variant(generator)
    assert isinstance(variant, MeasuredChannel)
    assert 30e-9 <= variant.responses.delays_s[1].item() <= 120e-9
    assert 1e-3 <= variant.responses.interval_s <= 4e-3
    ratio = variant.responses.gains / gains
    torch.testing.assert_close(ratio, ratio[:1].expand(40, -1))
    assert 0.5**0.5 <= ratio[0, 0].real <= 2**0.5
    assert ratio[0, 0] != ratio[0, 1]


def test_a_stream_plays_a_variant() -> None:
    stream = ChannelStream(
        load_channel("widen:1.5:office-nlos"),
        sample_rate_hz=20e6,
        symbol_rate_hz=10e6,
        reference_power=0.5,
        seed=3,
    )
    received = stream.process(torch.ones(5000, dtype=torch.complex64).numpy())
    assert received.shape == (5000,)
    assert abs(received[1000:]).mean() > 0


def test_what_cannot_be_widened_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 to 10"):
        Widened(Awgn(3.0), 11.0)
    with pytest.raises(ConfigError, match="Widened cannot be widened"):
        Widened(Widened(Awgn(3.0), 1.5), 1.5)


def test_a_range_of_snr_is_widened_about_its_middle(generator: torch.Generator) -> None:
    shift_db = 10 * math.log10(1.5)
    middles = []
    for _ in range(200):
        variant = Widened(AwgnRange(4.0, 20.0), 1.5).variant(generator)
        assert isinstance(variant, AwgnRange)
        assert variant.highest_snr_db - variant.lowest_snr_db == pytest.approx(1.5 * 16)
        middles.append((variant.highest_snr_db + variant.lowest_snr_db) / 2 - 12)
    # Uniform in decibels: none of 200 in the outer 2.5 % at an end has the probability 0.6 %.
    assert -shift_db <= min(middles) < -0.95 * shift_db
    assert 0.95 * shift_db < max(middles) <= shift_db


def test_no_noise_stays_no_noise(generator: torch.Generator) -> None:
    variant = Widened(Awgn(math.inf), 2.0).variant(generator)
    assert variant == Awgn(math.inf)
    (fitted,) = variants(
        Widened(
            dataclasses.replace(FITTED, cn0_dbhz=None, snr_db=Distribution.constant(math.inf)), 2.0
        ),
        1,
        generator,
    )
    assert fitted.snr_db is not None
    assert fitted.snr_db.mean == math.inf
