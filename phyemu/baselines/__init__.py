"""Baselines: every system that the paper compares, each with its training and what it sends."""

from phyemu.baselines.bottlefit_network import BottleFitNet
from phyemu.baselines.config import BottleFitConfig, DtJsccConfig, SystemConfig
from phyemu.baselines.losses import distilled_task_loss, mimic_loss, robust_bottleneck_loss
from phyemu.baselines.run import (
    SystemReport,
    load_system,
    read_report,
    read_system_config,
    train_system,
)
from phyemu.baselines.settings import load_backbone, resolve_system_config, system_preset
from phyemu.baselines.straight_through import DecidingLink
from phyemu.baselines.system import System, SystemName, Transport, network_system, phy_system

__all__ = [
    "BottleFitConfig",
    "BottleFitNet",
    "DecidingLink",
    "DtJsccConfig",
    "System",
    "SystemConfig",
    "SystemName",
    "SystemReport",
    "Transport",
    "distilled_task_loss",
    "load_backbone",
    "load_system",
    "mimic_loss",
    "network_system",
    "phy_system",
    "read_report",
    "read_system_config",
    "resolve_system_config",
    "robust_bottleneck_loss",
    "system_preset",
    "train_system",
]
