"""Batch jobs: their files and rules, the plan of a batch, its upload, rehearsal, collection."""

from phyemu.batch.capture_batch import capture_batch
from phyemu.batch.collection import Collection, collect
from phyemu.batch.drafting import ImageChoice, MadeBatch
from phyemu.batch.folder_check import check_batch
from phyemu.batch.job import (
    BatchJob,
    Loopinfo,
    NodeEntry,
    NodeType,
    job_from_json,
    load_job,
    write_job,
)
from phyemu.batch.job_scenario import JobScenario, job_scenarios, sounding_transmitters
from phyemu.batch.job_schema import BATCH_JOB_SCHEMA, check_job
from phyemu.batch.phydnn_batch import PhyDnnChoice, phydnn_batch
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
from phyemu.batch.radio_settings import RadioSettings
from phyemu.batch.rehearsal import check_output, rehearse_job
from phyemu.batch.rehearsal_result import NodeVerdict, RehearsalResult, RehearsedLoop, TimelineEntry
from phyemu.batch.rehearsal_setup import (
    RehearsalEvent,
    RehearsalSettings,
    RehearsalSetup,
    parse_rehearsal_event,
    set_up_rehearsal,
)
from phyemu.batch.result_table import LinkResult, NodeResult
from phyemu.batch.sounding_batch import sounding_batch
from phyemu.batch.upload import RemoteFolder, run_commands, upload_commands
from phyemu.batch.upload_files import Uploads, find_uploads
from phyemu.batch.writing import BatchSettings

__all__ = [
    "BATCH_JOB_SCHEMA",
    "PLAN_NAME",
    "BatchJob",
    "BatchSettings",
    "Collection",
    "ImageChoice",
    "JobScenario",
    "LinkResult",
    "Loopinfo",
    "MadeBatch",
    "NodeEntry",
    "NodeResult",
    "NodeType",
    "NodeVerdict",
    "PhyDnnChoice",
    "Plan",
    "PlanKind",
    "PlannedFile",
    "PlannedImage",
    "PlannedJob",
    "PlannedNode",
    "RadioSettings",
    "RehearsalEvent",
    "RehearsalResult",
    "RehearsalSettings",
    "RehearsalSetup",
    "RehearsedLoop",
    "RemoteFolder",
    "TimelineEntry",
    "Uploads",
    "capture_batch",
    "check_batch",
    "check_job",
    "check_output",
    "collect",
    "find_uploads",
    "job_from_json",
    "job_scenarios",
    "load_job",
    "load_plan",
    "parse_rehearsal_event",
    "phydnn_batch",
    "planned_files",
    "rehearse_job",
    "run_commands",
    "set_up_rehearsal",
    "sounding_batch",
    "sounding_transmitters",
    "upload_commands",
    "write_job",
    "write_plan",
]
