"""`phyemu waveform`: recordings of what a radio should transmit."""

from pathlib import Path

import click

from .options import (
    FREQUENCY,
    echo_json,
    force_option,
    json_option,
    output_option,
    quiet_option,
    seed_option,
)
from .progress import progress_bars


@click.group("waveform")
def command() -> None:
    """Write what a radio should transmit, with its parameters in the metadata."""


_sample_rate = click.option(
    "--sample-rate",
    type=FREQUENCY,
    default="20M",
    show_default=True,
    help="Sample rate of the radio.",
)
_gap = click.option(
    "--gap",
    type=click.IntRange(0),
    default=1024,
    show_default=True,
    metavar="SAMPLES",
    help="Silence around each frame.",
)
_amplitude = click.option(
    "--amplitude",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="Magnitude of the strongest symbols, full scale 1.",
)


@command.command("sounder")
@_sample_rate
@click.option(
    "--period",
    type=click.IntRange(31, 65536),
    default=1024,
    show_default=True,
    metavar="SAMPLES",
    help="Length of the sequence; over the sample rate, the longest delay told apart.",
)
@click.option(
    "--repetitions",
    type=click.IntRange(4, 1024),
    default=9,
    show_default=True,
    help="Periods per burst; the first is the guard.",
)
@click.option(
    "--gap",
    type=click.IntRange(1),
    metavar="SAMPLES",
    help="Silence behind each burst.  [default: three periods]",
)
@click.option("--bandwidth", type=FREQUENCY, help="Band to sound.  [default: all of it]")
@click.option("--bursts", type=click.IntRange(1), help="Number of bursts.  [default: 100]")
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Seconds instead.")
@click.option(
    "--amplitude",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="RMS of the samples, full scale 1.",
)
@output_option()
@force_option
@json_option
def sounder(
    sample_rate: float,
    period: int,
    repetitions: int,
    gap: int | None,
    bandwidth: float | None,
    bursts: int | None,
    duration: float | None,
    amplitude: float,
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write bursts of our sounding sequence to OUTPUT."""
    from phyemu.waveform.sounder import SounderFormat
    from phyemu.waveform.transmission import write_sounder

    if bursts is not None and duration is not None:
        raise click.UsageError("give --bursts or --duration, not both")
    sounder_format = SounderFormat(
        sample_rate_hz=sample_rate,
        length=period,
        repetitions=repetitions,
        gap_samples=3 * period if gap is None else gap,
        bandwidth_hz=bandwidth,
    )
    count = sounder_format.num_bursts_in(duration) if duration is not None else bursts or 100
    path = write_sounder(output, sounder_format, num_bursts=count, amplitude=amplitude, force=force)
    interval_ms = 1e3 * sounder_format.interval_samples / sample_rate
    if as_json:
        echo_json({"path": str(path), "bursts": count, "interval_s": interval_ms / 1e3})
    else:
        click.echo(f"{path}: {count} bursts, one every {interval_ms:.3g} ms")


@command.command("frames")
@_sample_rate
@click.option(
    "--constellation",
    type=click.Choice(["psk", "qam"]),
    default="psk",
    show_default=True,
    help="Kind of constellation.",
)
@click.option(
    "--order",
    type=click.IntRange(2, 4096),
    default=4,
    show_default=True,
    help="Points of the constellation.",
)
@click.option(
    "--symbols",
    type=click.IntRange(1),
    default=65536,
    show_default=True,
    help="Payload symbols in all.",
)
@_gap
@_amplitude
@seed_option
@output_option()
@force_option
@json_option
def frames(
    sample_rate: float,
    constellation: str,
    order: int,
    symbols: int,
    gap: int,
    amplitude: float,
    seed: int,
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write frames of random symbols to OUTPUT; the seed reproduces the symbols."""
    from phyemu.waveform.frame_format import FrameFormat
    from phyemu.waveform.transmission import write_frames

    path = write_frames(
        output,
        FrameFormat(sample_rate_hz=sample_rate),
        constellation_name=constellation,
        order=order,
        num_symbols=symbols,
        amplitude=amplitude,
        gap_samples=gap,
        seed=seed,
        force=force,
    )
    if as_json:
        answer = {"path": str(path), "symbols": symbols, "order": order, "seed": seed}
        echo_json(answer | {"constellation": constellation})
    else:
        click.echo(f"{path}: {symbols} symbols of {order}-{constellation.upper()}")


@command.command("images")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--order", type=click.IntRange(2), help="M, where the run holds several.")
@click.option(
    "--passes", type=click.IntRange(1), default=1, show_default=True, help="Times to send all."
)
@_gap
@_amplitude
@click.option("--limit", type=click.IntRange(1), help="At most so many test images.")
@output_option()
@force_option
@json_option
@quiet_option
def images(
    run: Path,
    order: int | None,
    passes: int,
    gap: int,
    amplitude: float,
    limit: int | None,
    output: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write frames of the test images of RUN to OUTPUT, and what they send to RUN/sent.npz.

    Score what arrives: phyemu replay RECORDING --receiver RUN.
    """
    from phyemu.evaluation import write_image_frames

    with progress_bars(quiet) as progress:
        sent = write_image_frames(
            run,
            output,
            order=order,
            passes=passes,
            amplitude=amplitude,
            gap_samples=gap,
            limit=limit,
            force=force,
            progress=progress,
        )
    num_images, num_frames = len(sent.labels), len(sent.payload_plan)
    if as_json:
        answer = {"path": str(output), "sent": str(run / "sent.npz"), "order": sent.order}
        echo_json(answer | {"images": num_images, "frames": num_frames})
    else:
        click.echo(f"{output}: {num_images} images of order {sent.order} in {num_frames} frames")
