"""`phyemu evaluate`: how an exported PhyDNN does over a channel."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from .evaluate_chain import evaluate_hops, lost_frames, refuse_single_link_options
from .options import (
    echo_json,
    force_option,
    json_option,
    model_option,
    plot_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    seed_option,
    widen_option,
    widened_spec,
)
from .progress import progress_bars

if TYPE_CHECKING:
    from phyemu.channel import ChannelModel
    from phyemu.dnn import Lookup
    from phyemu.evaluation import Evaluation, EvaluationFidelity, Latency
    from phyemu.metering import InferenceCost
    from phyemu.progress import ProgressCallback

_BATCHES = (1, 64)


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path, exists=True), metavar="RUN|CHECKPOINT")
@click.option(
    "--channel",
    "channels",
    metavar="SPEC",
    multiple=True,
    required=True,
    help="As in `phyemu emulate`; repeat it for a line each. A link of a Colosseum scenario is "
    "scenario:NAME:TX-RX[:SNR_DB]. Where the run has several hops: A//B is A on the first and B on "
    "the second, A alone is on all.",
)
@widen_option
@click.option(
    "--tx-power",
    type=float,
    metavar="DBM",
    help="Noise of links of scenarios by a link budget: transmit power over their path loss.",
)
@click.option(
    "--noise-figure",
    type=float,
    default=7.0,
    show_default=True,
    metavar="DB",
    help="With --tx-power: of the receiver.",
)
@click.option("--snr", "snr", metavar="RANGE", help="SNRs in dB: 4:20:2, or 4,8,12.")
@click.option(
    "--fidelity",
    type=click.Choice(["frames", "symbol", "waveform"]),
    default="frames",
    show_default=True,
    help="frames: the real receiver; symbol: fast.",
)
@model_option
@click.option("--dataset", metavar="SPEC", help="Other images than the run was trained on.")
@click.option("--limit", type=click.IntRange(1), help="At most so many test images.")
@click.option("--order", type=click.IntRange(2), help="M, where the run holds several.")
@click.option(
    "--lookup",
    type=click.Choice(["hard", "soft", "learned"]),
    help="How posteriors become slices.  [default: as in training]",
)
@click.option(
    "--repetitions",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Passes over the images, each through new channels.",
)
@click.option(
    "--latency", is_flag=True, help="Time head, frames, receiver and tail on this machine, too."
)
@click.option(
    "--device-profile",
    metavar="NAME|FILE",
    help="With --latency or --energy: the head runs on that device, e.g. jetson-orin-nano.",
)
@click.option(
    "--energy", is_flag=True, help="Energy of the device, too: measured where a meter is found."
)
@seed_option
@plot_option
@force_option
@json_option
@quiet_option
def command(
    run: Path,
    channels: tuple[str, ...],
    widen: float | None,
    tx_power: float | None,
    noise_figure: float,
    snr: str | None,
    fidelity: str,
    model: str | None,
    dataset: str | None,
    limit: int | None,
    order: int | None,
    lookup: str | None,
    repetitions: int,
    latency: bool,
    device_profile: str | None,
    energy: bool,
    seed: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score the head and tail that RUN has exported, on test images sent over channels."""
    from phyemu.dnn import Lookup
    from phyemu.evaluation import (
        EvaluationFidelity,
        evaluate_phydnn,
        is_chain,
        load_exported,
        measure_latency,
        phydnn_costs,
        plot_sweep,
        profile_for_costs,
        run_test_images,
        snr_range,
        sweep_snr,
    )

    if device_profile is not None and not (latency or energy):
        raise click.UsageError("--device-profile goes with --latency or --energy")
    if plot is not None:
        if snr is None:
            raise click.UsageError("--plot needs --snr: it draws results over the SNR")
        refuse_existing(plot, force)
    if is_chain(run):
        refuse_single_link_options(
            run,
            tx_power=tx_power,
            plot=plot,
            latency=latency,
            energy=energy,
            device_profile=device_profile,
        )
        answer, lines = evaluate_hops(
            run,
            channels,
            widen=widen,
            snrs_db=None if snr is None else snr_range(snr),
            fidelity=EvaluationFidelity(fidelity),
            model=model,
            dataset=dataset,
            limit=limit,
            order=order,
            lookup=lookup,
            repetitions=repetitions,
            seed=seed,
            quiet=quiet,
        )
        if as_json:
            echo_json(answer)
            return
        for line in lines:
            click.echo(line)
        return
    profile = profile_for_costs(device_profile)
    channel_models = _load(channels, widen, tx_power, noise_figure, snr)
    snrs_db = None if snr is None else snr_range(snr)
    phydnn = load_exported(run, order=order, model=model)
    mode = None if lookup is None else Lookup(lookup)
    images = run_test_images(run, phydnn, dataset=dataset, limit=limit)
    found: list[list[Evaluation]] = []
    with progress_bars(quiet) as progress:
        for channel_model in channel_models:
            settings: _Settings = {
                "fidelity": EvaluationFidelity(fidelity),
                "seed": seed,
                "lookup": mode,
                "repetitions": repetitions,
                "progress": progress,
            }
            if snrs_db is None:
                found.append([evaluate_phydnn(phydnn, channel_model, images, **settings)])
            else:
                found.append(sweep_snr(phydnn, channel_model, images, snrs_db, **settings))
    times: list[Latency] = []
    costs: list[InferenceCost] = []
    if energy or device_profile is not None:
        costs = phydnn_costs(phydnn, images, profile=profile, num_images=_BATCHES, lookup=mode)
    elif latency:
        times = [
            measure_latency(phydnn, images, num_images=count, lookup=mode) for count in _BATCHES
        ]
    if plot is not None and snrs_db is not None:
        curves = {
            f"M = {phydnn.messages_per_position}, {channel_model.name}": results
            for channel_model, results in zip(channel_models, found, strict=True)
        }
        plot_sweep(curves, snrs_db, plot)
    if as_json:
        answers = [_as_json(results, snrs_db) for results in found]
        answer = answers[0] if len(answers) == 1 else {"channels": answers}
        if times:
            answer["latency"] = [item.to_dict() for item in times]
        if costs:
            answer["cost"] = [item.to_dict() for item in costs]
        echo_json(answer)
        return
    for results in found:
        for index, result in enumerate(results):
            level = result.snr_db if snrs_db is None else snrs_db[index]
            click.echo(
                f"{result.channel} at {level:.1f} dB: {result.accuracy:.2f} % of "
                f"{result.num_images} images, symbol error rate {result.ser:.3g}, "
                f"{lost_frames(result.frames_lost, result.frames_sent)}"
                f"{result.bytes_on_air_per_batch_of_64:.0f} bytes per 64 images"
            )
    for item in times:
        click.echo(item.line())
    for cost in costs:
        if latency:
            click.echo(cost.latency_line())
        if energy:
            click.echo(cost.energy_line())
    if profile is not None:
        click.echo(profile.line())


class _Settings(TypedDict):
    fidelity: "EvaluationFidelity"
    seed: int
    lookup: "Lookup | None"
    repetitions: int
    progress: "ProgressCallback"


def _load(
    channels: tuple[str, ...],
    widen: float | None,
    tx_power: float | None,
    noise_figure: float,
    snr: str | None,
) -> "list[ChannelModel]":
    from phyemu.colosseum import load_channel_or_link, load_link_with_budget

    if tx_power is None:
        refuse_given(("noise_figure",), "goes with --tx-power")
        return [load_channel_or_link(widened_spec(spec, widen) or spec) for spec in channels]
    for name, given in (("--snr", snr), ("--widen", widen)):
        if given is not None:
            raise click.UsageError(f"--tx-power sets the noise and does not go with {name}")
    return [
        load_link_with_budget(spec, transmit_power_dbm=tx_power, noise_figure_db=noise_figure)
        for spec in channels
    ]


def _as_json(results: "list[Evaluation]", snrs_db: tuple[float, ...] | None) -> dict[str, Any]:
    if snrs_db is None:
        return results[0].to_dict()
    points = [
        {**result.to_dict(), "nominal_snr_db": level}
        for result, level in zip(results, snrs_db, strict=True)
    ]
    return {"points": points}
