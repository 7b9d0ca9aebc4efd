"""`phyemu fit`: recordings or soundings in, channel model out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import (
    CAPTURES,
    TRANSMITTER,
    calibrate_option,
    echo_json,
    force_option,
    json_option,
    output_option,
    plot_option,
    quiet_option,
    refuse_existing,
    scheduler_option,
    seed_option,
)
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.progress import ProgressCallback
    from phyemu.sounding import Sounding


@click.command("fit")
@click.argument("sources", metavar="RECORDING|CIR...", nargs=-1, required=True, type=CAPTURES)
@click.option("--name", help="Name of the model.  [default: that of the output file]")
@click.option(
    "--transmitter",
    type=TRANSMITTER,
    default=0,
    show_default=True,
    help="Which link of the recordings: its rank, 0 the strongest, or its MAC address.",
)
@click.option(
    "--max-paths",
    type=click.IntRange(1, 64),
    default=24,
    show_default=True,
    help="Most paths of the model.",
)
@click.option(
    "--holdout",
    type=click.FloatRange(0, 0.5),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of the frames kept back to check the fit.",
)
@click.option(
    "--method",
    type=click.Choice(["parametric", "measured"]),
    default="parametric",
    show_default=True,
    help="Rician paths, or the measured responses themselves.",
)
@click.option(
    "--reference",
    type=CAPTURES,
    help="What was transmitted, where a recording does not say.",
)
@calibrate_option
@scheduler_option
@output_option()
@seed_option
@plot_option
@force_option
@json_option
@quiet_option
def command(
    sources: tuple[Path, ...],
    name: str | None,
    transmitter: int | str,
    max_paths: int,
    holdout: float,
    method: str,
    reference: Path | None,
    calibrate: Path | None,
    scheduler: str | None,
    output: Path,
    seed: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit a channel model to recordings (SigMF) or soundings (.h5) of a link; write OUTPUT (.h5).

    Recordings are sounded first. Several sources must show the same link with the same probe; a
    folder or a SigMF collection (.sigmf-collection) stands for the recordings in it. One that
    cannot be sounded is reported, and the rest is fitted.
    """
    from phyemu.channel import save_model  # torch and SciPy load only when asked for
    from phyemu.fitting import FitConfig, FitMethod, fit_channel
    from phyemu.fitting.summary import describe

    for path in (output, plot):
        if path is not None:
            refuse_existing(path, force)
    config = FitConfig(
        name=name or output.stem,
        method=FitMethod(method),
        transmitter=transmitter,
        max_paths=max_paths,
        holdout=holdout,
        seed=seed,
    )
    with progress_bars(quiet) as progress:
        soundings, failed = _soundings(
            sources, reference, calibrate, scheduler, max_paths, progress
        )
        fit = fit_channel(soundings, config, progress=progress)
    save_model(fit.model, output, force=force)
    if plot is not None:
        from phyemu.fitting.figure import save_fit_figure

        save_fit_figure(fit, plot)
    if as_json:
        echo_json({**fit.summary(), "output": str(output), "failed": failed})
    else:
        for line in describe(fit):
            click.echo(line)
        for path in (output, plot):
            if path is not None:
                click.echo(f"{path}: written")
    for item in failed:
        click.echo(f"phyemu: {item['recording']}: not fitted: {item['error']}", err=True)
    if failed:
        click.get_current_context().exit(1)


def _soundings(
    sources: tuple[Path, ...],
    reference: Path | None,
    calibrate: Path | None,
    scheduler: str | None,
    max_paths: int,
    progress: "ProgressCallback",
) -> "tuple[list[Sounding], list[dict[str, str]]]":
    """Return the soundings that the sources hold or give, in their order, and what failed."""
    from phyemu.errors import ConfigError
    from phyemu.sounding import (
        SoundingConfig,
        SoundingJob,
        choose_scheduler,
        load_calibration,
        load_soundings,
        sound_all,
        sound_file,
        sources_in,
    )

    paths = list(dict.fromkeys(path for item in sources for path in sources_in(item)))
    recordings = [path for path in paths if path.suffix != ".h5"]
    if calibrate is not None and len(recordings) < len(paths):
        stored = next(path for path in paths if path.suffix == ".h5")
        raise ConfigError(
            f"{stored}: holds soundings already; calibrate them when they are made "
            f"(phyemu sound --calibrate), or give the recording"
        )
    config = SoundingConfig(max_paths=max_paths)
    calibration = None
    if calibrate is not None:
        calibration = load_calibration(calibrate, config, reference=reference, progress=progress)
    jobs = [
        SoundingJob(recording=path, config=config, reference=reference, calibration=calibration)
        for path in recordings
    ]
    found = {path: load_soundings(path) for path in paths if path.suffix == ".h5"}
    failed = []
    if len(paths) == 1 and jobs and scheduler is None:
        found[paths[0]] = sound_file(jobs[0], progress)
    elif jobs:
        chosen = scheduler or choose_scheduler(recordings)
        for index, result in sound_all(jobs, scheduler=chosen, progress=progress):
            if result.error is None:
                found[recordings[index]] = result.soundings()
            else:
                failed.append({"recording": str(recordings[index]), "error": result.error})
    if not found:
        reasons = "; ".join(f"{item['recording']}: {item['error']}" for item in failed)
        raise ConfigError(f"none of the recordings could be sounded: {reasons}")
    return [sounding for path in paths for sounding in found.get(path, [])], failed
