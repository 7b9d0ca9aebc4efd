"""`phyemu train-baseline`: the systems that PhyDNNs are compared with."""

from pathlib import Path
from typing import Any

import click

from phyemu.run_files import CONFIG_NAME

from .options import (
    channel_option,
    echo_json,
    json_option,
    model_option,
    quiet_option,
    resumable,
)
from .progress import progress_bars
from .run_options import config_option, dataset_option, resume_option, run_folder_option

# As phyemu.baselines.SystemName has them, which would load torch.
SYSTEMS = ("SC", "BF-1", "BF-2", "DT-JSCC", "edge-only", "device-only")

_TRAINED = ("BF-1", "BF-2", "DT-JSCC")


@click.command("train-baseline")
@click.argument(
    "system", type=click.Choice(SYSTEMS, case_sensitive=False), metavar="|".join(SYSTEMS)
)
@click.option(
    "--backbone",
    type=click.Path(path_type=Path),
    metavar="RUN|FILE",
    help="The trained network: a run of `phyemu train`, or weights. DT-JSCC has its own.",
)
@model_option
@config_option
@dataset_option
@click.option("--limit", type=click.IntRange(1), help="At most so many images a split.")
@click.option("--split", metavar="NAME", help="SC: last submodule of the head.")
@click.option("--epochs", type=click.IntRange(1), help="BF-1, BF-2, DT-JSCC: of each stage.")
@click.option("--order", type=click.IntRange(2), help="DT-JSCC: M.")
@channel_option(required=False)
@click.option("--seed", type=click.IntRange(0), help="Seed of every draw.  [default: 0]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@run_folder_option
@resume_option
@json_option
@quiet_option
def command(
    system: str,
    backbone: Path | None,
    model: str | None,
    config_file: Path | None,
    dataset: str | None,
    limit: int | None,
    split: str | None,
    epochs: int | None,
    order: int | None,
    channel: str | None,
    seed: int | None,
    device: str,
    run: Path,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make one of the systems that PhyDNNs are compared with, and score it, in RUN.

    BF-1 and BF-2 are trained from a trained network, DT-JSCC from random weights through a channel;
    the others run the trained network as it is.
    """
    _refuse_unused(system, model=model, split=split, epochs=epochs, order=order, channel=channel)
    from phyemu.baselines import (
        SystemName,
        load_backbone,
        read_report,
        resolve_system_config,
        train_system,
    )
    from phyemu.datasets import load_dataset
    from phyemu.errors import ConfigError
    from phyemu.training import pick_device

    name = SystemName(system)
    options: dict[str, Any] = {
        "seed": seed,
        "backbone": None if backbone is None else str(backbone),
        "split": split,
        "data.dataset": dataset,
        "data.limit": limit,
        "dt_jscc.order": order,
        "link.channel": channel,
        "epochs": epochs,
    }
    given = {key: value for key, value in options.items() if value is not None}
    config = resolve_system_config(name, given, file=config_file, resumed=run if resume else None)
    network = normalise = None
    if name is not SystemName.DT_JSCC:
        if config.backbone is None:
            raise ConfigError(
                f"--backbone: {name} is made from a trained network, and none was given; give "
                "--backbone RUN (a run of phyemu train) or --backbone FILE (weights)"
            )
        network, normalise = load_backbone(Path(config.backbone).expanduser(), model=model)
    data = config.data
    images = load_dataset(
        data.dataset,
        seed=config.seed,
        validation_fraction=data.validation_fraction,
        limit=data.limit,
    )
    again = f"train-baseline {name}"
    with resumable(again, run / CONFIG_NAME), progress_bars(quiet) as progress:
        train_system(
            name,
            network,
            images,
            config,
            run,
            normalise=normalise,
            resume=resume,
            device=pick_device(device),
            progress=progress,
        )
    report = read_report(run)
    if as_json:
        echo_json(report.to_dict())
        return
    through = "" if report.channel is None else f" through {report.channel}"
    click.echo(
        f"{run}: {report.system}, {report.accuracy:.2f} % on the test images{through}, "
        f"{report.payload_bytes_per_image:g} bytes an image ({report.transport})"
    )


def _refuse_unused(system: str, **values: Any) -> None:
    """Raise UsageError when an option was given that this system does not look at."""
    users = {
        "model": ("SC", "edge-only", "device-only"),
        "split": ("SC",),
        "epochs": _TRAINED,
        "order": ("DT-JSCC",),
        "channel": ("DT-JSCC",),
    }
    for name, value in values.items():
        if value is not None and system not in users[name]:
            raise click.UsageError(
                f"--{name} goes with {', '.join(users[name])}, not with {system}"
            )
