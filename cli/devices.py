"""`phyemu devices`: the radios there are."""

import click

from .options import echo_json, json_option


@click.command("devices")
@click.option("--usrp", metavar="ARGS", default="", help="UHD arguments that narrow the search.")
@json_option
def command(usrp: str, as_json: bool) -> None:
    """List the USRPs that answer, and the emulated worlds."""
    from phyemu.channel import world, world_names
    from phyemu.errors import RadioError
    from phyemu.radio import find_usrps

    worlds = {f"{name}-world": world(name).description for name in world_names()}
    problem = None
    try:
        usrps = find_usrps(usrp)
    except RadioError as error:
        # The worlds are there without UHD; why there are no USRPs is part of the answer.
        usrps, problem = [], str(error)
    if as_json:
        echo_json(
            {
                "usrps": [{"args": device.args, **device.fields} for device in usrps],
                "usrp_problem": problem,
                "worlds": worlds,
            }
        )
        return
    for device in usrps:
        known = " ".join(f"{key}={value}" for key, value in device.fields.items())
        click.echo(f"--usrp '{device.args}'  {known}")
    if not usrps:
        click.echo(f"no USRP: {problem or 'none answers; check power, cable and network'}")
    for name, description in worlds.items():
        click.echo(f"--emulated {name}  {description}")
