"""`phyemu receive`: the frames of a stream, as they come."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    CAPTURES,
    echo_json,
    force_option,
    json_option,
    model_option,
    output_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    seed_option,
)
from .sample_source import check_source, is_endpoint, open_feed, source_options

if TYPE_CHECKING:
    from phyemu.evaluation.frame_images import FrameImages
    from phyemu.receiver import ReceivedFrame
    from phyemu.waveform.sent_frames import SentFrames


@click.command("receive")
@source_options
@click.option("--like", type=CAPTURES, help="Recording whose metadata say what the frames are.")
@click.option(
    "--receiver",
    metavar="RUN",
    type=click.Path(exists=True, path_type=Path),
    help="The frames are those of this run's test images: score each with its PhyDNN.",
)
@model_option
@click.option(
    "--constellation",
    metavar="psk:M|qam:M",
    help="Frames as `phyemu waveform frames` sends them, with this constellation.",
)
@click.option(
    "--decision-directed",
    is_flag=True,
    help="Follow channels that change within a frame; takes several times as long.",
)
@output_option(required=False)
@force_option
@seed_option
@json_option
@quiet_option
def command(**parameters: Any) -> None:
    """Find the frames in a stream, and print one line for each while it comes.

    SOURCE is a recording (a path or a shipped name), or where another program sends samples: -,
    fifo:PATH, zmq+pull://HOST:PORT (also zmq+sub, zmq+req), udp://HOST:PORT. What the frames are
    comes from SOURCE's or --transmit's metadata, or from --like, --receiver or --constellation.
    Positions and times count from the first sample, gaps included. -o keeps symbols and posteriors
    (HDF5). With --json, each frame is one JSON object a line, and the summary is the last one. The
    exit code is 1 if the device vanished.
    """
    _check(parameters)
    from phyemu.listening import FrameStore, frame_line, frame_values, listen
    from phyemu.receiver import ReceiverConfig

    output: Path | None = parameters["output"]
    if output is not None:
        refuse_existing(output, parameters["force"])
    as_json, quiet = parameters["as_json"], parameters["quiet"]
    with ExitStack() as stack:
        images = _images(parameters["receiver"], parameters["model"])
        feed, sent = stack.enter_context(open_feed(parameters, _stated(parameters, images)))
        store = None
        if output is not None:
            origin = {"source": feed.name, "sample_rate_hz": feed.sample_rate_hz}
            kept = FrameStore(output, sent, provenance=origin, force=parameters["force"])
            store = stack.enter_context(kept)
        totals = {"images": 0, "images_right": 0, "symbol_errors": 0}

        def show(frame: "ReceivedFrame") -> None:
            if store is not None:
                store.add(frame)
            score = None if images is None else images.score(frame)
            if score is not None:
                for name, value in asdict(score).items():
                    totals[name] += value
            if as_json:
                values = frame_values(frame, feed.sample_rate_hz)
                echo_json(values if score is None else values | asdict(score))
            elif not quiet:
                line = frame_line(frame, feed.sample_rate_hz)
                if score is not None:
                    line += f"  {score.symbol_errors} wrong, images {score.images_right}"
                    line += f"/{score.images}"
                click.echo(line)

        summary = listen(
            feed,
            sent,
            show,
            config=ReceiverConfig(decision_directed=parameters["decision_directed"]),
            num_frames=parameters["frames"],
            duration_s=parameters["duration"],
            idle_s=parameters["idle"],
        )
    found = {} if images is None else totals
    if as_json:
        echo_json({"summary": summary.to_dict() | found})
    else:
        line = summary.line()
        if images is not None:
            line += f", {totals['symbol_errors']} symbols wrong, images {totals['images_right']}"
            line += f"/{totals['images']}"
        click.echo(line)
    if summary.ended_by.is_failure:
        raise click.exceptions.Exit(1)


def _check(parameters: dict[str, Any]) -> None:
    check_source(parameters)
    given = [name for name in ("like", "receiver", "constellation") if parameters[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} both say what the frames are")
    if parameters["receiver"] is None:
        refuse_given(("model",), "only with --receiver")
    source = parameters["source"]
    if (source is None or is_endpoint(source)) and not given and parameters["emulated"] is None:
        raise click.UsageError(
            "samples do not tell what the frames are; give --like RECORDING, --receiver RUN or "
            "--constellation psk:4"
        )


def _images(run: Path | None, model: str | None) -> "FrameImages | None":
    if run is None:
        return None
    from phyemu.evaluation.frame_images import FrameImages

    return FrameImages(run, model=model)


def _stated(parameters: dict[str, Any], images: "FrameImages | None") -> "SentFrames | None":
    """Return what the options say the frames are; None where they leave it to the metadata."""
    from phyemu.iq import open_recording
    from phyemu.waveform import FrameFormat, constellation
    from phyemu.waveform.sent_frames import SentFrames, sent_frames

    if images is not None:
        return SentFrames(
            frame_format=images.phydnn.frame_format, constellation=images.phydnn.constellation
        )
    if parameters["like"] is not None:
        with open_recording(parameters["like"]) as like:
            return sent_frames(like.global_fields, name=like.path.name)
    if parameters["constellation"] is None:
        return None
    name, _, order = parameters["constellation"].partition(":")
    if not order.isdecimal():
        raise click.BadParameter(
            f"{parameters['constellation']!r}: write psk:4 or qam:16", param_hint="--constellation"
        )
    rate_hz, source = parameters["rate"], parameters["source"]
    if source is not None and not is_endpoint(source):
        with open_recording(source) as recording:
            rate_hz = recording.sample_rate_hz
    return SentFrames(
        frame_format=FrameFormat(sample_rate_hz=rate_hz or 20e6),
        constellation=constellation(name, int(order)),
    )
