"""What is known of a job beside its logs: its plan, its scenario, and what its transmitter sent."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from phyemu.batch.foreign_files import whole
from phyemu.batch.link_measurements import SentRun
from phyemu.batch.node_log import NodeLog
from phyemu.batch.plan import Plan, PlanKind, PlannedImage, PlannedJob
from phyemu.batch.results_folder import Reservation
from phyemu.colosseum import Scenario, load_scenario
from phyemu.errors import ConfigError, ScenarioError
from phyemu.evaluation import (
    encode_images,
    load_exported,
    load_exported_of,
    load_sent_images,
    run_test_images,
)
from phyemu.file_hash import file_sha256
from phyemu.library import find_in_library
from phyemu.node.radio_conf import Role, load_radio_conf

__all__ = ["JobContext", "load_sent_run"]

_TRANSMITTING = frozenset(str(role) for role in Role if role.transmits)


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """A job that ran, as far as it is known.

    Attributes:
        reservation: Where it ran.
        logs: Logs by node.
        plan: The batch that it is of; None where unknown.
        folder: Folder of the plan.
        reference: Recording of what was sent, where the user named it.
        sound_captures: Whether captures of any job are to be sounded.
        problems: Takes what is wrong with the plan, a sentence each.
    """

    reservation: Reservation
    logs: dict[int, NodeLog]
    plan: Plan | None = None
    folder: Path = Path()
    reference: Path | None = None
    sound_captures: bool = False
    problems: list[str] = field(default_factory=list)

    @cached_property
    def name(self) -> str:
        """Name of the job; empty where nothing tells."""
        names = [task.job for log in self.logs.values() for task in log.tasks if task.job]
        return self.reservation.job or (names[0] if names else "")

    @cached_property
    def planned(self) -> PlannedJob | None:
        """Return its entry in the plan."""
        jobs = self.plan.jobs if self.plan is not None else ()
        return next((job for job in jobs if job.name == self.name), None)

    @cached_property
    def scenario_name(self) -> str:
        """Name or number of the scenario, as people know it; empty where nothing tells."""
        named = [task.scenario for log in self.logs.values() for task in log.tasks if task.scenario]
        if named:
            return named[0]
        if self.planned is not None:
            return Path(self.planned.scenario).stem
        return "" if self.reservation.rf_scenario is None else str(self.reservation.rf_scenario)

    @cached_property
    def scenario(self) -> Scenario | None:
        """Return the scenario; None where phyemu does not know it."""
        try:
            if self.planned is not None:
                return load_scenario(self.planned.scenario_path(self.folder))
            name = self.scenario_name
            # Names come from logs, so none may lead into a folder.
            if not name or "/" in name or "\\" in name:
                return None
            return load_scenario(find_in_library(name, "colosseum"))
        except (ConfigError, ScenarioError, OSError):
            return None

    def expected(self) -> dict[int, str]:
        """Return the nodes that the job has, and the role of each, where it is known."""
        if self.planned is not None:
            return {node.node: node.role for node in self.planned.nodes}
        return dict.fromkeys(self.reservation.expected, "")

    def transmitter(self, receiver: int | None, loop: int) -> int | None:
        """Return the node that a receiver heard; None where there are several or none."""
        if self.planned is not None:
            nodes = set(self.planned.transmitters)
        else:
            nodes = {
                number
                for number, log in self.logs.items()
                for task in log.tasks
                if task.role in _TRANSMITTING and task.loop == loop
            }
        nodes -= {receiver} if receiver is not None else set()
        return next(iter(nodes)) if len(nodes) == 1 else None

    def transmission(self, transmitter: int | None, loop: int) -> dict[str, Any]:
        """Return what the transmitter says of what it sent; empty where it says nothing.

        A worker that was started again counts anew: frames are those of all its runs, the rest is
        what the last one says.
        """
        log = self.logs.get(transmitter) if transmitter is not None else None
        told = [
            dict(task.transmission)
            for task in (log.tasks if log is not None else ())
            if task.loop == loop and task.transmission
        ]
        if not told:
            return {}
        frames = [count for item in told if (count := whole(item, "frames")) is not None]
        return {**told[-1], "frames": sum(frames) if frames else None}

    @cached_property
    def sent(self) -> Path | None:
        """Return the recording that the only transmitter sent; None where it is not here."""
        if self.reference is not None:
            return self.reference
        if self.planned is None or self.plan is None or len(self.planned.transmitters) != 1:
            return None
        node = self.planned.nodes[self.planned.transmitters[0] - 1]
        if node.role != Role.TRANSMIT:
            return None
        image = next((item for item in self.plan.images if item.name == node.image), None)
        try:
            name = load_radio_conf(self.folder / node.config).transmit.recording
        except (ConfigError, OSError):
            return None
        if image is None or not image.content:
            return None
        path = self.folder / image.content / name
        if not path.is_file() or self._is_changed(path, name, image):
            return None
        return path

    def _is_changed(self, path: Path, name: str, image: PlannedImage) -> bool:
        """Return whether a file is not the one that the plan was made with; take note of it."""
        hashes = [item.sha256 for item in image.files if item.path == name]
        if not hashes or file_sha256(path) == hashes[0]:
            return False
        self.problems.append(
            f"{path}: is not the file that the plan was made with (its SHA-256 differs), so what "
            "was transmitted is not known; give it with --reference"
        )
        return True

    @property
    def is_sounded(self) -> bool:
        """Whether captures of this job are there to be sounded: where others sound, too."""
        if self.sent is None or self.sound_captures:
            return self.sent is not None
        if self.plan is not None:
            return self.plan.kind is PlanKind.SOUND
        return any(task.role == Role.SOUND for log in self.logs.values() for task in log.tasks)


def load_sent_run(run: Path, plan: Plan | None) -> SentRun:
    """Return the PhyDNN of a run and the images that a job sends of it.

    A plan's jobs send the first test images of the run at one order, both as the plan says; without
    a plan it is what the run's `sent.npz` says, or all of its test images at the smallest order.

    Raises:
        CheckpointError: The run holds no PhyDNN, or a file of it is damaged.
        DatasetError: Its images cannot be read.
    """
    phydnn = load_exported(run, order=None if plan is None else plan.order)
    written = run / "sent.npz"
    if written.is_file() and (plan is None or plan.num_images is None):
        sent = load_sent_images(written)
        return SentRun(phydnn=load_exported_of(run, sent), sent=sent)
    images = run_test_images(run, phydnn)
    if plan is not None and plan.num_images is not None:
        import torch

        images = images.subset(torch.arange(min(plan.num_images, len(images))))
    return SentRun(phydnn=phydnn, sent=encode_images(phydnn, images))
