"""Baselines: every system that the paper compares, each with its training and what it sends."""

from phyemu.baselines.system import System, SystemName, Transport, network_system, phy_system

__all__ = ["System", "SystemName", "Transport", "network_system", "phy_system"]
