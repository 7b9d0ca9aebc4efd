"""Colosseum: scenarios, the limits of its channel emulator, and its exchange format."""

from phyemu.colosseum.exchange import export_mat, import_mat
from phyemu.colosseum.files import load_scenario, save_scenario
from phyemu.colosseum.limits import Violation, check_scenario
from phyemu.colosseum.scenario import Scenario

__all__ = [
    "Scenario",
    "Violation",
    "check_scenario",
    "export_mat",
    "import_mat",
    "load_scenario",
    "save_scenario",
]
