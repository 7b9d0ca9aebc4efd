"""Noise levels: one of two statements, and what they become."""

import pytest
import torch

from phyemu.channel import Distribution, NoiseLevel
from phyemu.errors import ConfigError


def test_density_minus_symbol_rate_is_the_snr(generator: torch.Generator) -> None:
    level = NoiseLevel(cn0_dbhz=Distribution.constant(80.0))
    drawn = level.draw_snr_db(3, symbol_rate_hz=1e6, generator=generator)
    assert drawn.tolist() == pytest.approx([20.0] * 3)


def test_exactly_one_statement_is_wanted(generator: torch.Generator) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        NoiseLevel()
    with pytest.raises(ConfigError, match="exactly one"):
        NoiseLevel(snr_db=Distribution.constant(1.0), cn0_dbhz=Distribution.constant(1.0))
    with pytest.raises(ConfigError, match="symbol_rate_hz"):
        NoiseLevel.of_snr_db(3.0).draw_snr_db(1, symbol_rate_hz=0.0, generator=generator)
    with pytest.raises(ConfigError, match="snr_db"):
        NoiseLevel.of_snr_db(float("nan"))
    with pytest.raises(ConfigError, match="at least -200 dB, got -5000"):
        NoiseLevel.of_snr_db(-5000.0)
    assert NoiseLevel.of_snr_db(float("inf")).snr_db is not None
