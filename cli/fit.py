"""`phyemu fit`: recordings or soundings in, channel model out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import (
    CAPTURES,
    TRANSMITTER,
    echo_json,
    force_option,
    json_option,
    output_option,
    plot_option,
    quiet_option,
    refuse_existing,
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
    output: Path,
    seed: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit a channel model to recordings (SigMF) or soundings (.h5) of a link; write OUTPUT (.h5).

    Recordings are sounded first. Several sources must show the same link with the same probe.
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
        soundings = [
            sounding
            for source in sources
            for sounding in _soundings(source, reference, max_paths, progress)
        ]
        fit = fit_channel(soundings, config, progress=progress)
    save_model(fit.model, output, force=force)
    if plot is not None:
        from phyemu.fitting.figure import save_fit_figure

        save_fit_figure(fit, plot)
    if as_json:
        echo_json({**fit.summary(), "output": str(output)})
        return
    for line in describe(fit):
        click.echo(line)
    for path in (output, plot):
        if path is not None:
            click.echo(f"{path}: written")


def _soundings(
    source: Path, reference: Path | None, max_paths: int, progress: "ProgressCallback"
) -> list["Sounding"]:
    """Return the soundings that a file holds, or that its recording gives."""
    from contextlib import ExitStack

    from phyemu.iq import open_recording
    from phyemu.sounding import SoundingConfig, load_soundings, sound_recording

    if source.suffix == ".h5":
        return load_soundings(source)
    with ExitStack() as stack:
        received = stack.enter_context(open_recording(source))
        sent = None if reference is None else stack.enter_context(open_recording(reference))
        config = SoundingConfig(max_paths=max_paths)
        return sound_recording(received, config, reference=sent, progress=progress)
