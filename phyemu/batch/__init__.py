"""Batch jobs: their files and rules, the plan of a batch, its rehearsal, and its upload."""

from phyemu.batch.job import (
    BatchJob,
    Loopinfo,
    NodeEntry,
    NodeType,
    job_from_json,
    load_job,
    write_job,
)
from phyemu.batch.job_schema import BATCH_JOB_SCHEMA, check_job
from phyemu.batch.plan import (
    PLAN_NAME,
    Plan,
    PlanKind,
    PlannedFile,
    PlannedImage,
    PlannedJob,
    PlannedNode,
    load_plan,
    planned_files,
    write_plan,
)
from phyemu.batch.rehearsal import rehearse_job
from phyemu.batch.rehearsal_result import NodeVerdict, RehearsalResult, TimelineEntry
from phyemu.batch.rehearsal_setup import (
    RehearsalEvent,
    RehearsalSettings,
    RehearsalSetup,
    parse_rehearsal_event,
    set_up_rehearsal,
)

__all__ = [
    "BATCH_JOB_SCHEMA",
    "PLAN_NAME",
    "BatchJob",
    "Loopinfo",
    "NodeEntry",
    "NodeType",
    "NodeVerdict",
    "Plan",
    "PlanKind",
    "PlannedFile",
    "PlannedImage",
    "PlannedJob",
    "PlannedNode",
    "RehearsalEvent",
    "RehearsalResult",
    "RehearsalSettings",
    "RehearsalSetup",
    "TimelineEntry",
    "check_job",
    "job_from_json",
    "load_job",
    "load_plan",
    "parse_rehearsal_event",
    "planned_files",
    "rehearse_job",
    "set_up_rehearsal",
    "write_job",
    "write_plan",
]
