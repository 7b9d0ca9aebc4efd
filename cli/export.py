"""`phyemu export`: the head and the tail of a run for machines without phyemu."""

from pathlib import Path

import click

from .options import echo_json, force_option, json_option, quiet_option


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
    type=click.Choice(["head", "tail", "both"]),
    default="both",
    show_default=True,
    help="Which side.",
)
@click.option("--order", type=click.IntRange(2), metavar="M", help="Order.  [default: smallest]")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write head/ and tail/ to.  [default: RUN]",
)
@force_option
@json_option
@quiet_option
def command(
    run: Path,
    device_format: str,
    part: str,
    order: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the head and the tail of RUN for devices, each with a card.

    Head: uint8 images to symbols. Tail: posteriors to logits. Batches may have any size. What was
    written is run again and compared with the run's own; what computes something else is not kept.
    """
    from phyemu.dnn import DeviceFormat, Part
    from phyemu.serving import SIDES, export_run

    from .progress import progress_bars

    with progress_bars(quiet) as progress:
        written = export_run(
            run,
            run if output is None else output,
            DeviceFormat(device_format),
            parts=SIDES if part == "both" else (Part(part),),
            order=order,
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
