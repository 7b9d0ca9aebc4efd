"""`phyemu train`: a backbone, then PhyDNNs through a channel (Algorithm 1)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phyemu.run_files import CONFIG_NAME

from .options import (
    channel_option,
    echo_json,
    json_option,
    keyword_options,
    model_keywords_option,
    model_option,
    quiet_option,
    resumable,
    widen_option,
    widened_spec,
)
from .progress import progress_bars
from .run_options import config_option, dataset_option, resume_option, run_folder_option

if TYPE_CHECKING:
    from phyemu.training import StageReport


@click.command("train")
@config_option
@click.option(
    "--preset",
    type=click.Choice(["paper", "best"]),
    help="Settings by name: the paper's, or those that measured best.",
)
@dataset_option
@click.option("--limit", type=click.IntRange(1), help="At most so many images a split.")
@click.option("--backbone", metavar="NAME", help="resnet8, resnet20, resnet56, resnet110 ...")
@model_option
@model_keywords_option
@click.option(
    "--pretrained",
    type=click.Path(path_type=Path),
    metavar="RUN|FILE",
    help="Weights to start the backbone from: a run's, or a file's.",
)
@click.option("--backbone-epochs", type=click.IntRange(0), help="Epochs of the backbone.")
@channel_option(required=False)
@widen_option
@click.option("--fidelity", type=click.Choice(["symbol", "waveform"]), help="Of the link.")
@click.option("--modulation", type=click.Choice(["psk", "qam", "learned"]), help="Constellation.")
@click.option(
    "--order",
    "orders",
    type=click.IntRange(2),
    multiple=True,
    help="M; give it again for each removal: --order 16 --order 8 --order 4.",
)
@click.option(
    "--slice-size",
    type=click.IntRange(1),
    nargs=2,
    metavar="H W",
    help="Positions at the cut that a slice covers.  [default: 1 1]",
)
@click.option(
    "--codebooks",
    type=click.IntRange(1),
    help="Residual codebooks for each slice.  [default: 1]",
)
@click.option(
    "--symbols-per-slice",
    type=click.IntRange(1),
    multiple=True,
    help="Channel symbols for each slice: one number, or one for each order.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    multiple=True,
    help="Epochs of the PhyDNN: one number, or one for each order.",
)
@click.option(
    "--lookup",
    type=click.Choice(["hard", "soft", "learned"]),
    help="How posteriors become slices.",
)
@click.option(
    "--split",
    "splits",
    metavar="NAME",
    multiple=True,
    help="Last submodule of the head; give it again, from the device to the server, for relays "
    "(see `phyemu splits`).",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of every draw.  [default: 0]")
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Compile head and tail: minutes at the start, faster steps.  [default: no]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@run_folder_option
@resume_option
@json_option
@quiet_option
def command(
    config_file: Path | None,
    preset: str | None,
    dataset: str | None,
    limit: int | None,
    backbone: str | None,
    model: str | None,
    keywords: tuple[str, ...],
    pretrained: Path | None,
    backbone_epochs: int | None,
    channel: str | None,
    widen: float | None,
    fidelity: str | None,
    modulation: str | None,
    orders: tuple[int, ...],
    slice_size: tuple[int, int] | None,
    codebooks: int | None,
    symbols_per_slice: tuple[int, ...],
    epochs: tuple[int, ...],
    lookup: str | None,
    splits: tuple[str, ...],
    seed: int | None,
    compiled: bool | None,
    device: str,
    run: Path,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a PhyDNN through a channel and export its head and tail to RUN.

    Several processes share the batches: torchrun --nproc-per-node 2 -m phyemu_cli.main train ...
    """
    from phyemu.training import Preset, joined, pick_device, resolve_config, train_run

    if model is not None and backbone is not None:
        raise click.UsageError("--model and --backbone both name the network; give one")
    if resume and not (run / CONFIG_NAME).is_file():
        raise click.UsageError(f"{run}: holds no run to continue; begin one without --resume")
    options: dict[str, Any] = {
        "seed": seed,
        "compile": compiled,
        "data.dataset": dataset,
        "data.limit": limit,
        "backbone.name": backbone,
        "backbone.model": model,
        "backbone.options": keyword_options(keywords) or None,
        "backbone.pretrained": None if pretrained is None else str(pretrained),
        "backbone.epochs": backbone_epochs,
        "link.channel": widened_spec(channel, widen),
        "link.fidelity": fidelity,
        "link.modulation": modulation,
        "phydnn.orders": list(orders) or None,
        "phydnn.slice_size": None if slice_size is None else list(slice_size),
        "phydnn.codebooks": codebooks,
        "phydnn.symbols_per_slice": list(symbols_per_slice) or None,
        "phydnn.epochs": list(epochs) or None,
        "phydnn.lookup": lookup,
        "phydnn.split": splits[0] if len(splits) == 1 else None,
        "phydnn.splits": (list(splits) if len(splits) > 1 else []) if splits else None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    with joined(pick_device(device)) as processes:
        config = resolve_config(
            given,
            file=config_file,
            resumed=run if resume else None,
            named=None if preset is None else Preset(preset),
        )
        with (
            resumable("train", run / CONFIG_NAME, tells=processes.first),
            progress_bars(quiet or not processes.first) as progress,
        ):
            report = train_run(
                config,
                run,
                resume=resume,
                device=processes.device,
                progress=progress,
                processes=processes,
            )
    if not processes.first:
        return
    if as_json:
        echo_json(report.to_dict())
        return
    click.echo(f"{run}: backbone {report.backbone_accuracy:.2f} % on the test images")
    for stage in report.phydnn:
        click.echo(
            f"  M = {stage.order}: {stage.accuracy:.2f} % through {report.channel}, symbol error "
            f"rate {_rates(stage)}, epoch {stage.epoch}"
        )


def _rates(stage: "StageReport") -> str:
    """Return the symbol error rate, or that of each hop."""
    return " and ".join(f"{ser:.3g}" for ser in stage.hop_sers or (stage.ser,))
