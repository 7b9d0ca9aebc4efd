from importlib.metadata import EntryPoint

import pytest
import torch

from phyemu.errors import MeterError
from phyemu.metering import PowerModel, find_meter, meter_names, open_meter, registry


def bring(monkeypatch: pytest.MonkeyPatch, **meters: str) -> None:
    """Install entry points, name to object."""
    points = [EntryPoint(name, value, registry.GROUP) for name, value in meters.items()]

    def found(*, group: str) -> list[EntryPoint]:
        assert group == "phyemu.energy_meters"
        return points

    monkeypatch.setattr(registry, "entry_points", found)


def answers(monkeypatch: pytest.MonkeyPatch, *present: str) -> list[str]:
    """Let only these meters be there, and return the list of who is asked."""
    asked: list[str] = []

    def open_one(name: str) -> PowerModel:
        asked.append(name)
        if name not in present:
            raise MeterError(f"no {name}")
        return PowerModel(power_w=1.0, source=name)

    monkeypatch.setattr(registry, "open_meter", open_one)
    return asked


def test_a_package_brings_a_meter_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    # A callable of an installed module stands for one of a user's package.
    bring(monkeypatch, bench="phyemu.metering.power_model:assumed_power")
    assert meter_names()[0] == "bench"
    assert "assumed" in open_meter("bench").name
    assert find_meter().name == open_meter("bench").name


def test_a_meter_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, bench="no_such_module:Meter")
    with pytest.raises(MeterError, match=r"bench \(no_such_module:Meter\) cannot be loaded"):
        open_meter("bench")


def test_an_unknown_name_has_its_near_match() -> None:
    with pytest.raises(MeterError, match="did you mean nvml"):
        open_meter("nvlm")
    with pytest.raises(MeterError, match=r"known: .*rapl"):
        open_meter("wattmeter")


def test_a_board_is_asked_before_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch)
    asked = answers(monkeypatch, "rapl", "nvml")
    assert "rapl" in find_meter(device=torch.device("cpu")).name
    assert asked == ["ina3221", "jetson", "rapl"]


def test_rapl_is_not_asked_about_a_gpu_nor_nvml_about_a_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bring(monkeypatch)
    asked = answers(monkeypatch, "rapl", "nvml")
    assert "nvml" in find_meter(device=torch.device("cuda")).name
    assert asked == ["ina3221", "jetson", "nvml"]


def test_where_nothing_measures_a_power_is_assumed_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bring(monkeypatch)
    answers(monkeypatch)
    meter = find_meter()
    assert meter.modelled
    assert "assumed" in meter.name
