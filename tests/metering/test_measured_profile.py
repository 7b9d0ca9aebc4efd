from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from phyemu.errors import ConfigError
from phyemu.metering import (
    Case,
    Energy,
    count_work,
    measure_profile,
    measured_profile,
    read_device_profile,
)


class Bench:
    """A meter that finds 5 W."""

    name = "bench"
    modelled = False
    resolution_s = 0.0

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        energy = Energy()
        yield energy
        energy.finish(energy_j=2.5, duration_s=0.5)


def test_a_machine_whose_times_are_a_sum_is_profiled_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Times that a known profile gives stand for those of a machine."""
    truth = read_device_profile("jetson-orin-nano").compute

    def seconds(case: Case) -> float:
        work = count_work(case.network, case.shape)
        # As the profile, but without overlap: that is what a measured one assumes.
        return (
            work.num_operations * 1e-5
            + work.macs / truth.convolution.macs_per_s
            + work.bytes_moved / 6.8e10
        )

    monkeypatch.setattr(
        measured_profile, "_times", lambda case, *_: [1.5 * seconds(case), seconds(case)]
    )
    head = Case(name="a head", network=nn.Conv2d(3, 8, 3), shape=(5, 3, 20, 20))
    steps: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        steps.append((done, total))

    found = measure_profile("mine", heads=[head], meter=Bench(), progress=progress)
    assert found.profile.name == "mine"
    assert "a head" in found.held_out
    assert found.worst_error < 1e-3
    assert found.busyness == pytest.approx(1.25)
    assert found.profile.compute.convolution.operation_s == pytest.approx(1e-5, rel=0.01)
    assert found.profile.compute.convolution.macs_per_s == pytest.approx(
        truth.convolution.macs_per_s, rel=0.01
    )
    assert found.profile.powers.compute_w == pytest.approx(5.0)
    assert found.profile.uncertainty.energy == pytest.approx(0.1, abs=1e-3)
    assert steps[-1][0] == steps[-1][1] == len(steps) - 1


def test_this_machine_is_profiled_and_the_errors_are_told() -> None:
    found = measure_profile(seconds_per_case=1e-4)
    profile = found.profile
    assert profile.name == "this-machine"
    assert profile.source.startswith("measured: ")
    assert torch.__version__ in profile.source
    assert found.median_error <= found.worst_error
    assert profile.uncertainty.latency <= found.worst_error
    assert found.busyness >= 1
    small, large = nn.Linear(8, 8), nn.Linear(2048, 2048)
    assert profile.latency_s(small, (1, 8)) < profile.latency_s(large, (64, 2048))
    told = found.to_dict()
    assert told["profile"]["compute"]["combination"] == "sum"
    assert set(told["held_out"]) == set(found.held_out)


@pytest.mark.parametrize(("device", "message"), [("tpu9", "no device"), ("cuda", "no GPU")])
def test_a_device_that_is_not_there_is_refused(device: str, message: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match=message):
        measure_profile(device=device)
