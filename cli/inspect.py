"""`phyemu inspect`: what a recording, or an .h5 file of ours, holds."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    CAPTURES,
    LibraryFile,
    echo_json,
    force_option,
    json_option,
    plot_option,
    quiet_option,
    refuse_existing,
    refuse_given,
)
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.iq import Recording, SampleSurvey

_STORES = LibraryFile("channels", "FILE")


class _RecordingOrStore(click.ParamType[Path]):
    """A path or library name: a channel when it ends in .h5, else a recording."""

    name = "REC"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; a name that is neither is a usage error that lists the near ones."""
        kind = _STORES if str(value).endswith(".h5") else CAPTURES
        return kind.convert(value, param, ctx)


@click.command("inspect")
@click.argument("source", metavar="REC", type=_RecordingOrStore())
@click.option("--verify/--no-verify", default=True, help="Check the hash of the samples.")
@click.option(
    "--channel-index",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Which channel of a multichannel recording.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Finish an interrupted recording, or complete one that was cut; then nothing is measured.",
)
@plot_option
@force_option
@json_option
@quiet_option
def command(
    source: Path,
    verify: bool,
    channel_index: int,
    repair: bool,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what REC holds: a SigMF recording, a channel model, responses or soundings (.h5).

    The power, peak, clipping, DC offset, and the bandwidth that holds 99 % of the power are
    measured on all samples of a recording; --plot draws its spectrogram and power spectral density.
    Samples that do not match their hash end with exit code 1.

    A recording whose writer was killed lies beside its name as NAME.partial and NAME.journal;
    --repair finishes it. It also completes archives of phyemu that a copy cut, and pairs with
    samples or metadata cut. Nothing but an interrupted recording with --force replaces another.
    """
    if repair:
        refuse_given(("verify", "channel_index", "plot"), "does not go with --repair")
        _repair(source, force, as_json)
        return
    if plot is not None:
        refuse_existing(plot, force)
    if source.suffix == ".h5":
        result = _inspect_store(source, plot)
    else:
        result = _inspect_recording(source, verify, channel_index, plot, quiet)
    if as_json:
        echo_json(result)
    else:
        for line in _lines(result):
            click.echo(line)
    if result.get("hash_ok") is False:
        from phyemu.errors import RecordingError

        raise RecordingError(f"{source}: its samples do not match core:sha512; copy it again")


def _repair(source: Path, force: bool, as_json: bool) -> None:
    from phyemu.iq import repair_recording

    done = repair_recording(source, force=force)
    if as_json:
        echo_json(done.to_dict())
    else:
        click.echo(done.line())


def _inspect_recording(
    source: Path, verify: bool, channel: int, plot: Path | None, quiet: bool
) -> dict[str, Any]:
    from phyemu.iq import open_recording, survey_samples  # NumPy and SciPy load only when asked for
    from phyemu.iq.unfinished import find_unfinished

    with open_recording(source) as recording, progress_bars(quiet) as progress:
        survey = survey_samples(recording, channel=channel, progress=progress)
        hash_ok = recording.verify() if verify else None
        result = _of_recording(recording, survey) | {"hash_ok": hash_ok}
    newer = find_unfinished(source)
    if newer is not None:
        click.echo(
            f"{newer.partial}: holds another recording of that name, which is not finished; see "
            "phyemu inspect --repair",
            err=True,
        )
    if plot is not None:
        from phyemu.iq.figure import save_survey_figure

        save_survey_figure(survey, plot, title=source.name)
    return result


def _of_recording(recording: "Recording", survey: "SampleSurvey") -> dict[str, Any]:
    fields = recording.global_fields
    return {
        "kind": "recording",
        "description": fields.get("core:description"),
        "hardware": fields.get("core:hw"),
        "author": fields.get("core:author"),
        "datatype": recording.datatype,
        "samples": recording.num_samples,
        "channels": recording.num_channels,
        "sample_rate_hz": recording.sample_rate_hz,
        "duration_s": recording.duration_s,
        "center_frequency_hz": recording.center_frequency_hz,
        "datetime": recording.captures[0].datetime,
        "segments": len(recording.captures),
        "lost_samples": recording.lost_samples,
        "annotations": dict(Counter(note.label or "" for note in recording.annotations)),
        "phyemu": {
            key.removeprefix("phyemu:"): value
            for key, value in fields.items()
            if key.startswith("phyemu:")
        },
        "power_dbfs": survey.power_dbfs,
        "peak_dbfs": survey.peak_dbfs,
        "clipped": survey.num_clipped,
        "dc_offset": {"i": survey.dc_offset.real, "q": survey.dc_offset.imag},
        "occupied_bandwidth_hz": survey.occupied_bandwidth_hz,
        "sha512": recording.sha512,
    }


def _inspect_store(path: Path, plot: Path | None) -> dict[str, Any]:
    from phyemu.channel.hdf5 import StoreReader

    with StoreReader(path, kind=None) as store:
        kind, provenance = store.kind, store.provenance
    if plot is not None and kind != "soundings":
        raise click.UsageError("--plot draws recordings and soundings; see phyemu emulate --plot")
    match kind:
        case "channel-model":
            from phyemu.channel import load_model, summarise_model

            result = {"kind": "channel", **summarise_model(load_model(path))}
        case "responses":
            from phyemu.channel import load_responses

            response = load_responses(path)
            result = {
                "kind": "responses",
                "steps": response.num_steps,
                "interval_s": response.interval_s,
                "delays_s": response.delays_s.tolist(),
                "rms_delay_spread_s": float(response.rms_delay_spread_s()),
            }
        case "soundings":
            from phyemu.sounding import load_soundings
            from phyemu.sounding.summary import summarise

            soundings = load_soundings(path)
            result = {"kind": "soundings", **summarise(soundings)}
            if plot is not None:
                from phyemu.sounding.figure import save_sounding_figure

                save_sounding_figure(soundings, plot)
        case _:
            result = {"kind": kind}
    return result | {"provenance": provenance}


def _lines(result: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield one line per value; nested ones are indented below their key."""
    width = max((len(key) for key in result), default=0)
    for key, value in result.items():
        if value is None or value in ("", {}, []):
            continue
        if isinstance(value, Mapping) and any(
            isinstance(v, Mapping | list) for v in value.values()
        ):
            yield f"{indent}{key}"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield f"{indent}{key}"
            for item in value:
                yield f"{indent}  {_text(item)}"
        else:
            yield f"{indent}{key:<{width}}  {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key or 'no label'} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return " ".join(str(value).split())
