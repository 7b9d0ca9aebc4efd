"""`phyemu colosseum collect`: what batch jobs left, as recordings, soundings and a table."""

import shlex
from pathlib import Path

import click

from .options import (
    CAPTURES,
    echo_json,
    force_option,
    json_option,
    plot_option,
    quiet_option,
    refuse_existing,
)
from .progress import progress_bars

# Tables are as wide as they need to be: lines that wrap can be read, cells cut to a letter cannot.
_WIDTH = 240


@click.command("collect")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for all that is collected; a second call goes on.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path, exists=True),
    help="plan.json of the batch, or its folder.  [default: one in SOURCE or beside it]",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path, exists=True),
    help="Run folder of the PhyDNN: scores what the receivers could not.",
)
@click.option(
    "--reference",
    type=CAPTURES,
    help="What was transmitted, where neither the plan nor a recording says.",
)
@click.option(
    "--sound-captures",
    is_flag=True,
    help="Sound captures of all jobs whose waveform is known, not of sounding jobs only.",
)
@click.option("--dry-run", is_flag=True, help="Only print the commands that would fetch.")
@click.option(
    "--allow-missing", is_flag=True, help="Exit with 0 although something is missing or failed."
)
@force_option
@plot_option
@json_option
@quiet_option
def command(
    sources: tuple[str, ...],
    output: Path,
    plan: Path | None,
    run: Path | None,
    reference: Path | None,
    sound_captures: bool,
    dry_run: bool,
    allow_missing: bool,
    force: bool,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring the results of batch jobs home into one folder, and print them as a table.

    SOURCE is a folder that Colosseum or a rehearsal left (RESERVATION-1234, or one that holds
    several, or logs of nodes), or HOST:PATH of one, which is fetched first by rsync over ssh. Nodes
    and files that are missing or damaged are named; the rest is collected all the same, and the
    exit code is then 1.
    """
    from phyemu.batch.fetching import fetch, fetch_command, remote_folder

    remote = [(source, remote_folder(source)) for source in sources]
    fetched = output / "fetched"
    if dry_run:
        for source, folder in remote:
            line = source if folder is None else shlex.join(fetch_command(folder, fetched))
            click.echo(line if folder is not None else f"# {line}: is here, nothing to fetch")
        return
    if plot is not None:
        refuse_existing(plot, force)
    from phyemu.batch.collection import collect  # torch and SciPy load only when asked for

    folders = [
        found
        for source, folder in remote
        for found in ([Path(source)] if folder is None else fetch(folder, fetched, quiet=quiet))
    ]
    with progress_bars(quiet) as progress:
        found = collect(
            list(dict.fromkeys(folders)),
            output,
            plan=plan,
            run=run,
            reference=reference,
            sound_captures=sound_captures,
            force=force,
            progress=progress,
        )
    if plot is not None:
        from phyemu.batch.result_figure import plot_results

        plot_results(found.results, plot)
    if as_json:
        echo_json({**found.to_dict(), "output": str(output)})
    else:
        from rich.console import Console

        from phyemu.batch.result_table import link_tables, node_table

        console = Console(width=_WIDTH)
        for table in (*link_tables(found.results), node_table(found.nodes)):
            console.print(table)
        click.echo(f"{output}: {len(found.files)} files, results.csv, results.json")
    lines = found.lines()
    for line in lines:
        click.echo(f"phyemu: {line}", err=True)
    if lines and not allow_missing:
        click.get_current_context().exit(1)
