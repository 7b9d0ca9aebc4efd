"""The plan of a batch: what each job tests, for the rehearsal before it and the collection after.

A batch is a folder: `NAME.json` for each job, `config/` with a radio.conf for each node,
`content/IMAGE/` with what each image holds under /root/phyemu, `scenarios/` with scenarios that
phyemu does not ship, and `plan.json`, which is this module's.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from phyemu.batch.json_file import read_json
from phyemu.errors import ConfigError
from phyemu.file_hash import file_sha256
from phyemu.library import find_in_library
from phyemu.toml_config import from_table
from phyemu.whole_file import write_whole

__all__ = [
    "PLAN_NAME",
    "Plan",
    "PlanKind",
    "PlannedFile",
    "PlannedImage",
    "PlannedJob",
    "PlannedNode",
    "load_plan",
    "planned_files",
    "write_plan",
]

PLAN_NAME = "plan.json"
_FORMAT = {"format": "phyemu-batch-plan", "version": 1}


class PlanKind(StrEnum):
    """What a batch is for."""

    SOUND = "sound"
    CAPTURE = "capture"
    PHYDNN = "phydnn"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFile:
    """A file of an image's content.

    Attributes:
        path: Below /root/phyemu, and below the image's content folder.
        sha256: Of its bytes, in hexadecimal.
        num_bytes: Its size.
    """

    path: str
    sha256: str
    num_bytes: int

    def __post_init__(self) -> None:
        """Refuse a path that leads out, or what is no SHA-256.

        Raises:
            ConfigError: One of these.
        """
        _check_relative("path", self.path)
        if re.fullmatch(r"[0-9a-f]{64}", self.sha256) is None:
            raise ConfigError(f"sha256 must be 64 hexadecimal digits, got {self.sha256!r}")
        if self.num_bytes < 0:
            raise ConfigError(f"num_bytes must be at least 0, got {self.num_bytes}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedImage:
    """An image that jobs name, and what it must hold.

    Attributes:
        name: As in the jobs, without .tar.gz.
        content: Its content folder, relative to the plan: what `package --content` takes. Empty
            where nothing needs to be under /root/phyemu.
        files: All files of the content folder.
    """

    name: str
    content: str = ""
    files: tuple[PlannedFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a folder that leads out.

        Raises:
            ConfigError: It does.
        """
        if self.content:
            _check_relative("content", self.content)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedNode:
    """A node of a job.

    Attributes:
        node: Its number in the scenario, from 1.
        role: Role of its radio.conf.
        config: Its radio.conf, relative to the plan.
        image: Name of its image.
    """

    node: int
    role: str
    config: str
    image: str

    def __post_init__(self) -> None:
        """Refuse a path that leads out.

        Raises:
            ConfigError: It does.
        """
        _check_relative("config", self.config)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedJob:
    """A job of a batch.

    Attributes:
        name: BatchName.
        file: Its JSON file, relative to the plan.
        scenario: Name in phyemu's library, or a .json file relative to the plan.
        rf_scenario: Number at Colosseum.
        transmitters: Nodes that transmit.
        receivers: Nodes that listen.
        nodes: All nodes of the scenario, by number.
    """

    name: str
    file: str
    scenario: str
    rf_scenario: int
    transmitters: tuple[int, ...]
    receivers: tuple[int, ...]
    nodes: tuple[PlannedNode, ...]

    def __post_init__(self) -> None:
        """Refuse a plan that contradicts itself.

        Raises:
            ConfigError: Nodes are not 1..N, or a transmitter or receiver is none of them.
        """
        _check_relative("file", self.file)
        _check_relative("scenario", self.scenario)
        numbers = [entry.node for entry in self.nodes]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ConfigError(f"nodes must be 1 to {len(numbers)} in order, got {numbers}")
        for name in ("transmitters", "receivers"):
            for node in getattr(self, name):
                if node not in numbers:
                    raise ConfigError(
                        f"{name} must be of the nodes 1 to {len(numbers)}, got {node}"
                    )

    def scenario_path(self, folder: Path) -> Path:
        """Return the file of the scenario; `folder` is the plan's.

        Raises:
            ConfigError: The library has no such scenario.
        """
        if self.scenario.endswith(".json"):
            return folder / self.scenario
        return find_in_library(self.scenario, "colosseum")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A batch: jobs, and what their images must hold.

    Attributes:
        kind: What it is for.
        jobs: Its jobs, in the order to submit them.
        images: Every image that the jobs name.
        num_images: Pictures that the transmitter of a PhyDNN sends in one pass; None otherwise.
        order: M of the PhyDNN that sends them; None otherwise.
        pass_s: Time that one pass of what is sent takes on air [s].
        team: Whose storage it goes to; None where that was not said.
    """

    kind: PlanKind
    jobs: tuple[PlannedJob, ...]
    images: tuple[PlannedImage, ...]
    num_images: int | None = None
    order: int | None = None
    pass_s: float | None = None
    team: str | None = None

    def __post_init__(self) -> None:
        """Refuse a plan that contradicts itself.

        Raises:
            ConfigError: It has no job, one name twice, or an image that no node or plan entry has.
        """
        if not self.jobs:
            raise ConfigError("jobs must hold at least one job, got none")
        for what, names in (
            ("jobs", [job.name for job in self.jobs]),
            ("images", [image.name for image in self.images]),
        ):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ConfigError(f"{what}: {twice[0]!r} is there twice")
        used = {node.image for job in self.jobs for node in job.nodes}
        for name in sorted(used ^ {image.name for image in self.images}):
            fault = "is not among images" if name in used else "is used by no job"
            raise ConfigError(f"image {name!r} {fault}")

    def job(self, name: str) -> PlannedJob:
        """Return the job of a BatchName.

        Raises:
            ConfigError: There is none.
        """
        for entry in self.jobs:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.jobs)
        raise ConfigError(f"the plan has no job {name!r}, but {names}")


def _check_relative(name: str, text: str) -> None:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text:
        raise ConfigError(f"{name} must be a path below the folder, got {text!r}")


def planned_files(folder: Path) -> tuple[PlannedFile, ...]:
    """Return every file below a content folder, by path.

    Raises:
        ConfigError: It holds a symbolic link, or what is neither a file nor a folder.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ConfigError(f"{path}: content is made of files and folders only")
        if path.is_file():
            found.append(
                PlannedFile(
                    path=path.relative_to(folder).as_posix(),
                    sha256=file_sha256(path),
                    num_bytes=path.stat().st_size,
                )
            )
    return tuple(found)


def write_plan(plan: Plan, folder: Path) -> Path:
    """Write `plan.json` into the folder of a batch, whole or not at all, and return its path."""
    table = _FORMAT | dataclasses.asdict(
        plan, dict_factory=lambda items: {key: value for key, value in items if value is not None}
    )
    return write_whole(folder / PLAN_NAME, json.dumps(table, indent=2) + "\n")


def load_plan(path: Path) -> Plan:
    """Return the plan of a file, or of the folder that holds it.

    Raises:
        ConfigError: It is missing, no plan of this version, or contradicts itself.
    """
    path = path / PLAN_NAME if path.is_dir() else path
    found: Any = read_json(path)
    if not isinstance(found, dict) or any(found.get(key) != _FORMAT[key] for key in _FORMAT):
        raise ConfigError(
            f'{path}: is no plan; it must say "format": "phyemu-batch-plan", "version": 1'
        )
    table = {key: value for key, value in found.items() if key not in _FORMAT}
    return from_table(Plan, table, where=str(path))
