"""The folder of a batch as it was written, and nobody changed half of it."""

from pathlib import Path

from phyemu.batch.job import BatchJob, load_job
from phyemu.batch.plan import Plan, PlannedImage, PlannedJob, load_plan
from phyemu.errors import ConfigError
from phyemu.file_hash import file_sha256
from phyemu.node.radio_conf import load_radio_conf

__all__ = ["check_batch"]


def check_batch(folder: Path) -> Plan:
    """Return the plan of a batch whose jobs, settings and content agree with it.

    Args:
        folder: Where the batch lies.

    Raises:
        ConfigError: A file is missing, breaks a rule, or contradicts another; the file is named.
    """
    plan = load_plan(folder)
    for planned in plan.jobs:
        _check_job(folder, planned)
    for image in plan.images:
        _check_content(folder, image)
    return plan


def _check_job(folder: Path, planned: PlannedJob) -> None:
    path = folder / planned.file
    job = load_job(path, num_nodes=len(planned.nodes))
    _agree(path, "BatchName", job.name, planned.name)
    _agree(path, "RFScenario", job.rf_scenario, planned.rf_scenario)
    _check_nodes(folder, path, job, planned)


def _check_nodes(folder: Path, path: Path, job: BatchJob, planned: PlannedJob) -> None:
    entries = {entry.rf_node: entry for entry in job.nodes}
    for node in planned.nodes:
        entry = entries[node.node]
        where = f"node {node.node}"
        _agree(path, f"{where}: ImageName", entry.image, node.image)
        _agree(path, f"{where}: ModemConfig", entry.modem_config, Path(node.config).name)
        config = folder / node.config
        conf = load_radio_conf(config)
        _agree(config, "role", conf.role, node.role)
        _agree(config, "job.node", conf.job.node, node.node)
        _agree(config, "job.name", conf.job.name, planned.name)


def _check_content(folder: Path, image: PlannedImage) -> None:
    for file in image.files:
        path = folder / image.content / file.path
        if not path.is_file() or path.is_symlink():
            raise ConfigError(f"{path}: is missing; make the batch again")
        if path.stat().st_size != file.num_bytes or file_sha256(path) != file.sha256:
            raise ConfigError(f"{path}: has changed since the batch was made; make it again")


def _agree(path: Path, what: str, found: object, planned: object) -> None:
    if found != planned:
        raise ConfigError(f"{path}: {what} is {found}, but plan.json says {planned}")
