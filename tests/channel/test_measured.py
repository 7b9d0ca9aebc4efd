"""Measured responses played back."""

import itertools

import pytest
import torch

from phyemu.channel import ImpulseResponse, MeasuredChannel, NoiseLevel, Playback
from phyemu.errors import ConfigError


def record(playback: Playback = Playback.IN_ORDER) -> MeasuredChannel:
    gains = torch.arange(1, 6, dtype=torch.float32)[:, None] + 0j
    response = ImpulseResponse(gains, torch.zeros(1, dtype=torch.float64), 1e-3)
    return MeasuredChannel(
        name="ramp", responses=response, noise=NoiseLevel.of_snr_db(10.0), playback=playback
    )


def ranks(gains: torch.Tensor) -> list[int]:
    unit = (sum(n * n for n in range(1, 6)) / 5) ** 0.5
    return [round(value) for value in (gains[:, 0].real * unit).tolist()]


def test_in_order_walks_around_the_record(generator: torch.Generator) -> None:
    realisation = record().realise(symbol_rate_hz=1e6, generator=generator)
    walked = ranks(realisation.gains(torch.arange(12, dtype=torch.float64) * 1e-3))
    for before, after in itertools.pairwise(walked):
        assert after == before % 5 + 1


def test_resampled_draws_each_response_equally_often(generator: torch.Generator) -> None:
    realisation = record(Playback.RESAMPLED).realise(symbol_rate_hz=1e6, generator=generator)
    walked = ranks(realisation.gains(torch.arange(5000, dtype=torch.float64) * 1e-3))
    for rank in range(1, 6):
        assert walked.count(rank) == pytest.approx(1000, abs=5 * 800**0.5)


@pytest.mark.parametrize("playback", list(Playback))
def test_a_response_is_held_around_its_own_time(
    playback: Playback, generator: torch.Generator
) -> None:
    realisation = record(playback).realise(symbol_rate_hz=1e6, generator=generator)
    times_s = torch.arange(1, 200, dtype=torch.float64)[:, None] * 1e-3
    around = times_s + torch.tensor([-0.49e-3, 0.0, 0.49e-3])
    held = realisation.gains(around.flatten())[:, 0].view(-1, 3)
    assert torch.equal(held, held[:, :1].expand(-1, 3))


def test_draws_step_through_the_record_at_its_own_interval(generator: torch.Generator) -> None:
    draw = record().draw(20, num_steps=6, interval_s=5e-4, symbol_rate_hz=1e6, generator=generator)
    for row in draw.response.gains:
        walked = ranks(row)
        assert walked[0] == walked[1]
        assert walked[2] == walked[0] % 5 + 1


def test_silent_or_batched_responses_are_refused() -> None:
    delays_s = torch.zeros(1, dtype=torch.float64)
    for gains, message in ((torch.zeros(2, 1), "power"), (torch.ones(2, 2, 1), "time, path")):
        with pytest.raises(ConfigError, match=message):
            MeasuredChannel(
                name="none",
                responses=ImpulseResponse(gains + 0j, delays_s, 1.0),
                noise=NoiseLevel.of_snr_db(1.0),
            )
