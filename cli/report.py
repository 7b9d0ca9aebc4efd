"""`phyemu report`: the report of a finished loop, written again from its artefacts."""

from pathlib import Path

import click

from .options import echo_json, force_option, json_option, output_option, refuse_existing


@click.command("report")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option(required=False)
@force_option
@json_option
def command(run: Path, output: Path | None, force: bool, as_json: bool) -> None:
    """Write the report of the loop in folder RUN from its artefacts alone."""
    from phyemu.loop import write_loop_report  # plotly and torch load only when asked for

    path = output or run / "report.html"
    if output is not None:
        refuse_existing(path, force)
    written = write_loop_report(run, path)
    if as_json:
        echo_json({"path": str(written)})
    else:
        click.echo(written)
