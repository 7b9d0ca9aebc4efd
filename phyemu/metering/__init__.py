"""What inference costs: work, seconds and joules, measured or by a stated model."""

from phyemu.metering.calibration import Case
from phyemu.metering.compute_model import Combination, ComputeModel, KindRates
from phyemu.metering.device_profile import (
    DeviceProfile,
    Powers,
    ProfileUncertainty,
    read_device_profile,
    save_device_profile,
)
from phyemu.metering.energy import Energy, EnergyMeter, EnergyPerCall, energy_per_call
from phyemu.metering.hardware import device_name
from phyemu.metering.inference_cost import InferenceCost
from phyemu.metering.measured_profile import MeasuredProfile, measure_profile
from phyemu.metering.power_model import PowerModel, assumed_power
from phyemu.metering.profile_fit import TimedWork, fit_compute_model, relative_errors
from phyemu.metering.profile_library import load_device_profile, profile_names
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
    "Case",
    "Combination",
    "ComputeModel",
    "DeviceProfile",
    "Energy",
    "EnergyMeter",
    "EnergyPerCall",
    "InferenceCost",
    "Inputs",
    "KindRates",
    "MeasuredProfile",
    "OperationKind",
    "PowerModel",
    "Powers",
    "ProfileUncertainty",
    "TimedWork",
    "Work",
    "WorkShare",
    "assumed_power",
    "count_macs",
    "count_parameters",
    "count_work",
    "device_name",
    "energy_per_call",
    "find_meter",
    "fit_compute_model",
    "load_device_profile",
    "measure_profile",
    "meter_names",
    "open_meter",
    "profile_names",
    "read_device_profile",
    "relative_errors",
    "save_device_profile",
    "time_calls",
]
