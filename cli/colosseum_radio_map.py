"""`phyemu colosseum radio-map`: which SRN plays which node."""

import json
from pathlib import Path

import click

from .colosseum_scenario import SCENARIO
from .options import force_option, output_option, refuse_existing


@click.command("radio-map")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--srn", "srns", metavar="NODE=SRN", multiple=True, help="Repeat it for each node.")
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check this map instead of writing one.",
)
@output_option(required=False)
@force_option
def command(
    source: Path, srns: tuple[str, ...], check: Path | None, output: Path | None, force: bool
) -> None:
    """Write or check the radio map with which `colosseumcli rf start` plays SCENARIO.

    Every node of the scenario appears in it; those without --srn stay empty.
    """
    from phyemu.colosseum import check_radio_map, load_scenario, make_radio_map, write_radio_map
    from phyemu.errors import ConfigError

    num_nodes = load_scenario(source).num_nodes
    if check is not None:
        if srns or output is not None:
            raise click.UsageError("--check goes with neither --srn nor -o")
        try:
            found = json.loads(check.read_text("utf-8"))
        except ValueError as error:
            raise ConfigError(f"{check}: is no JSON ({error})") from error
        check_radio_map(found, num_nodes=num_nodes, where=str(check))
        click.echo(f"{check}: fits {source.stem}")
        return
    if output is None:
        raise click.UsageError("give -o, or --check MAP")
    refuse_existing(output, force)
    chosen: dict[int, int] = {}
    for text in srns:
        node, _, srn = text.partition("=")
        if not (node.isdecimal() and srn.isdecimal()):
            raise click.BadParameter(f"{text!r}: write NODE=SRN, as in 1=12", param_hint="--srn")
        if int(node) in chosen:
            raise click.BadParameter(f"node {node} is there twice", param_hint="--srn")
        chosen[int(node)] = int(srn)
    written = write_radio_map(make_radio_map(num_nodes, chosen), output)
    click.echo(f"{written}: {len(chosen)} of {num_nodes} nodes have an SRN")
    click.echo(f"colosseumcli rf start {source.stem} -m {written}")
