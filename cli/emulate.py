"""`phyemu emulate`: a recording, or a live stream, through a channel."""

from pathlib import Path

import click

from .live import output_and_live_options
from .options import (
    CAPTURES,
    channel_option,
    echo_json,
    force_option,
    json_option,
    plot_option,
    quiet_option,
    refuse_existing,
    seed_option,
)
from .progress import progress_bars


@click.command("emulate")
@click.argument("recording", type=CAPTURES, required=False)
@channel_option()
@click.option("--snr", "snr_db", type=float, metavar="DB", help="SNR in place of the channel's.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=1e-9),
    default=1e-3,
    show_default=True,
    help="Time between two updates of the path gains, in seconds.",
)
@output_and_live_options
@seed_option
@plot_option
@force_option
@json_option
@quiet_option
def command(
    recording: Path | None,
    channel: str,
    snr_db: float | None,
    interval_s: float,
    output: Path,
    seed: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send RECORDING (SigMF) through a channel and write what arrives to OUTPUT.

    With --live there is no recording: samples come from a running program and go to another, and
    --channel may be a list with times, such as 0s=office-nlos,10s=tgn-d:15.
    """
    if recording is None:
        raise click.UsageError("give RECORDING, or --live SOURCE for a stream")
    from phyemu.channel import load_channel, with_snr
    from phyemu.channel.emulate import emulate_recording
    from phyemu.iq import open_recording

    refuse_existing(output, force)
    if plot is not None:
        refuse_existing(plot, force)
    model = load_channel(channel)
    if snr_db is not None:
        model = with_snr(model, snr_db)
    with open_recording(recording) as source, progress_bars(quiet) as progress:
        emulation = emulate_recording(
            source,
            model,
            output,
            seed=seed,
            interval_s=interval_s,
            force=force,
            progress=progress,
        )
        rate_hz = source.sample_rate_hz
    if plot is not None:
        from phyemu.channel.figure import plot_realisation

        plot_realisation(model, plot, seed=seed, sample_rate_hz=rate_hz)
    if emulation.reference.measured and not as_json:
        click.echo(
            f"{recording}: no phyemu:reference_power in its metadata; the SNR refers to the mean "
            "power of the active samples and to the sample rate as bandwidth",
            err=True,
        )
    if as_json:
        echo_json(emulation.summary())
        return
    click.echo(
        f"{emulation.output}: {emulation.num_samples} samples at {rate_hz / 1e6:g} MHz through "
        f"{emulation.channel}, SNR {emulation.snr_db:.1f} dB, {emulation.num_clipped} clipped"
    )
