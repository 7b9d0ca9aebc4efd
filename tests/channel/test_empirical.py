"""The fitted model's own checks."""

import dataclasses

import pytest

from phyemu.channel import Distribution, EmpiricalChannel, FadingFamily
from phyemu.errors import ConfigError

MODEL = EmpiricalChannel(
    name="fit",
    delays_s=(0.0, 1e-8),
    powers=(0.5, 0.5),
    k_factor=(1.0, 0.0),
    doppler_hz=(1.0, 1.0),
    cn0_dbhz=Distribution.constant(80.0),
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delays_s": (0.0,)}, "1 delays for 2 powers"),
        ({"powers": (0.5, 0.6)}, "sum to one"),
        ({"block_s": 0.0}, "block_s"),
        ({"cn0_dbhz": None}, "exactly one"),
        ({"specular_phase_rad": (1.0,)}, "specular_phase_rad has 1"),
        ({"family": (FadingFamily.RAYLEIGH,) * 2}, "path 0 fades rayleigh and needs K = 0"),
        ({"family": (FadingFamily.NAKAGAMI,) * 2, "shape": (1.0, 0.0)}, "path 1 .* shape > 0"),
        ({"shape": (1.0,)}, "shape has 1 entries for 2 paths"),
        ({"uncertainty": {"mood": ((0.0, 1.0),)}}, "'mood' is unknown; known: delays_s"),
        ({"uncertainty": {"powers": ((0.0, 1.0),)}}, "needs 2 pairs"),
        ({"uncertainty": {"cfo_hz": ((2.0, 1.0),)}}, "low > high"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(MODEL, **change)
