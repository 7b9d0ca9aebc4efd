"""`phyemu serve`: what hears a PhyDNN's symbols: the edge server, and relays before it."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .options import quiet_option, seed_option
from .sample_source import check_source, open_feed, source_options
from .serve_relay import relay_command
from .serving_options import (
    Statistics,
    chosen_format,
    decision_directed_option,
    fail_unless_served,
    part_options,
)


@click.group("serve")
def command() -> None:
    """Hear what a device sends: the server's side of a PhyDNN, and relays on the way."""


command.add_command(relay_command)


@command.command("tail")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@source_options
@part_options("tail")
@click.option(
    "--sent",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="SENT.npz|RECORD",
    help="What is sent: sent.npz of a circle of images (`phyemu waveform images`), or the record "
    "of `phyemu run head`, or of the last relay (.jsonl): predictions are scored.",
)
@click.option(
    "--results",
    metavar="tcp://HOST:PORT|zmq+pub://HOST:PORT",
    help="Serve the predictions there, too.",
)
@decision_directed_option
@seed_option
@quiet_option
def tail_command(**parameters: Any) -> None:
    """Listen to a head, or the last relay, and print what its images are, a JSON object a line.

    RUN holds the tail (tail/m4.safetensors, or what `phyemu export` wrote); no head need be there.
    SOURCE is a recording, or where another program sends samples: -, fifo:PATH,
    zmq+pull://HOST:PORT (also zmq+sub, zmq+req), udp://HOST:PORT. The last line is a summary.
    Statistics go to standard error at most once a second, as images come. The exit code is 1 if the
    device vanished, or the only sender that introduced itself is another one than that of this
    tail.
    """
    check_source(parameters)
    from phyemu.evaluation import load_sent_images
    from phyemu.receiver import ReceiverConfig
    from phyemu.serving import (
        TailServer,
        load_sent_record,
        load_tail_side,
        open_result_socket,
        prediction_values,
        serve_tail,
    )

    tail = load_tail_side(
        parameters["run"],
        device_format=chosen_format(parameters),
        order=parameters["order"],
        model=parameters["model"],
    )
    sent = parameters["sent"]
    if sent is not None:
        sent = load_sent_images(sent) if sent.suffix == ".npz" else load_sent_record(sent)
    server = TailServer(tail, sent)
    quiet = parameters["quiet"]
    with ExitStack() as stack:
        results = None
        if parameters["results"] is not None:
            results = stack.enter_context(open_result_socket(parameters["results"]))
            where = "open to other machines" if results.is_public else "this machine only"
            click.echo(f"results at port {results.port}, {where}", err=True)
        feed, _ = stack.enter_context(open_feed(parameters, server.sent_frames))
        if not quiet:
            click.echo(f"{feed.name}: listening", err=True)
            if tail.card.hop is not None:
                click.echo(
                    f"the tail of a network on several devices: hears relay{tail.card.hop - 1}",
                    err=True,
                )
        statistics = Statistics(lambda: server.counts().line(), quiet=quiet)

        def show(told: Any) -> None:
            line = json.dumps(prediction_values(told, tail.card.class_names))
            click.echo(line)
            if results is not None:
                results.publish(line)
            statistics.tell()

        summary = serve_tail(
            feed,
            server,
            show,
            on_stranger=lambda line: click.echo(f"{line}; its images are left out", err=True),
            config=ReceiverConfig(decision_directed=parameters["decision_directed"]),
            num_frames=parameters["frames"],
            duration_s=parameters["duration"],
            idle_s=parameters["idle"],
        )
        counts = server.counts()
        values = {"summary": {**counts.to_dict(), "listening": summary.to_dict()}}
        if results is not None:
            values["summary"]["results"] = results.counts()
    click.echo(json.dumps(values))
    if not quiet:
        click.echo(f"{summary.line()}\n{counts.line()}", err=True)
    fail_unless_served(feed.name, summary, counts)
