"""`phyemu evaluate` of a network on more than two devices: one channel a hop."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import widened_spec
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.channel import ChannelModel
    from phyemu.evaluation import ChainEvaluation, EvaluationFidelity


def evaluate_hops(
    run: Path,
    channels: tuple[str, ...],
    *,
    widen: float | None,
    snrs_db: tuple[float, ...] | None,
    fidelity: "EvaluationFidelity",
    model: str | None,
    dataset: str | None,
    limit: int | None,
    order: int | None,
    lookup: str | None,
    repetitions: int,
    seed: int,
    quiet: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Return what the parts of RUN do over each of the channels: JSON values, and lines."""
    from phyemu.channel import with_snr
    from phyemu.dnn import Lookup
    from phyemu.evaluation import evaluate_chain, load_exported_chain, run_test_images

    chain = load_exported_chain(run, order=order, model=model)
    lines_of_hops = [_load(spec, widen, chain.num_hops) for spec in channels]
    images = run_test_images(run, chain, dataset=dataset, limit=limit)
    answers: list[dict[str, Any]] = []
    lines: list[str] = []
    with progress_bars(quiet) as progress:
        for models in lines_of_hops:
            points = []
            for snr_db in snrs_db or (None,):
                hops = models if snr_db is None else [with_snr(hop, snr_db) for hop in models]
                result = evaluate_chain(
                    chain,
                    hops,
                    images,
                    fidelity=fidelity,
                    seed=seed,
                    lookup=None if lookup is None else Lookup(lookup),
                    repetitions=repetitions,
                    progress=progress,
                )
                point = result.to_dict()
                points.append(point if snr_db is None else {**point, "nominal_snr_db": snr_db})
                lines += _lines(result)
            answers.append(points[0] if snrs_db is None else {"points": points})
    return answers[0] if len(answers) == 1 else {"channels": answers}, lines


def refuse_single_link_options(
    run: Path,
    *,
    tx_power: float | None,
    plot: Path | None,
    latency: bool,
    energy: bool,
    device_profile: str | None,
) -> None:
    """Refuse what is known of a single link only."""
    for name, given in (
        ("--tx-power", tx_power is not None),
        ("--plot", plot is not None),
        ("--latency", latency),
        ("--energy", energy),
        ("--device-profile", device_profile is not None),
    ):
        if given:
            raise click.UsageError(f"{name} is of a single link, but {run} has several")


def lost_frames(lost: int, sent: int) -> str:
    """Return how many frames were lost, with a comma; nothing where the fidelity has none."""
    return f"{lost} of {sent} frames lost, " if sent else ""


def _load(spec: str, widen: float | None, num_hops: int) -> "list[ChannelModel]":
    from phyemu.colosseum import load_channel_or_link
    from phyemu.link import hop_specs

    return [
        load_channel_or_link(widened_spec(hop, widen) or hop) for hop in hop_specs(spec, num_hops)
    ]


def _lines(result: "ChainEvaluation") -> list[str]:
    lines = [
        f"{'//'.join(hop.channel for hop in result.hops)}: {result.accuracy:.2f} % of "
        f"{result.num_images} images over {len(result.hops)} hops"
    ]
    for number, hop in enumerate(result.hops, start=1):
        lines.append(
            f"  hop {number}, {hop.channel} at {hop.snr_db:.1f} dB: symbol error rate "
            f"{hop.ser:.3g}, {lost_frames(hop.frames_lost, hop.frames_sent)}"
            f"{hop.bytes_on_air_per_batch_of_64:.0f} bytes per 64 images"
        )
    return lines
