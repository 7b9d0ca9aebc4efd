"""Settings of the receiver."""

import pytest

from phyemu.errors import ConfigError
from phyemu.receiver import ReceiverConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_cfo_hz", -1.0),
        ("max_sfo_ppm", 300.0),
        ("false_alarm_rate", 0.0),
        ("early_symbols", 0),
        ("late_symbols", 1000),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=setting):
        ReceiverConfig(**{setting: value})
