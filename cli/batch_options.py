"""Options of every `phyemu colosseum batch` that writes jobs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import FREQUENCY, echo_json, force_option, json_option

if TYPE_CHECKING:
    from phyemu.batch import BatchSettings, ImageChoice, JobScenario, MadeBatch

__all__ = [
    "RATE",
    "batch_options",
    "batch_settings",
    "choose_images",
    "choose_scenarios",
    "echo_batch",
]

F = TypeVar("F", bound=Callable[..., Any])

RATE = click.option(
    "--rate",
    type=FREQUENCY,
    default="20M",
    show_default=True,
    help="Sample rate of the radios.",
)

_OPTIONS = (
    click.option(
        "--duration",
        type=click.IntRange(1),
        required=True,
        metavar="SECONDS",
        help="Between start.sh and stop.sh of each job.",
    ),
    click.option(
        "--loops",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Runs of the scenario in each job (Loopinfo), each with its own start and stop.",
    ),
    click.option(
        "--rf-scenario",
        "rf_scenarios",
        metavar="NAME=ID",
        multiple=True,
        help="Number at Colosseum of a scenario that is not a published one.",
    ),
    click.option(
        "--traffic-scenario",
        type=click.IntRange(1),
        help="Number of the traffic scenario.  [default: 10090 and 100090 with 1009 and 10009, "
        "else 1]",
    ),
    click.option(
        "--gateway",
        "gateways",
        type=click.IntRange(1),
        multiple=True,
        metavar="NODE",
        help="Node on the collaboration network.",
    ),
    click.option(
        "--node-type",
        type=click.Choice(["competitor", "bot"]),
        default="competitor",
        show_default=True,
        help="bot: ssh into the nodes is allowed while a job runs.",
    ),
    click.option("--usrp", default="", metavar="ARGS", help="UHD's device arguments."),
    click.option(
        "--gain",
        type=float,
        metavar="DB",
        help="Of receivers.  [default: as Colosseum recommends, 7 dB at 1 GHz, 8 at 2.4, 15 at "
        "5.8]",
    ),
    click.option(
        "--tx-gain",
        type=float,
        metavar="DB",
        help="Of transmitters.  [default: 20 dB at 1 GHz, 23 at 2.4, 28 at 5.8]",
    ),
    click.option(
        "--lo-offset",
        type=click.FloatRange(0),
        default=42e6,
        show_default=True,
        metavar="HZ",
        help="Oscillators that far below (transmitters) and above (receivers) the centre, as "
        "Colosseum recommends: their spike falls outside of the signal. 0: at the centre.",
    ),
    click.option(
        "--name",
        metavar="PREFIX",
        help="Begins the names of jobs and settings; those of the same name replace each other in "
        "the team's storage.  [default: sound, capture or phydnn]",
    ),
    click.option("--team", help="Whose storage the batch goes to, for `upload`."),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        required=True,
        metavar="DIR",
        help="Folder to make.",
    ),
    force_option,
    json_option,
)


def batch_options(function: F) -> F:
    """Add what all kinds of batches share."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def batch_settings(
    *,
    duration: int,
    loops: int,
    gateways: Sequence[int],
    node_type: Any,
    usrp: str,
    rate: float | None = None,
    gain: float | None,
    tx_gain: float | None,
    lo_offset: float,
    team: str | None,
    name: str | None,
) -> "BatchSettings":
    """Return the settings that the shared options say; `rate` None where the batch sets it."""
    from phyemu.batch import BatchSettings, RadioSettings, RemoteFolder

    if team is not None:
        RemoteFolder(team=team)  # refuses what is no name of a team
    radio = RadioSettings(usrp=usrp, gain_db=gain, tx_gain_db=tx_gain, lo_offset_hz=lo_offset)
    if rate is not None:
        radio = replace(radio, sample_rate_hz=rate)
    return BatchSettings(
        duration_s=duration,
        num_loops=loops,
        gateways=frozenset(gateways),
        node_type=node_type,
        radio=radio,
        team=team,
        name=name,
    )


def choose_scenarios(
    sources: Sequence[Path], rf_scenarios: Sequence[str], traffic_scenario: int | None
) -> "list[JobScenario]":
    """Return the scenarios of SCENARIO..., --rf-scenario and --traffic-scenario.

    Raises:
        BadParameter: --rf-scenario is written otherwise, or a name is there twice.
    """
    from phyemu.batch import job_scenarios

    numbers: dict[str, int] = {}
    for text in rf_scenarios:
        name, _, number = text.rpartition("=")
        if not (name and number.isdecimal() and int(number)):
            raise click.BadParameter(
                f"{text!r}: write NAME=ID, as in urban-40db=7001", param_hint="--rf-scenario"
            )
        if name in numbers:
            raise click.BadParameter(f"{name} is there twice", param_hint="--rf-scenario")
        numbers[name] = int(number)
    return job_scenarios(sources, rf_scenarios=numbers, traffic_scenario=traffic_scenario)


def choose_images(texts: Sequence[str]) -> "ImageChoice":
    """Return the images of --image NAME and --image NODE=NAME.

    Raises:
        BadParameter: One is there twice, or written otherwise.
    """
    from phyemu.batch import ImageChoice

    default = None
    by_node: dict[int, str] = {}
    for text in texts:
        node, equals, name = text.rpartition("=")
        if equals and not (node.isdecimal() and int(node)):
            raise click.BadParameter(f"{text!r}: write NAME, or NODE=NAME", param_hint="--image")
        if (equals and int(node) in by_node) or (not equals and default is not None):
            which = f"of node {node}" if equals else "of all other nodes"
            raise click.BadParameter(f"the image {which} is there twice", param_hint="--image")
        if equals:
            by_node[int(node)] = name
        else:
            default = name
    return ImageChoice(default=default, by_node=by_node)


def echo_batch(folder: Path, made: "MadeBatch", as_json: bool) -> None:
    """Print what was made, and what to do with it."""
    from phyemu.batch import load_job

    plan = made.plan
    if as_json:
        echo_json(
            {
                "path": str(folder),
                "jobs": [str(folder / job.file) for job in plan.jobs],
                "images": {
                    image.name: str(folder / image.content) if image.content else None
                    for image in plan.images
                },
                "pass_s": plan.pass_s,
                "warnings": list(made.warnings),
            }
        )
        return
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    for planned in plan.jobs:
        job = load_job(folder / planned.file)
        transmitters = ", ".join(str(node) for node in planned.transmitters)
        receivers = ", ".join(str(node) for node in planned.receivers)
        click.echo(
            f"{folder / planned.file}: {transmitters} sends to {receivers} in {planned.scenario} "
            f"(RFScenario {planned.rf_scenario}); {len(job.nodes)} nodes for "
            f"{job.reservation_s / 60:.0f} min"
        )
    for image in plan.images:
        what = f" with --content {folder / image.content}" if image.content else ""
        click.echo(f"image {image.name}: package it{what}")
