"""`phyemu colosseum scenario`: scenarios of the Colosseum emulator."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .colosseum_make import command as make_command
from .options import (
    LibraryFile,
    echo_json,
    force_option,
    json_option,
    output_option,
    refuse_existing,
    refuse_given,
    refuse_missing_folder,
)
from .scenario_header import scenario_header

if TYPE_CHECKING:
    pass

SCENARIO = LibraryFile("colosseum", "SCENARIO")


@click.group("scenario")
def scenario() -> None:
    """List, show, make, check, plot and export scenarios (a shipped name, or a .json file)."""


scenario.add_command(make_command)


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
        echo_json({"scenarios": [scenario_header(item) for item in found]})
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
        echo_json({**scenario_header(item), "links": links})
        return
    for key, value in scenario_header(item).items():
        click.echo(f"{key:<20} {value}")
    for link in links:
        taps = ", ".join(
            f"{1e9 * path['delay_s']:g} ns {_db(path['mean_power'])} dB" for path in link["paths"]
        )
        click.echo(f"{link['tx']}>{link['rx']}: {taps}")


@scenario.command("channel")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--link", metavar="TX-RX", default="1-2", show_default=True, help="Which link.")
@click.option("--snr", type=float, help="Mean SNR in dB, whatever the path loss.")
@click.option("--tx-power", type=float, metavar="DBM", help="Instead of --snr: transmit power.")
@click.option(
    "--noise-figure",
    type=float,
    default=7.0,
    show_default=True,
    metavar="DB",
    help="With --tx-power: of the receiver.",
)
@output_option()
@force_option
def channel_command(
    source: Path,
    link: str,
    snr: float | None,
    tx_power: float | None,
    noise_figure: float,
    output: Path,
    force: bool,
) -> None:
    """Write a link of SCENARIO as a channel (.h5) that train, evaluate and emulate take.

    With --tx-power its C/N0 follows from the physical path gain of the link: the gain of its taps
    without the scenario's constant gain.
    """
    from phyemu.channel import save_model
    from phyemu.colosseum import MchemChannel, load_scenario, parse_link

    if (snr is None) == (tx_power is None):
        raise click.UsageError("give --snr or --tx-power")
    if snr is not None:
        refuse_given(("noise_figure",), "goes with --tx-power")
    item = load_scenario(source)
    pair = parse_link(link)
    if tx_power is None:
        measured = MchemChannel.of_link(item, pair, snr_db=snr or 0.0).as_measured()
        said = f"SNR {snr:g} dB"
    else:
        budget = MchemChannel.of_link(item, pair).with_budget(
            tx_power, noise_figure_db=noise_figure, constant_gain_db=item.constant_gain_db
        )
        measured = budget.as_measured()
        said = f"path gain {budget.physical_gain_db(item.constant_gain_db):.1f} dB"
    save_model(measured, output, force=force)
    click.echo(f"{output}: {measured.name}, {measured.responses.num_steps} steps, {said}")


@scenario.command("plot")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--link", metavar="TX-RX", help="Whose taps to draw.  [default: most taps]")
@output_option()
@force_option
def plot_command(source: Path, link: str | None, output: Path, force: bool) -> None:
    """Draw the taps of SCENARIO over time, its delay profile, path losses and nodes."""
    from phyemu.colosseum import load_scenario, parse_link
    from phyemu.colosseum.figure import plot_scenario

    pair = None if link is None else parse_link(link)
    refuse_missing_folder(output)
    refuse_existing(output, force)
    click.echo(f"{plot_scenario(load_scenario(source), output, link=pair)}: written")


@scenario.command("check")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@json_option
@click.pass_context
def check_command(ctx: click.Context, source: Path, as_json: bool) -> None:
    """Check SCENARIO against the limits of the emulator; exit code 1 when it breaks any.

    An exchange file (.mat) is checked against what Colosseum takes, its time axis too.
    """
    from phyemu.colosseum import check_mat, check_scenario, load_scenario

    if source.suffix == ".mat":
        found = check_mat(source)
    else:
        found = check_scenario(load_scenario(source))
    violations = [str(violation) for violation in found]
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

    refuse_missing_folder(output)
    refuse_existing(output, force)
    item = load_scenario(source)
    click.echo(export_mat(item.on_grid() if on_grid else item, output))


def _db(power: float) -> str:
    from phyemu.units import power_to_db

    return f"{power_to_db(power):.1f}"
