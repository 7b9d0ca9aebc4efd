"""The profile of the machine that this runs on, measured now and checked with other networks."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from phyemu.errors import ConfigError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.toml_config import to_table

from .calibration import Case, calibration_layers, calibration_networks, unseen_networks
from .device_profile import DeviceProfile, Powers, ProfileUncertainty, read_device_profile
from .energy import EnergyMeter, energy_per_call
from .hardware import device_name
from .profile_fit import TimedWork, fit_compute_model, relative_errors
from .registry import find_meter
from .stopwatch import time_calls
from .work import count_work

__all__ = ["MeasuredProfile", "measure_profile"]

_REPETITIONS = 60
# What a meter that measures may be off, and an assumed power: a factor of two.
_METER_ERROR, _ASSUMPTION_ERROR = 0.1, 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredProfile:
    """A profile and how well it holds.

    Attributes:
        profile: The profile.
        held_out: Relative errors of modelled times of networks the fit has not seen, by name.
        busyness: Median over lowest time, in the median over all networks: 1 on a quiet machine.
    """

    profile: DeviceProfile
    held_out: dict[str, float]
    busyness: float

    @property
    def median_error(self) -> float:
        """Half of the held-out networks are off by no more than this."""
        return statistics.median(abs(error) for error in self.held_out.values())

    def to_dict(self) -> dict[str, Any]:
        """Return profile and errors as JSON values."""
        return {
            "profile": to_table(self.profile),
            "held_out": self.held_out,
            "median_error": self.median_error,
            "worst_error": self.worst_error,
            "busyness": self.busyness,
        }

    @property
    def worst_error(self) -> float:
        """The largest error of a held-out network, either way."""
        return max(abs(error) for error in self.held_out.values())


def measure_profile(
    name: str = "this-machine",
    *,
    heads: Sequence[Case] = (),
    device: str = "cpu",
    meter: EnergyMeter | None = None,
    seconds_per_case: float = 0.25,
    progress: ProgressCallback = no_progress,
) -> MeasuredProfile:
    """Return the profile of this machine, in some seconds for each of some 75 networks.

    The lowest of repeated times counts, so that what else runs disturbs little; the machine should
    be quiet all the same. Rates hold for torch as it is set up now, its number of threads among it.

    Args:
        name: Of the profile.
        heads: Networks that the profile is checked with besides those of phyemu's own.
        device: Where networks run, as torch names it.
        meter: Measures the power while a network runs; None: the best there is.
        seconds_per_case: Time for a network [s], > 0.
        progress: Told of the networks.

    Raises:
        ConfigError: There is no such device.
        FitError: The times support no profile.
        MeterError: The meter fails.
    """
    place = _device(device)
    meter = find_meter(device=place) if meter is None else meter
    layers, networks = list(calibration_layers()), list(calibration_networks())
    unseen = [*unseen_networks(), *heads]
    # Layers are many and networks few, but networks are what a profile is for.
    weight = math.sqrt(len(layers) / len(networks))
    total = len(layers) + len(networks) + len(unseen)
    timed: list[TimedWork] = []
    spreads: list[float] = []
    for case in (*layers, *networks, *unseen):
        progress("profile", len(timed), total, case.name)
        times = _times(case, place, seconds_per_case)
        spreads.append(statistics.median(times) / min(times))
        timed.append(
            TimedWork(
                name=case.name,
                work=count_work(case.network, _inputs(case, place)),
                seconds=min(times),
                weight=weight if case in networks else 1.0,
            )
        )
    progress("profile", total, total)
    seen = len(layers) + len(networks)
    compute = fit_compute_model(timed[:seen])
    held_out = relative_errors(compute, timed[seen:])
    latency_error = math.sqrt(statistics.fmean(error**2 for error in held_out.values()))
    compute_w = _power_w(networks[-1], place, meter)
    power_error = _ASSUMPTION_ERROR if meter.modelled else _METER_ERROR
    busyness = statistics.median(spreads)
    paper = read_device_profile("jetson-orin-nano")
    profile = DeviceProfile(
        name=name,
        source=(
            f"measured: {device_name(place)}, {torch.get_num_threads()} threads, torch "
            f"{torch.__version__}; median over lowest times {busyness:.2f}"
        ),
        compute=compute,
        powers=Powers(compute_w=compute_w, transmit_w=paper.powers.transmit_w),
        uncertainty=ProfileUncertainty(
            latency=latency_error, energy=math.hypot(latency_error, power_error)
        ),
        assumptions=(
            f"compute_w: {meter.name}",
            f"transmit_w: that of {paper.name}; there is no radio here to measure",
            "uncertainty of latency: root mean square over networks that the fit has not seen",
        ),
    )
    return MeasuredProfile(profile=profile, held_out=held_out, busyness=busyness)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ConfigError(f"{name!r} is no device of torch; give cpu or cuda") from exc
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{name}: torch finds no GPU here; give cpu")
    return device


def _inputs(case: Case, device: torch.device) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(case.shape, generator=generator).to(device)


def _times(case: Case, device: torch.device, seconds: float) -> list[float]:
    network = case.network.to(device).eval()
    inputs = _inputs(case, device)
    with torch.inference_mode():
        times, _ = time_calls(lambda _: _waited(network, inputs), _REPETITIONS, budget_s=seconds)
    return times


def _waited(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    output: torch.Tensor = network(inputs)
    if output.is_cuda:
        torch.cuda.synchronize(output.device)
    return output


def _power_w(case: Case, device: torch.device, meter: EnergyMeter) -> float:
    network, inputs = case.network, _inputs(case, device)
    with torch.inference_mode():
        found = energy_per_call(lambda: _waited(network, inputs), meter, min_duration_s=0.2)
    return found.energy_j / found.duration_s
