"""Batch jobs: their files and rules, the plan of a batch, and its upload."""

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

__all__ = [
    "BATCH_JOB_SCHEMA",
    "PLAN_NAME",
    "BatchJob",
    "Loopinfo",
    "NodeEntry",
    "NodeType",
    "Plan",
    "PlanKind",
    "PlannedFile",
    "PlannedImage",
    "PlannedJob",
    "PlannedNode",
    "check_job",
    "job_from_json",
    "load_job",
    "load_plan",
    "planned_files",
    "write_job",
    "write_plan",
]
