"""`phyemu colosseum batch check`: a job, a radio map or a whole batch against the rules."""

from pathlib import Path

import click

from .colosseum_scenario import SCENARIO


@click.command("check")
@click.argument("path", type=click.Path(exists=True, path_type=Path), metavar="FILE|DIR")
@click.option(
    "--scenario",
    type=SCENARIO,
    help="All of its nodes must be there.  [default: the published one that a job names]",
)
def command(path: Path, scenario: Path | None) -> None:
    """Check a batch job, a radio map, or the folder of a batch with all that belongs to it."""
    from phyemu.batch import check_batch, job_from_json
    from phyemu.batch.json_file import read_json
    from phyemu.colosseum import check_radio_map, load_scenario
    from phyemu.errors import ConfigError
    from phyemu.library import find_in_library, library_names

    if path.is_dir():
        if scenario is not None:
            raise click.UsageError("--scenario is for one file; a batch names its own")
        plan = check_batch(path)
        click.echo(f"{path}: {len(plan.jobs)} jobs, their settings and contents hold the rules")
        return
    found = read_json(path)
    num_nodes = None if scenario is None else load_scenario(scenario).num_nodes
    if isinstance(found, dict) and found and not any("Node " in str(key) for key in found):
        job = job_from_json(found, num_nodes=num_nodes, where=str(path))
        published = str(job.rf_scenario)
        if num_nodes is None and published in library_names("colosseum"):
            num_nodes = load_scenario(find_in_library(published, "colosseum")).num_nodes
            job_from_json(found, num_nodes=num_nodes, where=str(path))
        known = "" if num_nodes else "; whether all nodes are there: --scenario"
        minutes = f"{job.reservation_s / 60:.0f} min"
        click.echo(f"{path}: a batch job, {len(job.nodes)} nodes for {minutes}{known}")
        return
    if num_nodes is None:
        raise ConfigError(f"{path}: to check a radio map, name its scenario: --scenario")
    check_radio_map(found, num_nodes=num_nodes, where=str(path))
    click.echo(f"{path}: a radio map for {num_nodes} nodes")
