"""Settings of streams and networks that are out of range: one line each."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from phyemu.channel import Awgn, ChannelNetwork, ChannelStream
from phyemu.errors import ConfigError

RATES = {"sample_rate_hz": 20e6, "symbol_rate_hz": 10e6, "reference_power": 0.02}


def stream(**settings: Any) -> ChannelStream:
    return ChannelStream(Awgn(20.0), **{**RATES, "seed": 1, **settings})


def network(**settings: Any) -> ChannelNetwork:
    return ChannelNetwork({("a", "x"): Awgn(20.0)}, **{**RATES, "seed": 1, **settings})


@pytest.mark.parametrize("make", [stream, network])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interval_s": math.inf}, "interval_s must be above 0 and at most 86400 s, got inf"),
        ({"interval_s": 1e300}, "at most 86400 s, got 1e.300"),
        ({"interval_s": math.nan}, "at most 86400 s, got nan"),
        ({"interval_s": 0.0}, "interval_s must be above 0"),
        ({"num_threads": 0}, "num_threads must be an integer of at least 1, got 0"),
        ({"num_threads": 1.5}, "num_threads must be an integer of at least 1, got 1.5"),
        ({"reference_power": math.inf}, "need finite .* reference_power >= 0; got .*=inf"),
        ({"reference_power": math.nan}, "need finite .* reference_power >= 0; got .*=nan"),
        ({"sample_rate_hz": math.inf}, "sample_rate_hz must be positive, got inf"),
    ],
)
def test_a_setting_out_of_range_is_named(
    make: Callable[..., object], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**settings)


@pytest.mark.parametrize("level", [1e6, -401.0, math.inf, math.nan])
def test_a_level_that_no_sample_holds_is_named(level: float) -> None:
    allowed = "must be from -400 to 400 dB, got"
    with pytest.raises(ConfigError, match=f"noise_dbfs of x {allowed}"):
        network(noise_dbfs={"x": level})
    with pytest.raises(ConfigError, match=f"gains_db of a to x {allowed}.*leave an absent link"):
        network(gains_db={("a", "x"): level})


def test_the_longest_interval_plays() -> None:
    received = stream(interval_s=86_400.0).process(np.full(100, 0.1, np.complex64))
    assert np.isfinite(received).all()
