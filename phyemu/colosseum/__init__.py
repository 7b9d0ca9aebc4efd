"""Colosseum: scenarios, the limits of its channel emulator, and its exchange format."""

from phyemu.colosseum.construction import LinkReport, MadeScenario, make_scenario
from phyemu.colosseum.exchange import check_exchange, export_mat
from phyemu.colosseum.exchange_reading import check_mat, import_mat
from phyemu.colosseum.files import load_scenario, save_scenario
from phyemu.colosseum.limits import UPDATE_S, Violation, check_scenario
from phyemu.colosseum.link_paths import LinkPaths
from phyemu.colosseum.mchem import MchemChannel, TapHardware
from phyemu.colosseum.path_loss import PathLoss, PathLossLaw, received_cn0_dbhz
from phyemu.colosseum.radio_map import (
    RADIO_MAP_SCHEMA,
    check_radio_map,
    make_radio_map,
    write_radio_map,
)
from phyemu.colosseum.ray_tracing import read_ray_tracing
from phyemu.colosseum.reduction import Reduction, reduce_paths
from phyemu.colosseum.scenario import Scenario
from phyemu.colosseum.scenario_source import (
    ScenarioSource,
    source_of_channel,
    source_of_rays,
    source_of_recording,
    source_of_street,
    source_of_trajectory,
)
from phyemu.colosseum.sources import (
    every_link,
    paths_of_model,
    paths_of_response,
    paths_of_sounding,
)
from phyemu.colosseum.spec import (
    load_channel_or_link,
    load_link_with_budget,
    network_of_spec,
    parse_link,
)
from phyemu.colosseum.tap_comparison import TapComparison, TapError, compare_taps
from phyemu.colosseum.trajectory import Trajectory, read_trajectory
from phyemu.colosseum.twin import MchemEmulator, TwinRadios, load_radios
from phyemu.colosseum.urban import UrbanStreet

__all__ = [
    "RADIO_MAP_SCHEMA",
    "UPDATE_S",
    "LinkPaths",
    "LinkReport",
    "MadeScenario",
    "MchemChannel",
    "MchemEmulator",
    "PathLoss",
    "PathLossLaw",
    "Reduction",
    "Scenario",
    "ScenarioSource",
    "TapComparison",
    "TapError",
    "TapHardware",
    "Trajectory",
    "TwinRadios",
    "UrbanStreet",
    "Violation",
    "check_exchange",
    "check_mat",
    "check_radio_map",
    "check_scenario",
    "compare_taps",
    "every_link",
    "export_mat",
    "import_mat",
    "load_channel_or_link",
    "load_link_with_budget",
    "load_radios",
    "load_scenario",
    "make_radio_map",
    "make_scenario",
    "network_of_spec",
    "parse_link",
    "paths_of_model",
    "paths_of_response",
    "paths_of_sounding",
    "read_ray_tracing",
    "read_trajectory",
    "received_cn0_dbhz",
    "reduce_paths",
    "save_scenario",
    "source_of_channel",
    "source_of_rays",
    "source_of_recording",
    "source_of_street",
    "source_of_trajectory",
    "write_radio_map",
]
