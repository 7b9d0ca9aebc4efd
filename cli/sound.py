"""`phyemu sound`: recording in, channel responses out."""

import os
from pathlib import Path

import click

from .options import (
    CAPTURES,
    echo_json,
    force_option,
    json_option,
    output_option,
    plot_option,
    quiet_option,
    refuse_existing,
)
from .progress import progress_bars


@click.command("sound")
@click.argument("recording", type=CAPTURES)
@click.option(
    "--reference",
    type=CAPTURES,
    help="What was transmitted, where the recording does not say.",
)
@click.option(
    "--probe",
    type=click.Choice(["auto", "sounder", "wifi", "reference"]),
    default="auto",
    show_default=True,
    help="What to look for.",
)
@click.option(
    "--max-paths",
    type=click.IntRange(1, 256),
    default=32,
    show_default=True,
    help="Most paths extracted per link.",
)
@click.option(
    "--dynamic-range",
    type=click.FloatRange(0, min_open=True),
    default=35.0,
    show_default=True,
    metavar="DB",
    help="Paths further below the strongest are left out.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Threads within the recording; any number gives the same result.  [default: all cores]",
)
@output_option(required=False)
@force_option
@plot_option
@json_option
@quiet_option
def command(
    recording: Path,
    reference: Path | None,
    probe: str,
    max_paths: int,
    dynamic_range: float,
    jobs: int | None,
    output: Path | None,
    force: bool,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the channel responses in RECORDING and write them to OUTPUT (.h5)."""
    from contextlib import ExitStack

    from phyemu.iq import open_recording  # torch and SciPy load only when asked for
    from phyemu.sounding import Probe, SoundingConfig, save_soundings, sound_recording
    from phyemu.sounding.summary import describe, summarise

    for path in (output, plot):
        if path is not None:
            refuse_existing(path, force)
    config = SoundingConfig(probe=Probe(probe), max_paths=max_paths, dynamic_range_db=dynamic_range)
    with ExitStack() as stack:
        received = stack.enter_context(open_recording(recording))
        sent = None if reference is None else stack.enter_context(open_recording(reference))
        progress = stack.enter_context(progress_bars(quiet))
        soundings = sound_recording(
            received,
            config,
            reference=sent,
            progress=progress,
            num_workers=jobs or os.cpu_count() or 1,
        )
    if output is not None:
        settings = {"command": "phyemu sound", "reference": reference and reference.name}
        save_soundings(soundings, output, provenance=settings, force=force)
    if plot is not None:
        from phyemu.sounding.figure import save_sounding_figure

        save_sounding_figure(soundings, plot)
    if as_json:
        echo_json(summarise(soundings))
        return
    for line in describe(soundings):
        click.echo(line)
    for path in (output, plot):
        if path is not None:
            click.echo(f"{path}: written")
