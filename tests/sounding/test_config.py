"""Settings out of range are refused by name."""

import pytest

from phyemu.errors import ConfigError
from phyemu.sounding import SoundingConfig


@pytest.mark.parametrize(
    "settings",
    [
        {"max_paths": 0},
        {"max_paths": 1000},
        {"dynamic_range_db": 0.0},
        {"false_path_rate": 1.0},
        {"min_frames": 0},
        {"band_edge_fraction": 0.5},
        {"channel": -1},
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SoundingConfig(**settings)  # type: ignore[arg-type]
