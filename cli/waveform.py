"""`phyemu waveform`: recordings of what a radio should transmit."""

from pathlib import Path

import click

from .options import (
    FREQUENCY,
    echo_json,
    force_option,
    json_option,
    model_option,
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
    "--sequence",
    type=click.Choice(["zadoff-chu", "glfsr", "gold", "golay", "ga128"]),
    default="zadoff-chu",
    show_default=True,
    help="What is repeated; the others than Zadoff-Chu are binary chips.",
)
@click.option(
    "--period",
    type=click.IntRange(31, 65536),
    metavar="SAMPLES",
    help="Length of the Zadoff-Chu sequence; over the sample rate, the longest delay told apart.  "
    "[default: 1024]",
)
@click.option(
    "--degree",
    type=click.IntRange(5, 16),
    help="Degree of the chips, about 2^degree of them.  [default: 8 glfsr, 9 gold, 7 golay]",
)
@click.option("--index", type=click.IntRange(0), help="Which Gold sequence.  [default: 0]")
@click.option(
    "--samples-per-chip", type=click.IntRange(1, 16), help="How long a chip lasts.  [default: 2]"
)
@click.option(
    "--continuous", is_flag=True, help="Repeat the chips without end, as CaST does, not in bursts."
)
@click.option(
    "--repetitions",
    type=click.IntRange(4, 1024),
    help="Periods per burst, the first being the guard, or per frame where there is no silence.  "
    "[default: 9 zadoff-chu, 8 chips]",
)
@click.option(
    "--gap",
    type=click.IntRange(1),
    metavar="SAMPLES",
    help="Silence behind each burst.  [default: three periods]",
)
@click.option("--bandwidth", type=FREQUENCY, help="Band to sound by Zadoff-Chu.  [default: all]")
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
    sequence: str,
    period: int | None,
    degree: int | None,
    index: int | None,
    samples_per_chip: int | None,
    continuous: bool,
    repetitions: int | None,
    gap: int | None,
    bandwidth: float | None,
    bursts: int | None,
    duration: float | None,
    amplitude: float,
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write repetitions of a sounding sequence to OUTPUT, in bursts or without end."""
    from phyemu.waveform.sounder import chip_sounder, zadoff_chu_sounder
    from phyemu.waveform.transmission import write_sounder

    if bursts is not None and duration is not None:
        raise click.UsageError("give --bursts or --duration, not both")
    if continuous and gap is not None:
        raise click.UsageError("give --continuous or --gap, not both")
    of_chips = {
        "--degree": degree,
        "--index": index,
        "--samples-per-chip": samples_per_chip,
        "--continuous": continuous or None,
    }
    of_zadoff_chu = {"--period": period, "--bandwidth": bandwidth}
    is_chips = sequence != "zadoff-chu"
    for name, value in (of_zadoff_chu if is_chips else of_chips).items():
        if value is not None:
            raise click.UsageError(f"--sequence {sequence} has no {name}")
    if is_chips:
        sounder_format = chip_sounder(
            sample_rate,
            sequence,
            degree=degree,
            index=index or 0,
            samples_per_chip=samples_per_chip or 2,
            repetitions=repetitions or 8,
            gap_samples=0 if continuous else gap,
        )
    else:
        sounder_format = zadoff_chu_sounder(
            sample_rate,
            period=period or 1024,
            repetitions=repetitions or 9,
            gap_samples=gap,
            bandwidth_hz=bandwidth,
        )
    count = sounder_format.num_bursts_in(duration) if duration is not None else bursts or 100
    path = write_sounder(output, sounder_format, num_bursts=count, amplitude=amplitude, force=force)
    interval_ms = 1e3 * sounder_format.interval_samples / sample_rate
    if as_json:
        echo_json({"path": str(path), "bursts": count, "interval_s": interval_ms / 1e3})
    else:
        what = "frames without gaps" if continuous else "bursts"
        click.echo(f"{path}: {count} {what}, one every {interval_ms:.3g} ms")


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
@model_option
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
    model: str | None,
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
            model=model,
            force=force,
            progress=progress,
        )
    num_images, num_frames = len(sent.labels), len(sent.payload_plan)
    if as_json:
        answer = {"path": str(output), "sent": str(run / "sent.npz"), "order": sent.order}
        echo_json(answer | {"images": num_images, "frames": num_frames})
    else:
        click.echo(f"{output}: {num_images} images of order {sent.order} in {num_frames} frames")
