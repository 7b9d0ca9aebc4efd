"""`phyemu colosseum`: what a Colosseum reservation needs."""

import click

from .colosseum_collect import command as collect_command
from .colosseum_node import command as node_command
from .colosseum_radio_map import command as radio_map_command
from .colosseum_rehearse import command as rehearse_command
from .colosseum_run import command as run_command
from .colosseum_scenario import scenario


@click.group("colosseum")
def command() -> None:
    """Prepare what a Colosseum reservation needs."""


command.add_command(scenario)
command.add_command(run_command)
command.add_command(radio_map_command)
command.add_command(collect_command)
command.add_command(node_command)
command.add_command(rehearse_command)
