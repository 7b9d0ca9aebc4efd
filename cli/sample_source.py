"""Where frames come from, for every command that listens: options, and the feed behind them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import CAPTURES, FREQUENCY, refuse_given, warn_public

if TYPE_CHECKING:
    from phyemu.iq import Recording
    from phyemu.listening import SampleFeed
    from phyemu.radio import UsrpConfig, UsrpRadio
    from phyemu.waveform.sent_frames import SentFrames

__all__ = ["check_source", "is_endpoint", "open_feed", "receiving", "source_options"]

F = TypeVar("F", bound=Callable[..., Any])

_USRP_ONLY = ("freq", "antenna")
_RADIO_ONLY = ("gain",)
_RECORDING_ONLY = ("pace", "loop")
# Heard behind an emulated transmission: room for delays.
_TAIL_SAMPLES = 10_000


def source_options(function: F) -> F:
    """Add SOURCE, the radios in its place, and when to end."""
    options = (
        click.argument("source", required=False),
        click.option(
            "--usrp", metavar="ARGS", help="Listen to a USRP; '' is the only one there is."
        ),
        click.option(
            "--emulated", metavar="CHANNEL", help="Listen to --transmit through a channel."
        ),
        click.option(
            "--transmit", type=CAPTURES, help="With --emulated: the recording that is sent."
        ),
        click.option(
            "--repeat", type=click.IntRange(0), default=1, help="Times to send it; 0: until Ctrl-C."
        ),
        click.option("--rate", type=FREQUENCY, help="Sample rate.  [default: that of the frames]"),
        click.option("--freq", type=FREQUENCY, help="With --usrp: center frequency."),
        click.option(
            "--gain", type=float, help="Receive gain in dB.  [default: 0, and -12 if --emulated]"
        ),
        click.option("--antenna", help="With --usrp: receive antenna.  [default: the device's]"),
        click.option(
            "--channel",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Channel of SOURCE.",
        ),
        click.option("--pace", is_flag=True, help="Play a recording in real time."),
        click.option("--loop", is_flag=True, help="Play a recording again and again."),
        click.option("--frames", type=click.IntRange(1), help="End after so many frames."),
        click.option(
            "--duration",
            type=click.FloatRange(0, min_open=True),
            metavar="S",
            help="Seconds of samples to take; while none come, it waits.",
        ),
        click.option(
            "--idle",
            type=click.FloatRange(0, min_open=True),
            metavar="S",
            help="End when nothing came for so many seconds after the first sample.  "
            "[default: never]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def check_source(parameters: dict[str, Any]) -> None:
    """Raise UsageError unless the options name one source, and fit it."""
    source, usrp, emulated = (parameters[name] for name in ("source", "usrp", "emulated"))
    if sum(value is not None for value in (source, usrp, emulated)) != 1:
        raise click.UsageError("give one of SOURCE, --usrp ARGS and --emulated CHANNEL")
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
    if source is None or is_endpoint(source):
        refuse_given(_RECORDING_ONLY, "only with a recording")
    if source is not None and is_endpoint(source):
        refuse_given(("channel",), "an endpoint brings one channel")
    elif usrp is None:
        refuse_given(("rate",), "not with a recording, which tells its own")


def is_endpoint(source: str) -> bool:
    """Return whether another program sends the samples: no recording is named."""
    return source.partition("?")[0] == "-" or source.startswith(("fifo:", "zmq+", "udp:"))


def receiving(parameters: dict[str, Any], stated: "SentFrames") -> "UsrpConfig":
    """Return how the USRP of the options receives."""
    from phyemu.radio import UsrpConfig, UsrpPort

    return UsrpConfig(
        args=parameters["usrp"],
        sample_rate_hz=parameters["rate"] or stated.frame_format.sample_rate_hz,
        center_frequency_hz=parameters["freq"],
        channels=(parameters["channel"],),
        rx=UsrpPort(gain_db=parameters["gain"] or 0.0, antenna=parameters["antenna"]),
        tx=UsrpPort(),
    )


@contextmanager
def open_feed(
    parameters: dict[str, Any], stated: "SentFrames | None", *, radio: "UsrpRadio | None" = None
) -> "Iterator[tuple[SampleFeed, SentFrames]]":
    """Yield where the samples come from, and what the frames are.

    Args:
        parameters: Of `source_options`; the duration of what is emulated is set in them.
        stated: What the frames are; None: the metadata of a recording say it.
        radio: The USRP that they name, where it is open already.

    Raises:
        PhyemuError: It cannot be opened, or tells of no frames.
    """
    from phyemu.errors import RecordingError
    from phyemu.iq import open_recording
    from phyemu.listening import EndpointFeed, RadioFeed
    from phyemu.waveform.sent_frames import sent_frames, sounder_refusal

    source, channel = parameters["source"], parameters["channel"]
    with ExitStack() as stack:
        if source is not None and is_endpoint(source) and stated is not None:
            from phyemu.live import Role, open_source, parse_endpoint

            end = parse_endpoint(source, Role.SOURCE)
            warn_public(end)
            rate_hz = parameters["rate"] or stated.frame_format.sample_rate_hz
            opened = stack.enter_context(open_source(end))
            yield EndpointFeed(opened, name=end.text, sample_rate_hz=rate_hz), stated
            return
        if parameters["usrp"] is not None and stated is not None:
            from phyemu.radio import UsrpRadio

            if radio is None:
                radio = stack.enter_context(UsrpRadio(receiving(parameters, stated)))
            yield RadioFeed(radio), stated
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
