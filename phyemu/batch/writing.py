"""A batch, written as a folder: whole or not at all."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from phyemu.batch.drafting import JobDraft, WriteContent
from phyemu.batch.job import BatchJob, Loopinfo, NodeEntry, NodeType, write_job
from phyemu.batch.plan import (
    PLAN_NAME,
    Plan,
    PlanKind,
    PlannedImage,
    PlannedJob,
    PlannedNode,
    planned_files,
    write_plan,
)
from phyemu.batch.radio_settings import RadioSettings
from phyemu.colosseum import save_scenario
from phyemu.errors import ConfigError
from phyemu.node.radio_conf import JobSection, RadioConf, Role, write_radio_conf

__all__ = ["BatchSettings", "write_batch"]

CONFIG_FOLDER = "config"
CONTENT_FOLDER = "content"
SCENARIO_FOLDER = "scenarios"


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSettings:
    """What all jobs of a batch share.

    Attributes:
        duration_s: Between start.sh and stop.sh [s], >= 1.
        num_loops: Runs of the scenario in each job, >= 1; `Loopinfo` is there from 2 on.
        gateways: Nodes that are connected to the collaboration network.
        node_type: Of all nodes.
        radio: Settings of the radios.
        team: Whose storage the batch goes to; None: to be said when it is uploaded.
        name: Begins the names of jobs and files; None: what the batch is for. Files of the same
            name replace each other in the team's storage.
    """

    duration_s: int
    num_loops: int = 1
    gateways: frozenset[int] = frozenset()
    node_type: NodeType = "competitor"
    radio: RadioSettings = field(default_factory=RadioSettings)
    team: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that could not begin one of a file.

        Raises:
            ConfigError: It is one.
        """
        if self.name is not None and not re.fullmatch(
            r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}", self.name
        ):
            raise ConfigError(
                "the name of a batch is 1 to 60 letters, digits, dots, dashes and underscores, no "
                f"dot or dash first, got {self.name!r}"
            )


def write_batch(
    folder: Path,
    kind: PlanKind,
    drafts: Sequence[JobDraft],
    settings: BatchSettings,
    contents: Mapping[str, WriteContent],
    *,
    num_images: int | None = None,
    order: int | None = None,
    pass_s: float | None = None,
    force: bool = False,
) -> Plan:
    """Write the jobs, the settings of their nodes, the content of their images, and the plan.

    Args:
        folder: To make.
        kind: What the batch is for.
        drafts: Its jobs.
        settings: What they share.
        contents: By image, for those that must hold something.
        num_images: Pictures that one pass sends.
        order: M of the PhyDNN that sends them.
        pass_s: Time of one pass on air [s].
        force: Replace a batch that is there.

    Raises:
        ConfigError: The folder is there or cannot be written, or a job breaks a rule.
        PhyemuError: Some content cannot be made.
    """
    _check_replaceable(folder, force)
    folder = folder.absolute()  # "." has a name, too
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from error
    replaced = stage.with_name(f"{stage.name}.replaced")
    try:
        plan = replace(
            _fill(stage, kind, drafts, settings, contents),
            num_images=num_images,
            order=order,
            pass_s=pass_s,
        )
        write_plan(plan, stage)
        stage.chmod(0o755)
        if folder.exists():
            folder.rename(replaced)
        stage.rename(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        for left in (stage, replaced):
            shutil.rmtree(left, ignore_errors=True)
    return plan


def _check_replaceable(folder: Path, force: bool) -> None:
    if not (folder.exists() or folder.is_symlink()):
        return
    if not force:
        raise ConfigError(f"{folder}: exists already; give --force to overwrite it")
    if folder.is_symlink() or not folder.is_dir() or not (folder / PLAN_NAME).is_file():
        raise ConfigError(f"{folder}: is no batch (no {PLAN_NAME} in it), so it is left alone")


def _fill(
    folder: Path,
    kind: PlanKind,
    drafts: Sequence[JobDraft],
    settings: BatchSettings,
    contents: Mapping[str, WriteContent],
) -> Plan:
    (folder / CONFIG_FOLDER).mkdir()
    jobs = [_write_job(folder, draft, settings) for draft in drafts]
    names = dict.fromkeys(node.image for job in jobs for node in job.nodes)
    return Plan(
        kind=kind,
        jobs=tuple(jobs),
        images=tuple(_write_content(folder, name, contents.get(name)) for name in names),
        team=settings.team,
    )


def _write_job(folder: Path, draft: JobDraft, settings: BatchSettings) -> PlannedJob:
    place = draft.place
    place.check_nodes(settings.gateways, "gateways")
    nodes = [_write_node(folder, draft, settings, node) for node in sorted(draft.images)]
    job = BatchJob(
        name=draft.name,
        duration_s=settings.duration_s,
        rf_scenario=place.rf_scenario,
        traffic_scenario=place.traffic_scenario,
        nodes=tuple(
            NodeEntry(
                rf_node=entry.node,
                image=entry.image,
                modem_config=Path(entry.config).name,
                traffic_node=entry.node,
                is_gateway=entry.node in settings.gateways,
                node_type=settings.node_type,
            )
            for entry in nodes
        ),
        loopinfo=Loopinfo(num_loops=settings.num_loops) if settings.num_loops != 1 else None,
    )
    write_job(job, folder / f"{draft.name}.json")
    scenario = place.name
    if not place.is_shipped:
        scenario = f"{SCENARIO_FOLDER}/{place.name}.json"
        if not (folder / scenario).exists():
            (folder / SCENARIO_FOLDER).mkdir(exist_ok=True)
            save_scenario(place.scenario, folder / scenario)
    return PlannedJob(
        name=job.name,
        file=f"{job.name}.json",
        scenario=scenario,
        rf_scenario=job.rf_scenario,
        transmitters=draft.transmitters,
        receivers=draft.receivers,
        nodes=tuple(nodes),
    )


def _write_node(folder: Path, draft: JobDraft, settings: BatchSettings, node: int) -> PlannedNode:
    place = draft.place
    conf = draft.settings.get(node, RadioConf(role=Role.IDLE))
    conf = replace(
        conf,
        job=JobSection(name=draft.name, node=node, scenario=place.name),
        radio=settings.radio.section(
            place.scenario.center_frequency_hz, transmits=conf.role.transmits
        ),
    )
    name = f"{CONFIG_FOLDER}/{draft.name}-node-{node}.conf"
    write_radio_conf(conf, folder / name)
    return PlannedNode(node=node, role=conf.role, config=name, image=draft.images[node])


def _write_content(folder: Path, image: str, write: WriteContent | None) -> PlannedImage:
    if write is None:
        return PlannedImage(name=image)
    place = folder / CONTENT_FOLDER / image
    place.mkdir(parents=True)
    write(place)
    return PlannedImage(name=image, content=f"{CONTENT_FOLDER}/{image}", files=planned_files(place))
