"""`phyemu colosseum scenario`: scenarios of the Colosseum emulator."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import (
    CAPTURES,
    FREQUENCY,
    LibraryFile,
    echo_json,
    force_option,
    json_option,
    output_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    seed_option,
)
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.colosseum import LinkPaths, Scenario
    from phyemu.progress import ProgressCallback

SCENARIO = LibraryFile("colosseum", "SCENARIO")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("scenario")
def scenario() -> None:
    """List, show, make, check, plot and export scenarios (a shipped name, or a .json file)."""


@scenario.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the scenarios of the library."""
    from phyemu.colosseum import load_scenario
    from phyemu.library import find_in_library, library_names

    found = [
        load_scenario(find_in_library(name, "colosseum")) for name in library_names("colosseum")
    ]
    if as_json:
        echo_json({"scenarios": [_header(item) for item in found]})
        return
    for item in found:
        click.echo(f"{item.name:<14} {item.num_nodes:>3} nodes  {item.description}")


@scenario.command("show")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@json_option
def show_command(source: Path, as_json: bool) -> None:
    """Show the header of SCENARIO and the taps of its links."""
    from phyemu.colosseum import load_scenario

    item = load_scenario(source)
    links: list[dict[str, Any]] = [
        {
            "tx": tx,
            "rx": rx,
            "steps": response.num_steps,
            "paths": [
                {"delay_s": delay_s, "mean_power": power}
                for delay_s, power in zip(
                    response.delays_s.tolist(), response.powers().tolist(), strict=True
                )
            ],
        }
        for (tx, rx), response in sorted(item.links.items())
    ]
    if as_json:
        echo_json({**_header(item), "links": links})
        return
    for key, value in _header(item).items():
        click.echo(f"{key:<20} {value}")
    for link in links:
        taps = ", ".join(
            f"{1e9 * path['delay_s']:g} ns {_db(path['mean_power'])} dB" for path in link["paths"]
        )
        click.echo(f"{link['tx']}>{link['rx']}: {taps}")


@scenario.command("make")
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
def make_command(
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
    refuse_existing(output, force)
    name = name or output.stem
    if kind == "mat":
        from phyemu.colosseum import import_mat

        item = import_mat(source, name=name, center_frequency_hz=freq, bandwidth_hz=bandwidth)
        save_scenario(item, output)
        result, lines = {**_header(item), "path": str(output)}, [f"{output}: written"]
    else:
        with progress_bars(quiet) as progress:
            links, settings = _links(
                kind, source, path_loss, nodes, duration, model_freq, seed, progress
            )
            made = make_scenario(
                links,
                name=name,
                center_frequency_hz=freq,
                bandwidth_hz=bandwidth,
                constant_gain_db=constant_gain,
                progress=progress,
                **settings,
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


def _links(
    kind: str,
    source: Any,
    path_loss: str | None,
    nodes: int,
    duration_s: float,
    model_freq_hz: float,
    seed: int,
    progress: "ProgressCallback",
) -> tuple["dict[tuple[int, int], LinkPaths]", dict[str, Any]]:
    """Return the paths of every link, and what the scenario is to say about them."""
    from phyemu import colosseum

    interval_s = colosseum.UPDATE_S
    num_steps = max(1, round(duration_s / interval_s))
    if kind == "paths":
        links, num_nodes = colosseum.read_ray_tracing(source)
        return links, {
            "num_nodes": num_nodes,
            "reciprocal": False,
            "description": f"Ray-traced paths of {source.name}",
            "derivation": f"Paths of {source.name}.",
        }
    if kind == "trajectory":
        law = colosseum.PathLoss.of_text(path_loss or "free-space")
        duration_given = click.get_current_context().get_parameter_source("duration")
        whole = duration_given in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        track = colosseum.read_trajectory(
            source, interval_s=interval_s, duration_s=None if whole else duration_s
        )
        return track.links(law, frequency_hz=model_freq_hz), {
            "num_nodes": track.num_nodes,
            "coordinates": track.coordinates,
            "repeats": False,
            "description": f"Nodes that move as {source.name} says",
            "derivation": f"Direct paths at {model_freq_hz / 1e9:g} GHz with the path loss "
            f"{path_loss or 'free-space'}.",
            "provenance": {"trajectory": source.name, "model_frequency_hz": model_freq_hz},
        }
    loss_db = _decibels(path_loss)
    settings: dict[str, Any] = {"num_nodes": nodes}
    provenance: dict[str, Any] = {"path_loss_db": loss_db}
    if kind == "recording":
        from phyemu.iq import open_recording
        from phyemu.sounding import sound_recording

        with open_recording(source) as recording:
            sounding = sound_recording(recording, progress=progress)[0]
        links = {(1, 2): colosseum.paths_of_sounding(sounding, path_loss_db=loss_db)}
        settings |= {
            "num_nodes": 2,
            "description": f"As measured in {source.name}",
            "derivation": f"Strongest link of {source.name}, {len(sounding.time_s)} soundings; its "
            f"path loss is set to {loss_db:g} dB.",
        }
        return links, {**settings, "provenance": provenance | {"recording": source.name}}
    provenance["seed"] = seed
    if kind == "urban":
        street = colosseum.UrbanStreet(line_of_sight=source == "los", frequency_hz=model_freq_hz)
        sight = "with" if source == "los" else "without"
        settings |= {
            "description": f"Urban street canyon {sight} line of sight, {loss_db:g} dB path loss",
            "derivation": f"3GPP TR 38.901 UMi street canyon {sight} line of sight at "
            f"{model_freq_hz / 1e9:g} GHz, terminals at 3 km/h; clusters drawn by Sec. 7.5 steps 4 "
            f"and 5 with the parameters of Table 7.5-6, each fading with Jakes' spectrum; mean "
            f"path loss {loss_db:g} dB.",
        }
        provenance |= {"urban": source, "model_frequency_hz": model_freq_hz}
        draw: Any = street.draw
    else:
        from functools import partial

        from phyemu.channel import load_channel

        settings |= {
            "description": f"The channel {source}, {loss_db:g} dB path loss",
            "derivation": f"A realisation of the channel {source} for each link; mean path loss "
            f"{loss_db:g} dB.",
        }
        provenance["channel"] = source
        draw = partial(colosseum.paths_of_model, load_channel(source))
    links = colosseum.every_link(
        nodes,
        lambda generator: draw(
            path_loss_db=loss_db, num_steps=num_steps, interval_s=interval_s, generator=generator
        ),
        seed=seed,
    )
    return links, {**settings, "provenance": provenance}


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


@scenario.command("channel")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--link", metavar="TX-RX", default="1-2", show_default=True, help="Which link.")
@click.option("--snr", type=float, help="Mean SNR in dB, whatever the path loss.")
@click.option("--tx-power", type=float, metavar="DBM", help="Instead of --snr: transmit power.")
@click.option(
    "--noise-figure",
    type=float,
    default=7.0,
    show_default=True,
    metavar="DB",
    help="With --tx-power: of the receiver.",
)
@output_option()
@force_option
def channel_command(
    source: Path,
    link: str,
    snr: float | None,
    tx_power: float | None,
    noise_figure: float,
    output: Path,
    force: bool,
) -> None:
    """Write a link of SCENARIO as a channel (.h5) that train, evaluate and emulate take.

    With --tx-power its C/N0 follows from the physical path gain of the link: the gain of its taps
    without the scenario's constant gain.
    """
    from phyemu.channel import Distribution, NoiseLevel, save_model
    from phyemu.colosseum import MchemChannel, load_scenario, received_cn0_dbhz

    if (snr is None) == (tx_power is None):
        raise click.UsageError("give --snr or --tx-power")
    if snr is not None:
        refuse_given(("noise_figure",), "goes with --tx-power")
    item = load_scenario(source)
    channel = MchemChannel.of_link(item, _link(link))
    if tx_power is None:
        noise, said = NoiseLevel.of_snr_db(snr or 0.0), f"SNR {snr:g} dB"
    else:
        gain_db = channel.gain_db - item.constant_gain_db
        cn0_dbhz = received_cn0_dbhz(tx_power, gain_db, noise_figure_db=noise_figure)
        noise = NoiseLevel(cn0_dbhz=Distribution.constant(cn0_dbhz))
        said = f"path gain {gain_db:.1f} dB, C/N0 {cn0_dbhz:.1f} dB Hz"
    save_model(channel.as_measured(noise), output, force=force)
    click.echo(f"{output}: {channel.name}, {channel.taps.num_steps} steps, {said}")


def _link(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)\s*[>-]\s*(\d+)", text)
    if match is None:
        raise click.BadParameter(f"{text!r}: write 1-2 or '1>2'", param_hint="--link")
    return int(match[1]), int(match[2])


@scenario.command("plot")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--link", metavar="TX-RX", help="Whose taps to draw.  [default: most taps]")
@output_option()
@force_option
def plot_command(source: Path, link: str | None, output: Path, force: bool) -> None:
    """Draw the taps of SCENARIO over time, its delay profile, path gains and nodes."""
    from phyemu.colosseum import load_scenario
    from phyemu.colosseum.figure import plot_scenario

    pair = None if link is None else _link(link)
    refuse_existing(output, force)
    click.echo(f"{plot_scenario(load_scenario(source), output, link=pair)}: written")


@scenario.command("check")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@json_option
@click.pass_context
def check_command(ctx: click.Context, source: Path, as_json: bool) -> None:
    """Check SCENARIO against the limits of the emulator; exit code 1 when it breaks any."""
    from phyemu.colosseum import check_scenario, load_scenario

    violations = [str(violation) for violation in check_scenario(load_scenario(source))]
    if as_json:
        echo_json({"violations": violations})
    else:
        for line in violations or ["fits the emulator"]:
            click.echo(line)
    ctx.exit(1 if violations else 0)


@scenario.command("export")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option("--on-grid", is_flag=True, help="Move delays to the emulator's 10 ns grid first.")
@output_option()
@force_option
def export_command(source: Path, on_grid: bool, output: Path, force: bool) -> None:
    """Write SCENARIO as the .mat file that Colosseum takes."""
    from phyemu.colosseum import export_mat, load_scenario

    refuse_existing(output, force)
    item = load_scenario(source)
    click.echo(export_mat(item.on_grid() if on_grid else item, output))


def _header(item: "Scenario") -> dict[str, Any]:
    return {
        "name": item.name,
        "description": item.description,
        "nodes": item.num_nodes,
        "links": len(item.links),
        "center_frequency_hz": item.center_frequency_hz,
        "bandwidth_hz": item.bandwidth_hz,
        "duration_s": item.duration_s,
        "constant_gain_db": item.constant_gain_db,
        "derivation": item.derivation,
    }


def _db(power: float) -> str:
    from phyemu.units import power_to_db

    return f"{power_to_db(power):.1f}"
