"""`phyemu colosseum`: scenarios of the Colosseum emulator."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    LibraryFile,
    echo_json,
    force_option,
    json_option,
    output_option,
    refuse_existing,
)

if TYPE_CHECKING:
    from phyemu.colosseum import Scenario

SCENARIO = LibraryFile("colosseum", "SCENARIO")


@click.group("colosseum")
def command() -> None:
    """Prepare what a Colosseum reservation needs."""


@command.group()
def scenario() -> None:
    """List, show, check and export scenarios (a shipped name, or a .json file)."""


@scenario.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the scenarios of the library."""
    from phyemu.colosseum import load_scenario
    from phyemu.library import find_in_library, library_names

    found = [
        load_scenario(find_in_library(name, "colosseum")) for name in library_names("colosseum")
    ]
    if as_json:
        echo_json({"scenarios": [_header(item) for item in found]})
        return
    for item in found:
        click.echo(f"{item.name:<14} {item.num_nodes:>3} nodes  {item.description}")


@scenario.command("show")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@json_option
def show_command(source: Path, as_json: bool) -> None:
    """Show the header of SCENARIO and the taps of its links."""
    from phyemu.colosseum import load_scenario

    item = load_scenario(source)
    links: list[dict[str, Any]] = [
        {
            "tx": tx,
            "rx": rx,
            "steps": response.num_steps,
            "paths": [
                {"delay_s": delay_s, "mean_power": power}
                for delay_s, power in zip(
                    response.delays_s.tolist(), response.powers().tolist(), strict=True
                )
            ],
        }
        for (tx, rx), response in sorted(item.links.items())
    ]
    if as_json:
        echo_json({**_header(item), "links": links})
        return
    for key, value in _header(item).items():
        click.echo(f"{key:<20} {value}")
    for link in links:
        taps = ", ".join(
            f"{1e9 * path['delay_s']:g} ns {_db(path['mean_power'])} dB" for path in link["paths"]
        )
        click.echo(f"{link['tx']}>{link['rx']}: {taps}")


@scenario.command("check")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@json_option
@click.pass_context
def check_command(ctx: click.Context, source: Path, as_json: bool) -> None:
    """Check SCENARIO against the limits of the emulator; exit code 1 when it breaks any."""
    from phyemu.colosseum import check_scenario, load_scenario

    violations = [str(violation) for violation in check_scenario(load_scenario(source))]
    if as_json:
        echo_json({"violations": violations})
    else:
        for line in violations or ["fits the emulator"]:
            click.echo(line)
    ctx.exit(1 if violations else 0)


@scenario.command("export")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--on-grid", is_flag=True, help="Move delays to the emulator's 10 ns grid first.")
@output_option()
@force_option
def export_command(source: Path, on_grid: bool, output: Path, force: bool) -> None:
    """Write SCENARIO as the .mat file that Colosseum takes."""
    from phyemu.colosseum import export_mat, load_scenario

    refuse_existing(output, force)
    item = load_scenario(source)
    click.echo(export_mat(item.on_grid() if on_grid else item, output))


def _header(item: "Scenario") -> dict[str, Any]:
    return {
        "name": item.name,
        "description": item.description,
        "nodes": item.num_nodes,
        "links": len(item.links),
        "center_frequency_hz": item.center_frequency_hz,
        "bandwidth_hz": item.bandwidth_hz,
        "duration_s": item.duration_s,
        "constant_gain_db": item.constant_gain_db,
        "derivation": item.derivation,
    }


def _db(power: float) -> str:
    from phyemu.units import power_to_db

    return f"{power_to_db(power):.1f}"
