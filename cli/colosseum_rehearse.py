"""`phyemu colosseum rehearse`: batch jobs on this machine, as Colosseum plays them."""

from pathlib import Path

import click

from .options import FREQUENCY, echo_json, force_option, json_option, quiet_option, seed_option
from .progress import progress_bars

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("rehearse")
@click.argument("jobs", metavar="JOB...", type=_FILE, nargs=-1, required=True)
@click.option(
    "--content",
    metavar="DIR|IMAGE",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="What images hold: NAME.tar.gz of `package`, or a folder with content; repeat it. Without "
    "it, the content folders of the batch's plan.json.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="RESULTS")
@click.option("--config", type=_FOLDER, help="Folder of the radio.conf files.")
@click.option("--scenario", metavar="NAME", help="What is played, in place of the job's scenario.")
@click.option(
    "--rate",
    "sample_rate_hz",
    type=FREQUENCY,
    help="Sample rate of all radios, in place of that of their radio.conf.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of the scenario, in place of the job's Duration.",
)
@click.option(
    "--event",
    "events",
    metavar="TIME:SCRIPT[=FILE]",
    multiple=True,
    help="Push FILE to all nodes and call SCRIPT at a time of the scenario, such as "
    "5s:update_environment=env.json; repeat it.",
)
@click.option(
    "--discontinuity", is_flag=True, help="Call scenario_discontinuity where it starts over."
)
@click.option(
    "--boot-limit",
    "boot_limit_s",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds from boot to the READY check, which comes earlier once all nodes are READY.",
)
@click.option(
    "--noise-dbfs",
    type=float,
    default=-80.0,
    show_default=True,
    help="Noise power of every receiver; -inf: none.",
)
@click.option(
    "--radios",
    metavar="ideal|x310|TOML",
    default="ideal",
    show_default=True,
    help="Front ends of the nodes; a file has [every] and [nodes.N].",
)
@seed_option
@force_option
@json_option
@quiet_option
@click.pass_context
def command(
    ctx: click.Context,
    jobs: tuple[Path, ...],
    content: tuple[Path, ...],
    output: Path,
    config: Path | None,
    scenario: str | None,
    sample_rate_hz: float | None,
    duration_s: float | None,
    events: tuple[str, ...],
    discontinuity: bool,
    boot_limit_s: float,
    noise_dbfs: float,
    radios: str,
    seed: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Play JOBs from boot to kill on this machine: the nodes' daemons, and the twin as the air.

    Results land in RESULTS as Colosseum leaves them, for `phyemu colosseum collect RESULTS`. The
    exit code is 1 where a node was not READY in time, was in ERROR, was killed unfinished, or a
    script took longer than 5 seconds.
    """
    from phyemu.batch import (
        RehearsalSettings,
        check_output,
        parse_rehearsal_event,
        rehearse_job,
        set_up_rehearsal,
    )

    settings = RehearsalSettings(
        content=content,
        config=config,
        scenario=scenario,
        duration_s=duration_s,
        sample_rate_hz=sample_rate_hz,
        events=tuple(parse_rehearsal_event(event) for event in events),
        discontinuity=discontinuity,
        boot_limit_s=boot_limit_s,
        noise_dbfs=noise_dbfs,
        radios=radios,
        seed=seed,
    )
    # All of them, before the first one takes its time.
    setups = [set_up_rehearsal(job, settings) for job in jobs]
    check_output(setups, output, force=force)
    results = []
    for setup in setups:
        with progress_bars(quiet) as progress:
            result = rehearse_job(setup, settings, output, force=force, progress=progress)
        results.append(result)
        if not as_json:
            click.echo("\n".join([*result.lines(), f"  {result.folder}"]))
    if as_json:
        echo_json({"jobs": [result.to_json() for result in results]})
    if not all(result.passed for result in results):
        ctx.exit(1)
