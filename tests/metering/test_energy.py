from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from phyemu.errors import ConfigError, MeterError
from phyemu.metering import Energy, PowerModel, assumed_power, energy_per_call, power_model


class Counted:
    """A meter of a world in which each call takes 1 ms and 2 mJ."""

    name = "counted"
    modelled = False

    def __init__(self, resolution_s: float) -> None:
        self.resolution_s = resolution_s
        self.calls = 0
        self.blocks: list[int] = []

    def call(self) -> None:
        self.calls += 1

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        energy = Energy()
        before = self.calls
        yield energy
        made = self.calls - before
        self.blocks.append(made)
        energy.finish(energy_j=2e-3 * made, duration_s=1e-3 * made)


def test_calls_are_repeated_until_the_meter_resolves_them() -> None:
    meter = Counted(resolution_s=0.1)
    found = energy_per_call(meter.call, meter)
    assert found.num_calls >= 2000  # 20 changes of 0.1 s, at 1 ms a call
    assert found.num_calls < 3 * 2000
    assert (found.energy_j, found.duration_s) == pytest.approx((2e-3, 1e-3))
    assert meter.blocks[0] == 1
    assert (found.meter, found.modelled) == ("counted", False)


def test_a_meter_that_resolves_all_measures_one_call_behind_the_first() -> None:
    meter = Counted(resolution_s=0.0)
    assert energy_per_call(meter.call, meter).num_calls == 1
    assert meter.calls == 2


def test_an_energy_is_not_known_before_its_block_has_ended() -> None:
    with Counted(0.0).measure() as energy:
        with pytest.raises(MeterError, match="once the block"):
            _ = energy.energy_j
    assert (energy.energy_j, energy.duration_s, energy.power_w) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("joules", [-1.0, float("nan"), float("inf")])
def test_a_meter_may_not_find_what_cannot_be(joules: float) -> None:
    with pytest.raises(MeterError, match="neither can be below 0"):
        Energy().finish(energy_j=joules, duration_s=1.0)


def test_a_power_model_is_time_at_its_power(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5.0, 5.5])
    monkeypatch.setattr(power_model.time, "perf_counter", lambda: next(times))
    meter = PowerModel(power_w=7.4, source="data sheet")
    with meter.measure() as energy:
        pass
    assert energy.energy_j == pytest.approx(3.7)
    assert meter.modelled
    assert meter.name == "7.4 W (data sheet)"


def test_an_assumed_power_says_so() -> None:
    assert "assumed" in assumed_power().name
    assert assumed_power().modelled


@pytest.mark.parametrize("power_w", [0.0, -1.0, float("nan"), float("inf")])
def test_a_power_that_is_none_is_refused(power_w: float) -> None:
    with pytest.raises(ConfigError, match="power_w must be positive"):
        PowerModel(power_w=power_w, source="")
