"""`phyemu replay`: what a recording holds, or the recording on the air."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    CAPTURES,
    echo_json,
    json_option,
    model_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    seed_option,
)
from .progress import progress_bars
from .transmit import AIR_OPTIONS, AirOptions, air_options, transmit

if TYPE_CHECKING:
    from phyemu.iq import Recording
    from phyemu.progress import ProgressCallback

_DUPLEX_ONLY = (
    "rx_usrp",
    "rx_gain",
    "rx_antenna",
    "rx_bandwidth",
    "rx_lo_offset",
    "rx_subdev",
    "rx_channels",
    "duration",
    "datatype",
    "force",
)
_USRP_ONLY = (
    "gain",
    "antenna",
    "bandwidth",
    "lo_offset",
    "subdev",
    "channels",
    "clock_source",
    "time_source",
    "rx_usrp",
    "rx_antenna",
    "rx_bandwidth",
    "rx_lo_offset",
    "rx_subdev",
    "rx_channels",
)


@click.command("replay")
@click.argument("recording", type=CAPTURES)
@click.option(
    "--receiver",
    metavar="RUN",
    type=click.Path(exists=True, path_type=Path),
    help="Decode the frames with the PhyDNN of a run folder and score them.",
)
@click.option(
    "--through",
    metavar="CHANNEL",
    help="Send it through a channel first: as in `phyemu emulate`, or a world.",
)
@model_option
@air_options
@seed_option
@json_option
@quiet_option
def command(
    recording: Path,
    receiver: Path | None,
    through: str | None,
    model: str | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    **air_values: Any,
) -> None:
    """Describe the frames in RECORDING (a path or a shipped name), score them, or transmit it.

    --usrp transmits it; --duplex records at the same time what is received, and says where in the
    recording the transmission lies. --emulated does the same without hardware. The exit code is 1
    if the radio or the disk ended it, or if it was late.
    """
    air = AirOptions(**air_values)
    _check(air, receiver, through)
    if model is not None and receiver is None:
        raise click.UsageError("--model goes with --receiver")
    from tempfile import TemporaryDirectory

    from phyemu.iq import open_recording

    with open_recording(recording) as source, progress_bars(quiet) as progress:
        failed = False
        if air.usrp is not None or air.emulated is not None:
            result, lines, failed = transmit(source, air, seed, progress)
        elif through is not None:
            from phyemu.channel.emulate import emulate_recording
            from phyemu.radio import load_world_or_channel

            with TemporaryDirectory(prefix="phyemu-replay-") as folder:
                emulation = emulate_recording(
                    source,
                    load_world_or_channel(through),
                    Path(folder) / recording.name.split(".sigmf")[0],
                    seed=seed,
                    progress=progress,
                )
                with open_recording(emulation.output) as received:
                    result, lines = _receive(received, receiver, model, progress)
            result["through"] = emulation.summary() | {"output": None}
        else:
            result, lines = _receive(source, receiver, model, progress)
    if as_json:
        echo_json(result)
    else:
        for line in lines:
            click.echo(line)
    if failed:
        raise click.exceptions.Exit(1)


def _check(air: AirOptions, receiver: Path | None, through: str | None) -> None:
    """Raise UsageError where options contradict each other."""
    transmits = air.usrp is not None or air.emulated is not None
    if transmits and (receiver is not None or through is not None):
        raise click.UsageError("--usrp and --emulated go with neither --receiver nor --through")
    if air.usrp is not None and air.emulated is not None:
        raise click.UsageError("give --usrp or --emulated, not both")
    if not transmits:
        refuse_given(AIR_OPTIONS, "only with --usrp, which transmits, or --emulated")
    if through is None and air.emulated is None:
        refuse_given(("seed",), "only with --through or --emulated; nothing else is random")
    if air.emulated is not None:
        if air.duplex is None:
            raise click.UsageError("--emulated needs --duplex, the recording of what it hears")
        refuse_given(_USRP_ONLY, "only with --usrp; an emulated radio has no such setting")
    if air.duplex is None:
        refuse_given(_DUPLEX_ONLY, "only with --duplex, which receives")
    else:
        refuse_existing(air.duplex, air.force)
    if air.peak_dbfs is not None:
        refuse_given(("amplitude",), "--peak-dbfs finds it; give one of them")
    if air.at is not None:
        refuse_given(("delay",), "--at is a time already; give one of them")


def _receive(
    recording: "Recording",
    receiver: Path | None,
    model: str | None,
    progress: "ProgressCallback",
) -> tuple[dict[str, Any], list[str]]:
    if receiver is None:
        from phyemu.evaluation.description import describe_recording

        description = describe_recording(recording, progress=progress)
        return description.to_dict(), list(description.lines)
    from phyemu.evaluation import score_recording

    score = score_recording(recording, receiver, model=model, progress=progress).to_dict()
    lines = [
        f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}"
        for key, value in score.items()
    ]
    return score, lines
