"""`phyemu compare`: the paper's tables and figures, beside what it states."""

from pathlib import Path
from typing import Any

import click

from .options import echo_json, json_option, quiet_option, resumable
from .progress import progress_bars
from .run_options import config_option

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("compare", invoke_without_command=True)
@click.option(
    "--preset",
    type=click.Choice(["paper", "quick"]),
    help="Settings to begin with.  [default: those in FOLDER; paper where there are none]",
)
@config_option
@click.option("-o", "--output", "folder", type=_FOLDER, metavar="FOLDER", help="Folder to fill.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="[NAME=]SPEC",
    help="cifar-10=cifar10:PATH, cifar-100=cifar100:PATH ...; given once or again, in place of all "
    "others. A bare SPEC is of the first one of the settings.",
)
@click.option("--backbone", "backbones", multiple=True, metavar="NAME", help="resnet20 ...")
@click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, help="May be given again.")
@click.option(
    "--only",
    metavar="NAME,...",
    help="Tables and figures, as table-2,figure-10. In a FOLDER that has settings, this, --runs "
    "and --no-training are of this call alone.",
)
@click.option(
    "--runs",
    multiple=True,
    metavar="[VARIANT=]FOLDER",
    help="Runs of phyemu train that were made elsewhere; may be given again.",
)
@click.option(
    "--training/--no-training",
    "train_missing",
    default=None,
    help="Make the runs that are not there, or leave out their cells.  [default: --training]",
)
@click.option("--engine", type=click.Choice(["model", "ns-3"]), help="Of the full stack.")
@click.option("--device-profile", metavar="NAME|FILE", help="Of the mobile device.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1 ...: of trainings, accuracies, and this machine's part of costs.",
)
@click.option("--resume", is_flag=True, help="With the settings of the comparison in FOLDER.")
@click.option("--list", "list_only", is_flag=True, help="List the cells and how they stand.")
@json_option
@quiet_option
@click.pass_context
def command(
    context: click.Context,
    preset: str | None,
    config_file: Path | None,
    folder: Path | None,
    datasets: tuple[str, ...],
    backbones: tuple[str, ...],
    seeds: tuple[int, ...],
    only: str | None,
    runs: tuple[str, ...],
    train_missing: bool | None,
    engine: str | None,
    device_profile: str | None,
    device: str,
    resume: bool,
    list_only: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make the paper's Tables I to III and Figures 6 to 11, beside the values it states.

    Each result is a cell: computed once, kept in FOLDER/cells, with the training run behind it.
    What was interrupted goes on with the same command.
    """
    if context.invoked_subcommand is not None:
        return
    from phyemu.comparison import (
        exhibits_of,
        planned_cells,
        read_comparison,
        resolve_comparison,
        run_comparison,
    )
    from phyemu.training import pick_device

    if folder is None:
        raise click.UsageError("name the folder to fill with -o FOLDER")
    options: dict[str, Any] = {
        "backbones": list(backbones) or None,
        "seeds": list(seeds) or None,
        "exhibits": None if only is None else [str(item) for item in exhibits_of(only)],
        "runs": list(runs) or None,
        "train_missing": train_missing,
        "cost.engine": engine,
        "cost.device_profile": device_profile,
    }
    given = {name: value for name, value in options.items() if value is not None}
    of_this_call = given.keys() & {"exhibits", "runs", "train_missing"}
    settings = folder / "comparison.toml"
    if resume and (given.keys() - of_this_call or preset or config_file or datasets):
        raise click.UsageError(
            "--resume takes the settings of the comparison; --only, --runs and --no-training alone "
            "go with it"
        )
    base: dict[str, Any] = {"preset": preset or "paper", "file": config_file}
    if resume or (settings.is_file() and not (preset or config_file)):
        base = {"resumed": read_comparison(settings)}
    config = resolve_comparison(given, **base)
    if datasets:
        named = _named_datasets(datasets, config.main_dataset)
        config = resolve_comparison({**given, "datasets": named}, **base)
    if list_only:
        planned = planned_cells(config, folder)
        if as_json:
            echo_json(planned.to_dict())
            return
        for cell in planned.cells:
            click.echo(f"{cell.key.label()}: {cell.state}")
        click.echo(planned.line())
        return
    with resumable("compare", settings), progress_bars(quiet) as progress:
        result = run_comparison(
            config,
            folder,
            of_this_call=of_this_call,
            device=pick_device(device),
            progress=progress,
        )
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    for failed in result.failed:
        click.echo(f"failed: {failed.line()}", err=True)
    if as_json:
        echo_json(result.to_dict())
    else:
        click.echo(
            f"{folder}: {result.computed} cells computed, {result.found} were there, "
            f"{result.left_out} left out, {sum(len(item.keys) for item in result.failed)} failed"
        )
        if result.rendered is not None and result.rendered.index is not None:
            click.echo(f"{result.rendered.index}")
    if result.failed:
        raise SystemExit(1)


@command.command("render")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def render_command(folder: Path) -> None:
    """Write tables, figures and index of FOLDER anew, from its cells alone."""
    from phyemu.comparison import render

    rendered = render(folder)
    for note in rendered.notes:
        click.echo(f"note: {note}", err=True)
    counts = f"{len(rendered.tables)} tables, {len(rendered.figures)} figures"
    click.echo(f"{rendered.index or folder}: {counts}")


def _named_datasets(specs: tuple[str, ...], first: str) -> dict[str, str]:
    """Return specs by name; a bare one is of the first dataset of the settings."""
    found = {}
    for text in specs:
        name, equals, spec = text.partition("=")
        # An image folder's path may hold an equals sign; a name holds no colon.
        if not equals or ":" in name:
            name, spec = first, text
        found[name] = spec
    return found
