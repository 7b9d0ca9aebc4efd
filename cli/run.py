"""`phyemu run`: the device's side of a PhyDNN at work."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import quiet_option, refuse_given
from .sample_sink import (
    check_sink,
    is_recording,
    lines_to,
    open_outlet,
    record_to,
    refuse_taken_record,
    sink_options,
    tells_images,
)
from .serving_options import chosen_format, part_options

if TYPE_CHECKING:
    from phyemu.evaluation import HeadSide
    from phyemu.serving import ImageBatch, SentImage


@click.group("run")
def command() -> None:
    """Send what a device sees: the device's side of a PhyDNN."""


@command.command("head")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--images",
    required=True,
    metavar="FOLDER|SPEC",
    help="Folder of .png, .jpg, .bmp; or a data set (its test images), as digits or cifar10:PATH.",
)
@click.option("--watch", is_flag=True, help="Send what comes into FOLDER, until Ctrl-C.")
@click.option("--limit", type=click.IntRange(1), help="At most so many images of a data set.")
@click.option(
    "--repeat",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Times to send all of them; 0: until Ctrl-C.",
)
@part_options("head")
@click.option(
    "--images-per-frame",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Images that share a frame: fewer preambles, and more is lost with a frame.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Images that are encoded together.",
)
@sink_options()
@quiet_option
def head_command(**parameters: Any) -> None:
    """Encode images with the head of RUN, and send them frame by frame.

    RUN holds the head (head/m4.safetensors, or what `phyemu export` wrote); no tail need be there.
    SINK is NAME.sigmf, -, fifo:PATH, zmq+push://HOST:PORT (also zmq+pub, zmq+rep), udp://HOST:PORT.
    Each image that has gone out is a JSON object a line: its name, the frame that ends it and its
    position there, as `phyemu serve tail` tells them, its place in the data set and its class; the
    last line is a summary.
    """
    _check(parameters)
    refuse_taken_record(parameters)
    from phyemu.serving import FRAMES_BETWEEN, HeadSender, load_head_side, run_head

    head = load_head_side(
        parameters["run"],
        device_format=chosen_format(parameters),
        order=parameters["order"],
        model=parameters["model"],
    )
    sender = HeadSender(
        head,
        images_per_frame=parameters["images_per_frame"],
        amplitude=parameters["amplitude"],
        # Who comes later has to learn whose images these are, however rarely one comes.
        frames_between=1 if parameters["watch"] else FRAMES_BETWEEN,
    )
    stop = threading.Event()
    batches = _batches(parameters, head, stop)
    tells = tells_images(parameters)
    with ExitStack() as stack:
        outlet = stack.enter_context(open_outlet(parameters, head))
        # A line at a time, so that whatever ends this leaves what has been sent.
        keep = stack.enter_context(lines_to(record_to(parameters)))
        if not parameters["quiet"]:
            click.echo(f"{outlet.name}: sending", err=True)
            if head.card.hop is not None:
                click.echo(
                    "the head of a network on several devices: relay1 hears it "
                    "(phyemu serve relay)",
                    err=True,
                )

        def show(image: "SentImage") -> None:
            line = image.line()
            keep(line)
            if tells:
                click.echo(line)

        result = run_head(batches, sender, outlet, show, stop=stop)
    if tells:
        click.echo(json.dumps({"summary": result.to_dict()}))
    if not parameters["quiet"]:
        click.echo(f"{outlet.name}: {result.line()}", err=True)


def _check(parameters: dict[str, Any]) -> None:
    check_sink(parameters)
    is_folder = Path(parameters["images"]).is_dir()
    if is_folder:
        refuse_given(("limit",), "only with a data set")
    if parameters["watch"]:
        if not is_folder:
            raise click.UsageError(f"--watch needs a folder, and {parameters['images']} is none")
        refuse_given(("repeat", "batch"), "not with --watch, which sends what comes as it comes")
    elif not is_folder and ":" not in parameters["images"] and parameters["images"] != "digits":
        raise click.UsageError(
            f"--images {parameters['images']}: no such folder, and no data set (digits, "
            "cifar10:PATH, cifar100:PATH, image-folder:PATH)"
        )
    if is_recording(parameters["output"]) and parameters["repeat"] == 0:
        raise click.UsageError(
            f"--repeat 0 would fill the disk with {parameters['output']}; give a number"
        )


def _batches(
    parameters: dict[str, Any], head: "HeadSide", stop: threading.Event
) -> "Iterator[ImageBatch]":
    """Return the images, in batches."""
    from phyemu.serving import batches_of, folder_images, spec_images, watched_images

    source, shape = parameters["images"], head.card.image_shape
    if parameters["watch"]:
        return watched_images(
            Path(source), shape, stop=stop, on_bad=lambda line: click.echo(line, err=True)
        )
    if Path(source).is_dir():
        images = folder_images(Path(source), shape)
    else:
        images = spec_images(source, shape, limit=parameters["limit"])
    return batches_of(images, parameters["batch"], passes=parameters["repeat"] or None)
