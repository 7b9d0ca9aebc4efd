"""`phyemu colosseum batch`: jobs that Colosseum runs by itself."""

from pathlib import Path
from typing import Any

import click

from .batch_options import (
    RATE,
    batch_options,
    batch_settings,
    choose_images,
    choose_scenarios,
    echo_batch,
)
from .colosseum_batch_check import command as check_command
from .colosseum_scenario import SCENARIO
from .options import CAPTURES

_SCENARIOS = click.argument(
    "sources", metavar="SCENARIO...", type=SCENARIO, nargs=-1, required=True
)
_IMAGES = click.option(
    "--image",
    "images",
    metavar="NAME|NODE=NAME",
    multiple=True,
    required=True,
    help="Image of all nodes, or of one; repeatable.",
)
_TRANSMITTERS = click.option(
    "--transmitter",
    "transmitters",
    type=click.IntRange(1),
    multiple=True,
    metavar="NODE",
    help="Node that transmits, in a job of its own; repeatable.  [default: as many as it takes to "
    "hear every link in one direction (both, where they differ)]",
)


@click.group("batch")
def command() -> None:
    """Write and check batch jobs: NAME.json, a radio.conf for each node, what images must hold."""


command.add_command(check_command)


@command.command("sound")
@_SCENARIOS
@_IMAGES
@_TRANSMITTERS
@click.option(
    "--window",
    type=click.FloatRange(0, min_open=True),
    default=0.2,
    show_default=True,
    metavar="SECONDS",
    help="Stretch that is sounded at once.",
)
@click.option(
    "--every",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="From one stretch to the next.",
)
@click.option("--keep-samples", is_flag=True, help="Keep the samples of each stretch, too.")
@RATE
@batch_options
def sound_command(
    sources: tuple[Path, ...],
    images: tuple[str, ...],
    transmitters: tuple[int, ...],
    window: float,
    every: float,
    keep_samples: bool,
    rf_scenarios: tuple[str, ...],
    traffic_scenario: int | None,
    output: Path,
    force: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Sound every link of SCENARIOs: one job for each node that transmits."""
    from phyemu.batch import sounding_batch
    from phyemu.node.radio_conf import SoundSection

    made = sounding_batch(
        output,
        choose_scenarios(sources, rf_scenarios, traffic_scenario),
        choose_images(images),
        batch_settings(**shared),
        transmitters=transmitters,
        sound=SoundSection(window_s=window, every_s=every, keep_samples=keep_samples),
        force=force,
    )
    echo_batch(output, made, as_json)


@command.command("capture")
@_SCENARIOS
@_IMAGES
@_TRANSMITTERS
@click.option(
    "--recording",
    type=CAPTURES,
    help="What is sent, a .sigmf archive.  [default: frames of random 4-PSK symbols]",
)
@click.option(
    "--datatype", default="ci16_le", show_default=True, help="SigMF datatype of the captures."
)
@click.option(
    "--max-bytes",
    type=click.FloatRange(0, min_open=True),
    default=20e9,
    show_default=True,
    help="Size at which each receiver stops capturing.",
)
@RATE
@batch_options
def capture_command(
    sources: tuple[Path, ...],
    images: tuple[str, ...],
    transmitters: tuple[int, ...],
    recording: Path | None,
    datatype: str,
    max_bytes: float,
    rf_scenarios: tuple[str, ...],
    traffic_scenario: int | None,
    output: Path,
    force: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Record what nodes of SCENARIOs hear: one job for each node that transmits."""
    from phyemu.batch import capture_batch
    from phyemu.node.radio_conf import CaptureSection

    made = capture_batch(
        output,
        choose_scenarios(sources, rf_scenarios, traffic_scenario),
        choose_images(images),
        batch_settings(**shared),
        transmitters=transmitters,
        recording=recording,
        capture=CaptureSection(datatype=datatype, max_bytes=max_bytes),
        force=force,
    )
    echo_batch(output, made, as_json)


@command.command("phydnn")
@_SCENARIOS
@click.option(
    "--run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Run folder with head and tail; its test images are sent.",
)
@click.option(
    "--tx", type=click.IntRange(1), default=1, show_default=True, help="Node with the head."
)
@click.option(
    "--rx",
    type=click.IntRange(1),
    multiple=True,
    default=(2,),
    show_default=True,
    help="Node with the tail; repeatable.",
)
@click.option("--head-image", required=True, metavar="NAME", help="Image of the transmitter.")
@click.option("--tail-image", required=True, metavar="NAME", help="Image of all other nodes.")
@click.option("--order", type=click.IntRange(2), help="M, where the run holds several.")
@click.option("--images", type=click.IntRange(1), help="At most so many test images.")
@batch_options
def phydnn_command(
    sources: tuple[Path, ...],
    run: Path,
    tx: int,
    rx: tuple[int, ...],
    head_image: str,
    tail_image: str,
    order: int | None,
    images: int | None,
    rf_scenarios: tuple[str, ...],
    traffic_scenario: int | None,
    output: Path,
    force: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Send the test images of a PhyDNN through SCENARIOs, a job for each.

    The radios run at the sample rate of the run's frames.
    """
    from phyemu.batch import PhyDnnChoice, phydnn_batch

    made = phydnn_batch(
        output,
        choose_scenarios(sources, rf_scenarios, traffic_scenario),
        PhyDnnChoice(
            run=run,
            transmitter=tx,
            receivers=rx,
            head_image=head_image,
            tail_image=tail_image,
            order=order,
            max_images=images,
        ),
        batch_settings(**shared),
        force=force,
    )
    echo_batch(output, made, as_json)
