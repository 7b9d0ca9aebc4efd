"""`phyemu receive`: the frames of a stream, as they come."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    CAPTURES,
    FREQUENCY,
    echo_json,
    force_option,
    json_option,
    output_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    seed_option,
    warn_public,
)

if TYPE_CHECKING:
    from phyemu.evaluation.frame_images import FrameImages
    from phyemu.iq import Recording
    from phyemu.listening import SampleFeed
    from phyemu.receiver import ReceivedFrame
    from phyemu.waveform.sent_frames import SentFrames

_USRP_ONLY = ("freq", "antenna")
_RADIO_ONLY = ("gain",)
_RECORDING_ONLY = ("pace", "loop")
# Heard behind an emulated transmission: room for delays.
_TAIL_SAMPLES = 10_000


@click.command("receive")
@click.argument("source", required=False)
@click.option("--usrp", metavar="ARGS", help="Listen to a USRP; '' is the only one there is.")
@click.option("--emulated", metavar="CHANNEL", help="Listen to --transmit through a channel.")
@click.option("--transmit", type=CAPTURES, help="With --emulated: the recording that is sent.")
@click.option(
    "--repeat", type=click.IntRange(0), default=1, help="Times to send it; 0: until Ctrl-C."
)
@click.option("--like", type=CAPTURES, help="Recording whose metadata say what the frames are.")
@click.option(
    "--receiver",
    metavar="RUN",
    type=click.Path(exists=True, path_type=Path),
    help="The frames are those of this run's test images: score each with its PhyDNN.",
)
@click.option(
    "--constellation",
    metavar="psk:M|qam:M",
    help="Frames as `phyemu waveform frames` sends them, with this constellation.",
)
@click.option("--rate", type=FREQUENCY, help="Sample rate.  [default: that of the frames]")
@click.option("--freq", type=FREQUENCY, help="With --usrp: center frequency.")
@click.option("--gain", type=float, help="Receive gain in dB.  [default: 0, and -12 if --emulated]")
@click.option("--antenna", help="With --usrp: receive antenna.  [default: the device's]")
@click.option(
    "--channel", type=click.IntRange(0), default=0, show_default=True, help="Channel of SOURCE."
)
@click.option("--pace", is_flag=True, help="Play a recording in real time.")
@click.option("--loop", is_flag=True, help="Play a recording again and again.")
@click.option(
    "--decision-directed",
    is_flag=True,
    help="Follow channels that change within a frame; takes several times as long.",
)
@click.option("--frames", type=click.IntRange(1), help="End after so many frames.")
@click.option(
    "--duration", type=click.FloatRange(0, min_open=True), metavar="S", help="Seconds to listen."
)
@click.option(
    "--idle",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="End when nothing came for so many seconds after the first sample.  [default: never]",
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
        images = _images(parameters["receiver"])
        feed, sent = stack.enter_context(_feed(parameters, images))
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
    source, usrp, emulated = (parameters[name] for name in ("source", "usrp", "emulated"))
    if sum(value is not None for value in (source, usrp, emulated)) != 1:
        raise click.UsageError("give one of SOURCE, --usrp ARGS and --emulated CHANNEL")
    given = [name for name in ("like", "receiver", "constellation") if parameters[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} both say what the frames are")
    if (emulated is None) != (parameters["transmit"] is None):
        raise click.UsageError("--emulated and --transmit go together")
    if emulated is None:
        refuse_given(("seed", "repeat"), "only with --emulated")
    if usrp is None:
        refuse_given(_USRP_ONLY, "only with --usrp")
    elif parameters["freq"] is None:
        raise click.UsageError("--usrp needs --freq")
    if source is not None:
        refuse_given(_RADIO_ONLY, "only with --usrp or --emulated")
    if source is None or _is_endpoint(source):
        refuse_given(_RECORDING_ONLY, "only with a recording")
        if not given and emulated is None:
            raise click.UsageError(
                "samples do not tell what the frames are; give --like RECORDING, --receiver RUN or "
                "--constellation psk:4"
            )
    if source is not None and _is_endpoint(source):
        refuse_given(("channel",), "an endpoint brings one channel")
    elif usrp is None:
        refuse_given(("rate",), "not with a recording, which tells its own")


def _is_endpoint(source: str) -> bool:
    return source.partition("?")[0] == "-" or source.startswith(("fifo:", "zmq+", "udp:"))


def _images(run: Path | None) -> "FrameImages | None":
    if run is None:
        return None
    from phyemu.evaluation.frame_images import FrameImages

    return FrameImages(run)


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
    if source is not None and not _is_endpoint(source):
        with open_recording(source) as recording:
            rate_hz = recording.sample_rate_hz
    return SentFrames(
        frame_format=FrameFormat(sample_rate_hz=rate_hz or 20e6),
        constellation=constellation(name, int(order)),
    )


@contextmanager
def _feed(
    parameters: dict[str, Any], images: "FrameImages | None"
) -> "Iterator[tuple[SampleFeed, SentFrames]]":
    """Yield where the samples come from, and what the frames are."""
    from phyemu.errors import RecordingError
    from phyemu.iq import open_recording
    from phyemu.listening import EndpointFeed, RadioFeed
    from phyemu.waveform.sent_frames import sent_frames, sounder_refusal

    stated = _stated(parameters, images)
    source, channel = parameters["source"], parameters["channel"]
    with ExitStack() as stack:
        if source is not None and _is_endpoint(source) and stated is not None:
            from phyemu.live import Role, open_source, parse_endpoint

            end = parse_endpoint(source, Role.SOURCE)
            warn_public(end)
            rate_hz = parameters["rate"] or stated.frame_format.sample_rate_hz
            opened = stack.enter_context(open_source(end))
            yield EndpointFeed(opened, name=end.text, sample_rate_hz=rate_hz), stated
            return
        if parameters["usrp"] is not None and stated is not None:
            from phyemu.radio import UsrpConfig, UsrpPort, UsrpRadio

            config = UsrpConfig(
                args=parameters["usrp"],
                sample_rate_hz=parameters["rate"] or stated.frame_format.sample_rate_hz,
                center_frequency_hz=parameters["freq"],
                channels=(channel,),
                rx=UsrpPort(gain_db=parameters["gain"] or 0.0, antenna=parameters["antenna"]),
                tx=UsrpPort(),
            )
            yield RadioFeed(stack.enter_context(UsrpRadio(config))), stated
            return
        path = parameters["transmit"]
        if path is None:
            path = CAPTURES.convert(source, None, click.get_current_context())
        recording = stack.enter_context(open_recording(path))
        refusal = sounder_refusal(recording.global_fields, name=recording.path.name)
        if refusal:
            raise RecordingError(refusal)
        sent = stated or sent_frames(recording.global_fields, name=recording.path.name)
        if parameters["emulated"] is None:
            from phyemu.radio import RecordedRadio

            played = RecordedRadio(recording, loop=parameters["loop"], real_time=parameters["pace"])
            yield RadioFeed(stack.enter_context(played), channel=channel), sent
            return
        yield stack.enter_context(_emulated(parameters, recording)), sent


@contextmanager
def _emulated(parameters: dict[str, Any], recording: "Recording") -> "Iterator[SampleFeed]":
    """Yield the emulated radio that hears the recording; it ends with the last repetition."""
    from phyemu.listening import RadioFeed
    from phyemu.radio import (
        HEADROOM_GAIN_DB,
        EmulatedRadio,
        TransmitSettings,
        load_world_or_channel,
        transmit_recording,
        transmitted_samples,
    )

    gain_db, repeat = parameters["gain"], parameters["repeat"]
    with EmulatedRadio.for_recording(
        recording,
        load_world_or_channel(parameters["emulated"]),
        seed=parameters["seed"],
        gain_db=HEADROOM_GAIN_DB if gain_db is None else gain_db,
    ) as radio:
        settings = TransmitSettings(repeats=repeat or None)
        transmit_recording(radio, recording, settings)
        if repeat and parameters["duration"] is None:
            num_samples = repeat * transmitted_samples(recording, settings) + _TAIL_SAMPLES
            parameters["duration"] = num_samples / recording.sample_rate_hz
        yield RadioFeed(radio)
