"""`phyemu evaluate`: how an exported PhyDNN does over a channel."""

from pathlib import Path

import click

from .options import (
    channel_option,
    echo_json,
    force_option,
    json_option,
    plot_option,
    quiet_option,
    refuse_existing,
    seed_option,
    widen_option,
    widened_spec,
)
from .progress import progress_bars


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path, exists=True), metavar="RUN|CHECKPOINT")
@channel_option()
@widen_option
@click.option("--snr", "snr", metavar="RANGE", help="SNRs in dB: 4:20:2, or 4,8,12.")
@click.option(
    "--fidelity",
    type=click.Choice(["frames", "symbol", "waveform"]),
    default="frames",
    show_default=True,
    help="frames: the real receiver; symbol: fast.",
)
@click.option("--dataset", metavar="SPEC", help="Other images than the run was trained on.")
@click.option("--limit", type=click.IntRange(1), help="At most so many test images.")
@click.option("--order", type=click.IntRange(2), help="M, where the run holds several.")
@click.option(
    "--lookup",
    type=click.Choice(["hard", "soft"]),
    default="hard",
    show_default=True,
    help="Of embeddings by received symbols.",
)
@click.option(
    "--repetitions",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Passes over the images, each through new channels.",
)
@seed_option
@plot_option
@force_option
@json_option
@quiet_option
def command(
    run: Path,
    channel: str,
    widen: float | None,
    snr: str | None,
    fidelity: str,
    dataset: str | None,
    limit: int | None,
    order: int | None,
    lookup: str,
    repetitions: int,
    seed: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score the head and tail that RUN has exported, on test images sent over a channel."""
    from phyemu.channel import load_channel
    from phyemu.dnn import Lookup
    from phyemu.evaluation import (
        EvaluationFidelity,
        evaluate_phydnn,
        load_exported,
        plot_sweep,
        run_test_images,
        snr_range,
        sweep_snr,
    )

    if plot is not None:
        if snr is None:
            raise click.UsageError("--plot needs --snr: it draws results over the SNR")
        refuse_existing(plot, force)
    snrs_db = None if snr is None else snr_range(snr)
    phydnn = load_exported(run, order=order)
    model = load_channel(widened_spec(channel, widen) or channel)
    images = run_test_images(run, phydnn, dataset=dataset, limit=limit)
    with progress_bars(quiet) as progress:
        if snrs_db is None:
            results = [
                evaluate_phydnn(
                    phydnn,
                    model,
                    images,
                    fidelity=EvaluationFidelity(fidelity),
                    seed=seed,
                    lookup=Lookup(lookup),
                    repetitions=repetitions,
                    progress=progress,
                )
            ]
        else:
            results = sweep_snr(
                phydnn,
                model,
                images,
                snrs_db,
                fidelity=EvaluationFidelity(fidelity),
                seed=seed,
                lookup=Lookup(lookup),
                repetitions=repetitions,
                progress=progress,
            )
    if plot is not None and snrs_db is not None:
        plot_sweep({f"M = {phydnn.order}, {model.name}": results}, snrs_db, plot)
    if as_json:
        points = [result.to_dict() for result in results]
        if snrs_db is not None:
            points = [
                {**point, "nominal_snr_db": level}
                for point, level in zip(points, snrs_db, strict=True)
            ]
        echo_json(points[0] if snrs_db is None else {"points": points})
        return
    for index, result in enumerate(results):
        level = result.snr_db if snrs_db is None else snrs_db[index]
        click.echo(
            f"{result.channel} at {level:.1f} dB: {result.accuracy:.2f} % of {result.num_images} "
            f"images, symbol error rate {result.ser:.3g}, {result.frames_lost} of "
            f"{result.frames_sent} frames lost, "
            f"{result.bytes_on_air_per_batch_of_64:.0f} bytes per 64 images"
        )
