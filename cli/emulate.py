"""`phyemu emulate`: recordings through a channel or a network, or a live stream."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .live import output_and_live_options
from .options import (
    CAPTURES,
    channel_option,
    echo_json,
    force_option,
    json_option,
    named_recordings,
    plot_option,
    quiet_option,
    refuse_existing,
    seed_option,
)
from .progress import progress_bars


@click.command("emulate")
@click.argument("recording", type=CAPTURES, required=False)
@channel_option(required=False)
@click.option("--snr", "snr_db", type=float, metavar="DB", help="SNR in place of the channel's.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=1e-9),
    default=1e-3,
    show_default=True,
    help="Time between two updates of the path gains, in seconds.",
)
@click.option(
    "--network",
    metavar="TOML",
    help="Links and nodes, instead of RECORDING and --channel (docs/channels.md), or a Colosseum "
    "scenario as scenario:NAME[:NOISE_DBFS].",
)
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NAME=RECORDING",
    help="What a node of the network sends; repeat it for each.",
)
@click.option(
    "--threads",
    "num_threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Threads that share the work; they do not change the result.",
)
@output_and_live_options
@seed_option
@plot_option
@force_option
@json_option
@quiet_option
def command(
    recording: Path | None,
    channel: str | None,
    snr_db: float | None,
    interval_s: float,
    network: str | None,
    nodes: tuple[str, ...],
    num_threads: int,
    output: Path,
    seed: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send RECORDING (SigMF) through a channel and write what arrives to OUTPUT.

    With --network, send the recordings of all nodes through the channels between them, and write
    what each receiver hears; {node} in OUTPUT stands for its name.

    With --live samples come from a running program, or a recording that is played, and go to
    another, and --channel may be a list with times, such as 0s=office-nlos,10s=tgn-d:15. With
    --network too, NODE=SOURCE and NODE=SINK, repeated, say what each node sends and hears through.
    """
    settings: dict[str, Any] = {
        "seed": seed,
        "interval_s": interval_s,
        "num_threads": num_threads,
        "force": force,
    }
    if network is not None:
        for name, given in (
            ("RECORDING", recording),
            ("--channel", channel),
            ("--snr", snr_db),
            ("--plot", plot),
        ):
            if given is not None:
                raise click.UsageError(f"{name} does not go with --network")
        _through_network(network, nodes, output, settings, as_json, quiet)
        return
    if nodes:
        raise click.UsageError("--node needs --network")
    if recording is None or channel is None:
        raise click.UsageError(
            "give RECORDING and --channel, --network and --node, or --live SOURCE"
        )
    if re.match(r"[^:,]*=", channel):
        raise click.UsageError(f"--channel {channel}: a list with times goes with --live SOURCE")
    refuse_existing(output, force)
    if plot is not None:
        refuse_existing(plot, force)
    from phyemu.channel import with_snr
    from phyemu.channel.emulate import emulate_recording
    from phyemu.colosseum import load_channel_or_link
    from phyemu.iq import open_recording

    model = load_channel_or_link(channel)
    if snr_db is not None:
        model = with_snr(model, snr_db)
    with open_recording(recording) as source, progress_bars(quiet) as progress:
        emulation = emulate_recording(source, model, output, **settings, progress=progress)
        rate_hz = source.sample_rate_hz
    if plot is not None:
        from phyemu.channel.figure import plot_realisation

        plot_realisation(model, plot, seed=seed, sample_rate_hz=rate_hz)
    if emulation.reference.measured and not as_json:
        _say_measured(str(recording))
    if as_json:
        echo_json(emulation.summary())
        return
    click.echo(
        f"{emulation.output}: {emulation.num_samples} samples at {rate_hz / 1e6:g} MHz through "
        f"{emulation.channel}, SNR {emulation.snr_db:.1f} dB, {emulation.num_clipped} clipped"
    )


def _through_network(
    network: str,
    nodes: tuple[str, ...],
    output: Path,
    settings: dict[str, Any],
    as_json: bool,
    quiet: bool,
) -> None:
    from phyemu.channel.emulate_network import emulate_network
    from phyemu.colosseum import network_of_spec
    from phyemu.iq import open_recording

    paths = named_recordings(nodes)
    described, load = network_of_spec(network)
    with ExitStack() as stack:
        recordings = {
            name: stack.enter_context(open_recording(path)) for name, path in paths.items()
        }
        progress = stack.enter_context(progress_bars(quiet))
        emulation = emulate_network(
            recordings,
            described,
            str(output),
            **settings,
            progress=progress,
            load=load,
        )
    if as_json:
        echo_json(emulation.summary())
        return
    for name, reference in emulation.references.items():
        if reference.measured:
            _say_measured(f"{name} ({paths[name]})")
    if emulation.silent:
        click.echo(f"without a recording, silent: {', '.join(emulation.silent)}", err=True)
    rate_hz = emulation.sample_rate_hz
    for name, written in emulation.outputs.items():
        click.echo(
            f"{written}: {emulation.num_samples} samples at {rate_hz / 1e6:g} MHz, {name} hears "
            f"{', '.join(emulation.heard[name])}, noise {emulation.noise_dbfs[name]:.1f} dBFS, "
            f"{emulation.num_clipped[name]} clipped"
        )


def _say_measured(what: str) -> None:
    click.echo(
        f"{what}: no phyemu:reference_power in its metadata; the SNR refers to the mean power of "
        "the active samples and to the sample rate as bandwidth",
        err=True,
    )
