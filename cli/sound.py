"""`phyemu sound`: recordings in, channel responses out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    CAPTURES,
    calibrate_option,
    echo_json,
    force_option,
    json_option,
    output_option,
    plot_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    scheduler_option,
)
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.progress import ProgressCallback
    from phyemu.sounding import SoundingJob

COLLECTION = ".sigmf-collection"


@click.command("sound")
@click.argument("sources", metavar="RECORDING...", nargs=-1, required=True, type=CAPTURES)
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
@calibrate_option
@scheduler_option
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Threads within a recording; any number gives the same result.  "
    "[default: all cores for one recording, 1 for several]",
)
@output_option(required=False)
@force_option
@plot_option
@json_option
@quiet_option
def command(
    sources: tuple[Path, ...],
    reference: Path | None,
    probe: str,
    max_paths: int,
    dynamic_range: float,
    calibrate: Path | None,
    scheduler: str | None,
    jobs: int | None,
    output: Path | None,
    force: bool,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the channel responses in RECORDING and write them to OUTPUT (.h5).

    Several recordings, a folder of them or a SigMF collection (.sigmf-collection) are sounded
    together: OUTPUT is then a folder with one .h5 each, and one that fails stops no other.
    """
    from phyemu.iq import recordings_in  # torch and SciPy load only when asked for
    from phyemu.sounding import Probe, SoundingConfig, SoundingJob, load_calibration
    from phyemu.sounding.cluster import num_cores

    recordings = list(dict.fromkeys(path for item in sources for path in recordings_in(item)))
    together = len(sources) > 1 or sources[0].is_dir() or sources[0].suffix == COLLECTION
    if together or scheduler is not None:
        refuse_given({"plot"}, "draws one recording; sound it alone, without --scheduler")
    if not together:
        for path in (output, plot):
            if path is not None:
                refuse_existing(path, force)
    config = SoundingConfig(probe=Probe(probe), max_paths=max_paths, dynamic_range_db=dynamic_range)
    with progress_bars(quiet) as progress:
        calibration = None
        if calibrate is not None:
            calibration = load_calibration(
                calibrate, config, reference=reference, progress=progress
            )
        work = [
            SoundingJob(
                recording=path,
                config=config,
                reference=reference,
                calibration=calibration,
                num_workers=jobs or (1 if together else num_cores()),
                provenance={"command": "phyemu sound", "reference": reference and reference.name},
            )
            for path in recordings
        ]
        if together or scheduler is not None:
            outputs = _outputs(recordings, output, together, force)
            _sound_all(work, outputs, scheduler, force, as_json, progress)
        else:
            _sound_one(work[0], output, plot, force, as_json, progress)


def _sound_one(
    job: "SoundingJob",
    output: Path | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
    progress: "ProgressCallback",
) -> None:
    from phyemu.sounding import save_soundings, sound_file
    from phyemu.sounding.summary import describe, summarise

    soundings = sound_file(job, progress)
    if output is not None:
        save_soundings(soundings, output, provenance=job.provenance, force=force)
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


def _outputs(
    recordings: list[Path], output: Path | None, together: bool, force: bool
) -> list[Path | None]:
    """Return where the soundings of each recording go; refuse what exists before any work."""
    from phyemu.sounding import output_names

    if output is None:
        return [None] * len(recordings)
    if not together:
        return [output]
    if output.suffix == ".h5" or output.is_file():
        raise click.UsageError(f"-o: several recordings go into a folder, got the file {output}")
    outputs = [output / name for name in output_names(recordings)]
    for path in outputs:
        refuse_existing(path, force)
    return list(outputs)


def _sound_all(
    jobs: "list[SoundingJob]",
    outputs: list[Path | None],
    scheduler: str | None,
    force: bool,
    as_json: bool,
    progress: "ProgressCallback",
) -> None:
    """Sound the recordings, write each as it is done, print all in their order; 1 if any failed."""
    from phyemu.sounding import choose_scheduler, sound_all
    from phyemu.sounding.summary import summarise, tabulate

    results: dict[int, dict[str, Any]] = {}
    chosen = scheduler or choose_scheduler([job.recording for job in jobs])
    for index, result in sound_all(jobs, scheduler=chosen, progress=progress):
        output = outputs[index]
        if result.error is not None:
            results[index] = {"recording": str(result.recording), "error": result.error}
            continue
        if output is not None:
            result.save(output, force=force)
        results[index] = {
            **summarise(result.soundings()),
            "recording": str(result.recording),
            "output": None if output is None else str(output),
        }
    ordered = [results[index] for index in sorted(results)]
    failed = [item for item in ordered if "error" in item]
    if as_json:
        echo_json({"recordings": ordered, "failed": len(failed)})
    else:
        for line in tabulate([item for item in ordered if "error" not in item]):
            click.echo(line)
    for item in failed:
        click.echo(f"phyemu: {item['recording']}: {item['error']}", err=True)
    if failed:
        click.echo(f"phyemu: {len(failed)} of {len(ordered)} recordings failed", err=True)
        click.get_current_context().exit(1)
