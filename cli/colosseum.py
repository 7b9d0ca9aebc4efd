"""`phyemu colosseum`: what a Colosseum reservation needs."""

import click

from .colosseum_scenario import scenario


@click.group("colosseum")
def command() -> None:
    """Prepare what a Colosseum reservation needs."""


command.add_command(scenario)
