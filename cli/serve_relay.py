"""`phyemu serve relay`: the device between two links of a PhyDNN at work."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import quiet_option, seed_option
from .sample_sink import (
    check_sink,
    lines_to,
    open_outlet,
    record_to,
    refuse_own_inputs,
    refuse_taken_record,
    sink_options,
    tells_images,
    transmitting,
)
from .sample_source import check_source, open_feed, receiving, source_options
from .serving_options import (
    Statistics,
    chosen_format,
    decision_directed_option,
    fail_unless_served,
    part_options,
)

if TYPE_CHECKING:
    from phyemu.evaluation import RelaySide
    from phyemu.radio import UsrpRadio
    from phyemu.serving import SentImage

_TX = "tx-"


@click.command("relay")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@source_options
@click.option(
    "--relay",
    type=click.IntRange(1),
    metavar="K",
    help="Which relay this device is; 1 hears the head.  [default: the only one]",
)
@sink_options(_TX)
@part_options("relay")
@click.option(
    "--sent",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RECORD",
    help="What is sent to it: the record of `phyemu run head`, or of the relay before (.jsonl). "
    "Images keep their names and classes.",
)
@decision_directed_option
@seed_option
@quiet_option
def relay_command(**parameters: Any) -> None:
    """Listen on one link of a network on several devices, and send on the next.

    RUN holds the relay (relay1/m4.safetensors, or what `phyemu export` wrote); neither head nor
    tail need be there. SOURCE is as for `phyemu serve tail`, SINK as for `phyemu run head`. Each
    image that has gone out is a JSON object a line, as `phyemu run head` prints it; the last line
    is a summary. Where --tx-usrp has the same ARGS as --usrp, one device does both. Statistics go
    to standard error at most once a second, as images go out. The exit code is 1 if a device
    vanished, or only senders of other links or exports introduced themselves.
    """
    check_source(parameters)
    check_sink(parameters, _TX)
    usrps = (parameters["usrp"], parameters["tx_usrp"])
    if "" in usrps and any(usrps):
        raise click.UsageError(
            "--usrp '' and --tx-usrp ARGS, or the other way round: '' is the only device there is; "
            "name both devices"
        )
    refuse_own_inputs(parameters, ("source", "transmit", "sent"))
    refuse_taken_record(parameters)
    from phyemu.receiver import ReceiverConfig
    from phyemu.serving import RelayServer, load_relay_side, load_sent_record, serve_relay

    relay = load_relay_side(
        parameters["run"],
        relay=parameters["relay"],
        device_format=chosen_format(parameters),
        order=parameters["order"],
        model=parameters["model"],
    )
    sent = parameters["sent"]
    record = None if sent is None else load_sent_record(sent, needs_classes=False)
    server = RelayServer(relay, record, amplitude=parameters["amplitude"])
    quiet, tells = parameters["quiet"], tells_images(parameters)
    with ExitStack() as stack:
        radio = stack.enter_context(_duplex_radio(parameters, relay))
        feed, _ = stack.enter_context(open_feed(parameters, server.sent_frames, radio=radio))
        outlet = stack.enter_context(open_outlet(parameters, relay.sending, _TX, radio=radio))
        keep = stack.enter_context(lines_to(record_to(parameters)))
        if not quiet:
            click.echo(f"{feed.name}: listening; {outlet.name}: sending", err=True)
        statistics = Statistics(lambda: server.counts().line(), quiet=quiet)

        def show(image: "SentImage") -> None:
            line = image.line()
            keep(line)
            if tells:
                click.echo(line)
            statistics.tell()

        result = serve_relay(
            feed,
            server,
            outlet,
            show,
            stop=threading.Event(),
            on_stranger=lambda line: click.echo(f"{line}; its images are left out", err=True),
            config=ReceiverConfig(decision_directed=parameters["decision_directed"]),
            num_frames=parameters["frames"],
            duration_s=parameters["duration"],
            idle_s=parameters["idle"],
        )
    if tells:
        click.echo(json.dumps({"summary": result.to_dict()}))
    if not quiet:
        click.echo(f"{result.listening.line()}\n{result.line()}", err=True)
    fail_unless_served(feed.name, result.listening, result.counts)


@contextmanager
def _duplex_radio(parameters: dict[str, Any], relay: "RelaySide") -> "Iterator[UsrpRadio | None]":
    """Yield the USRP that both receives and transmits; None: no device does both."""
    if parameters["usrp"] is None or parameters["usrp"] != parameters["tx_usrp"]:
        yield None
        return
    from dataclasses import replace

    from phyemu.errors import ConfigError
    from phyemu.radio import UsrpRadio
    from phyemu.waveform.sent_frames import SentFrames

    arriving = relay.arriving
    stated = SentFrames(frame_format=arriving.frame_format, constellation=arriving.constellation)
    heard, sent = receiving(parameters, stated), transmitting(parameters, relay.sending, _TX)
    if heard.sample_rate_hz != sent.sample_rate_hz:
        raise ConfigError(
            f"a device has one rate, but frames arrive at {heard.sample_rate_hz:g} Hz and go on at "
            f"{sent.sample_rate_hz:g} Hz; give another device with --tx-usrp"
        )
    apart_hz = abs(sent.center_frequency_hz - heard.center_frequency_hz)
    if apart_hz < heard.sample_rate_hz:
        click.echo(
            f"--freq and --tx-freq are {apart_hz / 1e6:g} MHz apart, and the bands "
            f"{heard.sample_rate_hz / 1e6:g} MHz wide: the relay hears itself, unless nothing "
            "leads from its transmitter to its receiver",
            err=True,
        )
    config = replace(
        heard,
        tx=sent.tx,
        tx_channels=sent.transmit_channels,
        transmit_frequency_hz=sent.center_frequency_hz,
    )
    with UsrpRadio(config) as radio:
        yield radio
