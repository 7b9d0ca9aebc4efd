"""`phyemu replay`: what a recording holds, or the recording on the air."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    CAPTURES,
    FREQUENCY,
    echo_json,
    json_option,
    quiet_option,
    refuse_given,
    seed_option,
)
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.iq import Recording
    from phyemu.progress import ProgressCallback


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
@click.option("--usrp", metavar="ARGS", help="Transmit it with a USRP; '' is the only one.")
@click.option("--freq", type=FREQUENCY, help="Center frequency.  [default: the recording's]")
@click.option("--gain", type=float, default=0.0, show_default=True, help="Transmit gain in dB.")
@click.option("--antenna", help="Transmit antenna, such as TX/RX.  [default: the device's]")
@click.option(
    "--amplitude",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Scale of the transmitted samples.",
)
@click.option("--repeat", type=click.IntRange(0), default=1, help="Times to send; 0: until Ctrl-C.")
@click.option("--delay", type=click.FloatRange(0), default=0.0, help="Seconds to the first sample.")
@seed_option
@json_option
@quiet_option
def command(
    recording: Path,
    receiver: Path | None,
    through: str | None,
    usrp: str | None,
    freq: float | None,
    gain: float,
    antenna: str | None,
    amplitude: float,
    repeat: int,
    delay: float,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Describe the frames in RECORDING (a path or a shipped name), score them, or transmit it."""
    if usrp is not None and (receiver is not None or through is not None):
        raise click.UsageError("--usrp transmits; it goes with neither --receiver nor --through")
    if usrp is None:
        transmission = ("freq", "gain", "antenna", "amplitude", "repeat", "delay")
        refuse_given(transmission, "only with --usrp, which transmits")
    if through is None:
        refuse_given(("seed",), "only with --through; nothing else is random")
    from tempfile import TemporaryDirectory

    from phyemu.iq import open_recording

    with open_recording(recording) as source, progress_bars(quiet) as progress:
        if usrp is not None:
            settings = {"gain_db": gain, "antenna": antenna}
            timing = {"amplitude": amplitude, "repeats": repeat or None, "delay_s": delay}
            result, lines = _transmit(source, usrp, freq, settings, timing, progress)
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
                    result, lines = _receive(received, receiver, progress)
            result["through"] = emulation.summary() | {"output": None}
        else:
            result, lines = _receive(source, receiver, progress)
    if as_json:
        echo_json(result)
        return
    for line in lines:
        click.echo(line)


def _receive(
    recording: "Recording", receiver: Path | None, progress: "ProgressCallback"
) -> tuple[dict[str, Any], list[str]]:
    if receiver is None:
        from phyemu.evaluation.description import describe_recording

        description = describe_recording(recording, progress=progress)
        return description.to_dict(), list(description.lines)
    from phyemu.evaluation import score_recording

    score = score_recording(recording, receiver, progress=progress).to_dict()
    return score, [f"{key}: {value}" for key, value in score.items()]


def _transmit(
    recording: "Recording",
    args: str,
    freq: float | None,
    settings: dict[str, Any],
    timing: dict[str, Any],
    progress: "ProgressCallback",
) -> tuple[dict[str, Any], list[str]]:
    from dataclasses import asdict

    from phyemu.radio import UsrpConfig, UsrpPort, UsrpRadio, measure_levels, send_recording

    frequency = freq if freq is not None else recording.center_frequency_hz
    if frequency is None:
        raise click.UsageError("the recording names no center frequency; give --freq")
    levels = measure_levels(recording, amplitude=timing["amplitude"], progress=progress)
    if levels.num_clipped:
        click.echo(
            f"{recording.path.name}: {levels.num_clipped} samples will clip; --amplitude "
            f"{levels.largest_amplitude:.3g} is the largest that does not",
            err=True,
        )
    config = UsrpConfig(
        args=args,
        sample_rate_hz=recording.sample_rate_hz,
        center_frequency_hz=frequency,
        channels=tuple(range(recording.num_channels)),
        tx=UsrpPort(**settings),
    )
    with UsrpRadio(config) as radio:
        report = send_recording(radio, recording, progress=progress, **timing)
        name = radio.name
    result = {"radio": name, **asdict(report), "levels": asdict(levels)}
    line = (
        f"{name}: sent {report.num_samples} samples at {radio.sample_rate_hz / 1e6:g} Msps, "
        f"{report.underflows} underflows, {report.sequence_errors} sequence errors, "
        f"{report.late} late, {report.clipped} clipped"
    )
    return result, [f"{line}; {report.detail}" if report.detail else line]
