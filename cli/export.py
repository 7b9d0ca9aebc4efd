"""`phyemu export`: the parts of a run for machines without phyemu."""

import re
from pathlib import Path
from typing import Any

import click

from .options import echo_json, force_option, json_option, model_option, quiet_option


class _Part(click.ParamType[str]):
    """`head`, `tail`, `relay1`, `relay2`, ..., or `all` of them."""

    name = "PART"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the part as its folder is named."""
        if re.fullmatch(r"head|tail|all|relay[1-9][0-9]*", str(value)):
            return str(value)
        self.fail(f"{value!r} is no part; write head, tail, relay1 or all", param, ctx)


@click.command("export")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--format",
    "device_format",
    type=click.Choice(["onnx", "torchscript"]),
    required=True,
    help="ONNX (needs phyemu[export]), or TorchScript for torch alone.",
)
@click.option(
    "--part",
    type=_Part(),
    metavar="head|relayK|tail|all",
    default="all",
    show_default=True,
    help="Which part; relay1 hears the head.",
)
@click.option("--order", type=click.IntRange(2), metavar="M", help="Order.  [default: smallest]")
@model_option
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write head/, relay1/, ... and tail/ to.  [default: RUN]",
)
@force_option
@json_option
@quiet_option
def command(
    run: Path,
    device_format: str,
    part: str,
    order: int | None,
    model: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the head, the tail and any relays of RUN for devices, each with a card.

    Head: uint8 images to symbols. Relay: posteriors to symbols. Tail: posteriors to logits. Batches
    may have any size. What was written is run again and compared with the run's own; what computes
    something else is not kept.
    """
    from phyemu.dnn import DeviceFormat
    from phyemu.serving import export_run

    from .progress import progress_bars

    with progress_bars(quiet) as progress:
        written = export_run(
            run,
            run if output is None else output,
            DeviceFormat(device_format),
            parts=None if part == "all" else (part,),
            order=order,
            model=model,
            force=force,
            progress=progress,
        )
    if as_json:
        echo_json(
            {
                str(path): {
                    "format": str(card.format),
                    "exporter": card.exporter,
                    "input": dict(card.input),
                    "output": dict(card.output),
                    "checked_with": card.checked_with,
                    "largest_difference": card.largest_difference,
                    "file_sha256": card.file_sha256,
                }
                for path, card in written.items()
            }
        )
        return
    for path, card in written.items():
        click.echo(
            f"{path}: {path.stat().st_size} bytes, {card.exporter}; {card.checked_with} computes "
            f"the same (difference {card.largest_difference:.2g})"
        )
