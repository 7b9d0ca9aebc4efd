"""`phyemu inspect`: what a recording or a channel file holds."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import CAPTURES, echo_json, json_option, plot_option, quiet_option
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.iq import Recording


@click.command("inspect")
@click.argument("source", metavar="RECORDING", type=CAPTURES)
@click.option("--verify/--no-verify", default=True, help="Check the hash of the samples.")
@click.option(
    "--channel-index", type=click.IntRange(0), default=0, help="Which channel of several."
)
@plot_option
@json_option
@quiet_option
def command(
    source: Path,
    verify: bool,
    channel_index: int,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what RECORDING (SigMF, or a channel .h5) holds, and check its hash."""
    if source.suffix == ".h5":
        result = _of_channel(source)
    else:
        from phyemu.iq import open_recording, survey_samples

        with open_recording(source) as recording, progress_bars(quiet) as progress:
            hash_ok = recording.verify() if verify else None
            survey = survey_samples(recording, channel=channel_index, progress=progress)
            result = _of_recording(recording) | {
                "power_dbfs": survey.power_dbfs,
                "peak_dbfs": survey.peak_dbfs,
                "clipped": survey.num_clipped,
                "dc_offset": [survey.dc_offset.real, survey.dc_offset.imag],
                "occupied_bandwidth_hz": survey.occupied_bandwidth_hz,
                "hash_ok": hash_ok,
            }
        if plot is not None:
            from phyemu.iq.figure import save_survey_figure

            save_survey_figure(survey, plot, title=source.name)
    if as_json:
        echo_json(result)
        return
    for key, value in result.items():
        if value not in (None, "", {}, []):
            click.echo(f"{key:<22} {_text(value)}")


def _of_recording(recording: "Recording") -> dict[str, Any]:
    labels = Counter(note.label or "(no label)" for note in recording.annotations)
    return {
        "kind": "recording",
        "description": recording.global_fields.get("core:description"),
        "hardware": recording.global_fields.get("core:hw"),
        "samples": recording.num_samples,
        "channels": recording.num_channels,
        "sample_rate_hz": recording.sample_rate_hz,
        "duration_s": recording.duration_s,
        "center_frequency_hz": recording.center_frequency_hz,
        "datatype": recording.datatype,
        "segments": len(recording.captures),
        "annotations": dict(labels),
        "waveform": recording.global_fields.get("phyemu:waveform"),
        "world": recording.global_fields.get("phyemu:world"),
        "seed": recording.global_fields.get("phyemu:seed"),
    }


def _of_channel(path: Path) -> dict[str, Any]:
    from phyemu.channel import load_model, summarise_model

    return {"kind": "channel", **summarise_model(load_model(path))}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return str(value)
