"""What inference costs: work, seconds and joules, measured or by a stated model."""

from phyemu.metering.device_profile import (
    Combination,
    ComputeModel,
    DeviceProfile,
    Powers,
    ProfileUncertainty,
    load_device_profile,
    profile_names,
)
from phyemu.metering.energy import Energy, EnergyMeter, EnergyPerCall, energy_per_call
from phyemu.metering.inference_cost import InferenceCost
from phyemu.metering.power_model import PowerModel, assumed_power
from phyemu.metering.registry import find_meter, meter_names, open_meter
from phyemu.metering.stopwatch import time_calls
from phyemu.metering.work import (
    Inputs,
    OperationKind,
    Work,
    WorkShare,
    count_macs,
    count_parameters,
    count_work,
)

__all__ = [
    "Combination",
    "ComputeModel",
    "DeviceProfile",
    "Energy",
    "EnergyMeter",
    "EnergyPerCall",
    "InferenceCost",
    "Inputs",
    "OperationKind",
    "PowerModel",
    "Powers",
    "ProfileUncertainty",
    "Work",
    "WorkShare",
    "assumed_power",
    "count_macs",
    "count_parameters",
    "count_work",
    "energy_per_call",
    "find_meter",
    "load_device_profile",
    "meter_names",
    "open_meter",
    "profile_names",
    "time_calls",
]
