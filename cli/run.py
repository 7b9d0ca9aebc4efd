"""`phyemu run`: the device's side of a PhyDNN at work."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    FREQUENCY,
    force_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    refuse_missing_folder,
    warn_public,
)

if TYPE_CHECKING:
    from phyemu.evaluation import HeadSide
    from phyemu.serving import ImageBatch, Outlet, SentImage

_USRP_ONLY = ("freq", "gain", "antenna")


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
@click.option(
    "-o", "--output", metavar="SINK", help="Where samples go: as `-o` of `phyemu emulate --live`."
)
@click.option("--usrp", metavar="ARGS", help="Transmit with a USRP; '' is the only one there is.")
@click.option("--freq", type=FREQUENCY, help="With --usrp: center frequency.")
@click.option("--gain", type=float, default=0.0, show_default=True, help="With --usrp: gain in dB.")
@click.option("--antenna", help="With --usrp: transmit antenna.  [default: the device's]")
@click.option(
    "--format",
    "device_format",
    type=click.Choice(["safetensors", "onnx", "torchscript"]),
    default="safetensors",
    show_default=True,
    help="Which export of the head runs.",
)
@click.option("--order", type=click.IntRange(2), metavar="M", help="Order.  [default: smallest]")
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
@click.option(
    "--amplitude",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="Of the strongest symbols, full scale 1.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what was sent there, too, for `phyemu serve tail --sent`.  [default: beside a "
    "recording, as NAME.sent.jsonl]",
)
@force_option
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
    record = _record(parameters)
    if record is not None:
        refuse_missing_folder(record)
        refuse_existing(record, parameters["force"])
    from phyemu.dnn import DeviceFormat
    from phyemu.serving import HeadSender, load_head_side, run_head
    from phyemu.serving.head_sender import FRAMES_BETWEEN

    chosen = parameters["device_format"]
    head = load_head_side(
        parameters["run"],
        device_format=None if chosen == "safetensors" else DeviceFormat(chosen),
        order=parameters["order"],
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
    tells = parameters["output"] is None or parameters["output"].partition("?")[0] != "-"
    with ExitStack() as stack:
        outlet = stack.enter_context(_outlet(parameters, head))
        # A line at a time, so that whatever ends this leaves what has been sent.
        kept = None if record is None else stack.enter_context(_lines_to(record))
        if not parameters["quiet"]:
            click.echo(f"{outlet.name}: sending", err=True)

        def show(image: "SentImage") -> None:
            line = image.line()
            if kept is not None:
                kept(line)
            if tells:
                click.echo(line)

        result = run_head(batches, sender, outlet, show, stop=stop)
    if tells:
        click.echo(json.dumps({"summary": result.to_dict()}))
    if not parameters["quiet"]:
        click.echo(f"{outlet.name}: {result.line()}", err=True)


def _check(parameters: dict[str, Any]) -> None:
    if (parameters["usrp"] is None) == (parameters["output"] is None):
        raise click.UsageError("give one of -o SINK and --usrp ARGS")
    if parameters["usrp"] is None:
        refuse_given(_USRP_ONLY, "only with --usrp")
    elif parameters["freq"] is None:
        raise click.UsageError("--usrp needs --freq")
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
    if not _is_recording(parameters["output"]):
        if parameters["record"] is None:
            refuse_given(("force",), "only with a recording or --record")
    elif parameters["repeat"] == 0:
        raise click.UsageError(
            f"--repeat 0 would fill the disk with {parameters['output']}; give a number"
        )


def _is_recording(output: str | None) -> bool:
    return output is not None and output.partition("?")[0].endswith(".sigmf")


def _record(parameters: dict[str, Any]) -> Path | None:
    """Return where what is sent is written to, if anywhere."""
    if parameters["record"] is not None or not _is_recording(parameters["output"]):
        record: Path | None = parameters["record"]
        return record
    return Path(parameters["output"].partition("?")[0]).with_suffix(".sent.jsonl")


@contextmanager
def _lines_to(path: Path) -> "Iterator[Callable[[str], None]]":
    """Yield a function that writes a line to a file, at once."""
    from phyemu.errors import ConfigError

    def refusal(exc: OSError) -> ConfigError:
        return ConfigError(f"{path}: cannot be written ({exc.strerror})")

    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("w", encoding="utf-8", buffering=1))
        except OSError as exc:
            raise refusal(exc) from exc

        def write(line: str) -> None:
            try:
                file.write(f"{line}\n")
            except OSError as exc:
                raise refusal(exc) from exc

        yield write


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


@contextmanager
def _outlet(parameters: dict[str, Any], head: "HeadSide") -> "Iterator[Outlet]":
    """Yield where the samples go."""
    from phyemu.live import EndpointKind, Role, open_sink, parse_endpoint
    from phyemu.serving import RadioOutlet, SinkOutlet, open_recording_outlet

    rate_hz = head.frame_format.sample_rate_hz
    with ExitStack() as stack:
        if parameters["usrp"] is not None:
            from phyemu.radio import UsrpConfig, UsrpPort, UsrpRadio

            config = UsrpConfig(
                args=parameters["usrp"],
                sample_rate_hz=rate_hz,
                center_frequency_hz=parameters["freq"],
                channels=(0,),
                rx=UsrpPort(),
                tx=UsrpPort(gain_db=parameters["gain"], antenna=parameters["antenna"]),
            )
            radio = stack.enter_context(UsrpRadio(config))
            radio.prepare_transmission()
            yield RadioOutlet(radio)
            return
        end = parse_endpoint(parameters["output"], Role.SINK)
        if end.kind is EndpointKind.RECORDING:
            amplitude, force = parameters["amplitude"], parameters["force"]
            kept = open_recording_outlet(Path(end.path), head, amplitude=amplitude, force=force)
            yield stack.enter_context(kept)
            return
        warn_public(end)
        yield SinkOutlet(stack.enter_context(open_sink(end)), name=end.text)
