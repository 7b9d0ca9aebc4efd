from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from phyemu.errors import ConfigError
from phyemu.metering import (
    Combination,
    DeviceProfile,
    count_work,
    load_device_profile,
    profile_library,
    profile_names,
    read_device_profile,
    save_device_profile,
)


@pytest.fixture
def profile() -> DeviceProfile:
    return read_device_profile("jetson-orin-nano")


def test_the_shipped_profile_is_found_by_name_and_says_what_it_is(profile: DeviceProfile) -> None:
    assert profile.name == "jetson-orin-nano"
    assert profile.compute.combination is Combination.OVERLAP
    assert "not measured" in profile.source
    assert profile.assumptions
    assert {"jetson-orin-nano", "this-machine"} <= set(profile_names())


def test_energy_is_time_at_the_computing_power(profile: DeviceProfile) -> None:
    network = nn.Conv2d(3, 8, 3)
    seconds = profile.latency_s(network, (4, 3, 16, 16))
    assert seconds == profile.compute.seconds(count_work(network, (4, 3, 16, 16)))
    assert profile.energy_j(network, (4, 3, 16, 16)) == pytest.approx(seconds * 6.8)
    assert profile.transmit_j(0.5) == pytest.approx(0.5 * 2.27)


def test_a_profile_that_was_saved_is_read_as_it_was(profile: DeviceProfile, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    save_device_profile(replace(profile, name="mine"), path)
    assert load_device_profile(path) == replace(profile, name="mine")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.toml"]


def test_a_place_that_cannot_be_written_is_named(profile: DeviceProfile, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/x\.toml: cannot be written"):
        save_device_profile(profile, tmp_path / "nowhere" / "x.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("compute_w = 6.8", "compute_w = -6.8", "compute_w must not be negative, got -6.8"),
        ("compute_w = 6.8", 'compute_w = "7 W"', "compute_w must be of type float"),
        ("transmit_w = 2.27", "transmit = 2.27", "unknown key 'transmit'; did you mean transmit_w"),
        ('combination = "overlap"', 'combination = "max"', "must be one of sum, overlap"),
        ("latency = 0.15", "latency = nan", "latency must not be negative, got nan"),
        ("macs_per_s = 1.314e11", "macs_per_s = 0", "macs_per_s must be positive"),
        ("[uncertainty]", "[doubt]", "unknown key 'doubt'"),
        ("name =", "name", "cannot be read as TOML"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_with_its_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    shipped = Path(__file__).parents[2] / "devices" / "jetson-orin-nano.toml"
    path = tmp_path / "mine.toml"
    path.write_text(shipped.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=f"mine.toml.*{message}"):
        load_device_profile(path)


def test_an_unknown_name_has_its_near_match() -> None:
    with pytest.raises(ConfigError, match="near names: jetson-orin-nano"):
        load_device_profile("jetson-orin-nanno")


def test_this_machine_is_measured_unless_ones_library_has_it(
    profile: DeviceProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Measured:
        def __init__(self) -> None:
            self.profile = replace(profile, name="measured now")

    monkeypatch.setattr(profile_library, "measure_profile", Measured)
    assert load_device_profile("this-machine").name == "measured now"
    (tmp_path / "devices").mkdir()
    save_device_profile(replace(profile, name="kept"), tmp_path / "devices" / "this-machine.toml")
    monkeypatch.setenv("PHYEMU_LIBRARY", str(tmp_path))
    assert load_device_profile("this-machine").name == "kept"
