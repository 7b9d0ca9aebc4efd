"""`phyemu loop`: the whole loop, from sounding to report."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from .options import CAPTURES, echo_json, json_option, quiet_option, resumable
from .progress import progress_bars
from .run_options import config_option


@click.command("loop")
@config_option
@click.option("--world", metavar="NAME", help="Emulated world.  [default: office-nlos]")
@click.option(
    "--captures",
    type=CAPTURES,
    multiple=True,
    help="Take the channel from this recording, or its soundings (.h5), instead of a world; may be "
    "given again.",
)
@click.argument("more_captures", nargs=-1, type=CAPTURES, metavar="[RECORDING]...")
@click.option("--transmitter", type=click.IntRange(0), help="Link of the captures.  [default: 0]")
@click.option(
    "--snr", type=float, metavar="DB", help="Use the channel of the captures at this mean SNR."
)
@click.option(
    "--dataset",
    metavar="SPEC",
    help="digits, cifar10:PATH, cifar100:PATH, image-folder:PATH.  [default: digits]",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many images a split.")
@click.option("--backbone", metavar="NAME", help="resnet8, resnet20, resnet56 ...")
@click.option(
    "--pretrained",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights to start the backbone from.",
)
@click.option("--backbone-epochs", type=click.IntRange(0), help="Epochs of the backbone.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each PhyDNN.")
@click.option("--passes", type=click.IntRange(1), help="Times to send the test images.")
@click.option("--test-images", type=click.IntRange(1), help="Send at most so many of them.")
@click.option("--seed", type=click.IntRange(0), help="Seed of every draw.  [default: 0]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option(
    "-o",
    "--output",
    "run",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Run folder.  [default: runs/loop-DATE-TIME]",
)
@click.option("--resume", is_flag=True, help="Continue RUN, or the latest run in runs/.")
@json_option
@quiet_option
def command(
    config_file: Path | None,
    world: str | None,
    captures: tuple[Path, ...],
    more_captures: tuple[Path, ...],
    transmitter: int | None,
    snr: float | None,
    dataset: str | None,
    limit: int | None,
    backbone: str | None,
    pretrained: Path | None,
    backbone_epochs: int | None,
    epochs: int | None,
    passes: int | None,
    test_images: int | None,
    seed: int | None,
    device: str,
    run: Path | None,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Close the loop: sound, fit, train twice, transmit, receive, score, report.

    Without options: scikit-learn's digits through an emulated office, no files and no radio needed.
    With `--captures A B ...` the channel comes from real recordings, or from soundings of them.
    """
    from phyemu.errors import ConfigError
    from phyemu.loop import read_loop_config, resolve_loop_config, run_loop
    from phyemu.training import pick_device

    recordings = [str(path) for path in (*captures, *more_captures)]
    if more_captures and not captures:
        raise click.UsageError("name recordings with --captures")
    options: dict[str, Any] = {
        "world": world,
        "captures": recordings or None,
        "transmitter": transmitter,
        "snr_db": snr,
        "train.seed": seed,
        "train.data.dataset": dataset,
        "train.data.limit": limit,
        "train.backbone.name": backbone,
        "train.backbone.pretrained": None if pretrained is None else str(pretrained),
        "train.backbone.epochs": backbone_epochs,
        "train.phydnn.epochs": None if epochs is None else [epochs],
        "air.passes": passes,
        "air.max_images": test_images,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if resume:
        folder = run or _latest_run()
        if folder is None:
            raise ConfigError("runs/: holds no run to resume; name one with -o")
        if given or config_file:
            raise click.UsageError("--resume takes the settings of the run; leave the others out")
        config = read_loop_config(folder)
    else:
        folder = run or Path("runs") / datetime.now().strftime("loop-%Y%m%d-%H%M%S")
        config = resolve_loop_config(given, file=config_file)
    with resumable("loop", folder / "loop.toml"), progress_bars(quiet) as progress:
        result = run_loop(
            config, folder, resume=resume, device=pick_device(device), progress=progress
        )
    if as_json:
        echo_json(result.to_dict())
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(*result.columns, box=SIMPLE)
    for row in result.cells():
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(result.finding())
    for warning in result.warnings:
        click.echo(f"note: {warning}", err=True)
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def _latest_run() -> Path | None:
    found = sorted(Path("runs").glob("*/loop.toml"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if found else None
