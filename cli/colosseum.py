"""`phyemu colosseum`: what a Colosseum reservation needs."""

import click

from .colosseum_batch import command as batch_command
from .colosseum_collect import command as collect_command
from .colosseum_node import command as node_command
from .colosseum_package import command as package_command
from .colosseum_radio_map import command as radio_map_command
from .colosseum_rehearse import command as rehearse_command
from .colosseum_run import command as run_command
from .colosseum_scenario import scenario
from .colosseum_upload import command as upload_command


@click.group("colosseum")
def command() -> None:
    """Prepare what a Colosseum reservation needs."""


command.add_command(scenario)
command.add_command(run_command)
command.add_command(radio_map_command)
command.add_command(collect_command)
command.add_command(batch_command)
command.add_command(upload_command)
command.add_command(package_command)
command.add_command(node_command)
command.add_command(rehearse_command)
