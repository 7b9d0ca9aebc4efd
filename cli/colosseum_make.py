"""`phyemu colosseum scenario make`: scenarios from channels, recordings, rays and tracks."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import (
    CAPTURES,
    FREQUENCY,
    echo_json,
    force_option,
    json_option,
    output_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    refuse_missing_folder,
    seed_option,
)
from .progress import progress_bars
from .scenario_header import scenario_header

if TYPE_CHECKING:
    from phyemu.colosseum import ScenarioSource
    from phyemu.progress import ProgressCallback

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("make")
@click.option("--channel", metavar="SPEC", help="From a channel model, as in `phyemu emulate`.")
@click.option("--recording", metavar="REC", type=CAPTURES, help="From a recording: it is sounded.")
@click.option("--urban", type=click.Choice(["los", "nlos"]), help="From 3GPP TR 38.901 UMi.")
@click.option("--paths", metavar="NPZ", type=_FILE, help="From a ray tracer: arrays a and tau.")
@click.option("--trajectory", metavar="CSV", type=_FILE, help="From positions over time.")
@click.option("--mat", type=_FILE, help="From Colosseum's exchange file.")
@click.option(
    "--path-loss",
    metavar="DB|LAW",
    help="Mean path loss in dB; with --trajectory a law: free-space, umi-los, umi-nlos or "
    "exponent:N.  [default: 0, free-space]",
)
@click.option("--nodes", type=click.IntRange(2, 52), default=2, show_default=True)
@click.option(
    "--duration",
    type=click.FloatRange(0, 3600, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds.",
)
@click.option("--freq", type=FREQUENCY, default="1G", show_default=True, help="Of the emulation.")
@click.option("--model-freq", type=FREQUENCY, default="2.4G", show_default=True, help="Modelled.")
@click.option(
    "--bandwidth", type=FREQUENCY, default="20M", show_default=True, help="Band the taps fit."
)
@click.option("--constant-gain", type=float, help="In dB.  [default: strongest tap to 0 dB]")
@click.option("--name", help="Short name.  [default: the file's]")
@seed_option
@output_option()
@force_option
@json_option
@quiet_option
def command(
    path_loss: str | None,
    nodes: int,
    duration: float,
    freq: float,
    model_freq: float,
    bandwidth: float,
    constant_gain: float | None,
    name: str | None,
    seed: int,
    output: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
    **sources: Any,
) -> None:
    """Make a scenario that the emulator can play, and say how close it is.

    Give one source. Its paths become at most four taps on the 10 ns grid at any instant, with the
    least error of the frequency response over --bandwidth, and one constant gain moves all links
    into the emulator's range. What falls below that range is reported.
    """
    from phyemu.colosseum import make_scenario, save_scenario

    given = {key: value for key, value in sources.items() if value is not None}
    if len(given) != 1:
        options = ", ".join(f"--{key}" for key in sources)
        raise click.UsageError(f"give one source: {options}")
    ((kind, source),) = given.items()
    if output.suffix != ".json":
        raise click.UsageError(f"-o: a scenario is a .json file, got {output.name}")
    _refuse_unused(kind)
    _refuse_overwriting(source, output, force)
    name = name or output.stem
    if kind == "mat":
        from phyemu.colosseum import import_mat

        item = import_mat(source, name=name, center_frequency_hz=freq, bandwidth_hz=bandwidth)
        save_scenario(item, output)
        result, lines = {**scenario_header(item), "path": str(output)}, [f"{output}: written"]
    else:
        with progress_bars(quiet) as progress:
            made = make_scenario(
                _source(kind, source, path_loss, nodes, duration, model_freq, seed, progress),
                name=name,
                center_frequency_hz=freq,
                bandwidth_hz=bandwidth,
                constant_gain_db=constant_gain,
                progress=progress,
            )
        save_scenario(made.scenario, output)
        result = {**made.to_dict(), "path": str(output)}
        gain = f"{made.scenario.constant_gain_db:+g} dB"
        lines = [*(link.line() for link in made.links), f"{output}: written, constant gain {gain}"]
    if as_json:
        echo_json(result)
        return
    for line in lines:
        click.echo(line)


def _refuse_overwriting(source: Any, output: Path, force: bool) -> None:
    """Raise where the scenario, or the series beside it, would replace what is there."""
    series = output.with_suffix(".npz")
    if isinstance(source, Path) and source.resolve() in (output.resolve(), series.resolve()):
        raise click.UsageError(f"-o: {source.name} is what the scenario is made from; name another")
    refuse_missing_folder(output)
    refuse_existing(output, force)
    refuse_existing(series, force)


_SEEDED = ("channel", "urban")


def _refuse_unused(kind: str) -> None:
    """Refuse options that would do nothing with this source."""
    unused = {
        "nodes": kind in _SEEDED,
        "duration": kind in (*_SEEDED, "trajectory"),
        "seed": kind in _SEEDED,
        "model_freq": kind in ("urban", "trajectory"),
        "path_loss": kind not in ("paths", "mat"),
        "constant_gain": kind != "mat",
    }
    refuse_given(
        tuple(option for option, used in unused.items() if not used), f"does nothing with --{kind}"
    )


def _source(
    kind: str,
    source: Any,
    path_loss: str | None,
    nodes: int,
    duration_s: float,
    model_freq_hz: float,
    seed: int,
    progress: "ProgressCallback",
) -> "ScenarioSource":
    from phyemu import colosseum

    if kind == "paths":
        return colosseum.source_of_rays(source)
    if kind == "trajectory":
        given = click.get_current_context().get_parameter_source("duration")
        whole = given in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        return colosseum.source_of_trajectory(
            source,
            path_loss=path_loss or "free-space",
            frequency_hz=model_freq_hz,
            duration_s=None if whole else duration_s,
        )
    loss_db = _decibels(path_loss)
    if kind == "recording":
        return colosseum.source_of_recording(source, path_loss_db=loss_db, progress=progress)
    drawn: dict[str, Any] = {
        "path_loss_db": loss_db,
        "num_nodes": nodes,
        "duration_s": duration_s,
        "seed": seed,
    }
    if kind == "urban":
        return colosseum.source_of_street(
            line_of_sight=source == "los", frequency_hz=model_freq_hz, **drawn
        )
    return colosseum.source_of_channel(source, **drawn)


def _decibels(text: str | None) -> float:
    try:
        value = float(text or 0.0)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 300:
        raise click.BadParameter(
            f"{text!r}: a number of dB from 0 to 300; laws go with --trajectory",
            param_hint="--path-loss",
        )
    return value
