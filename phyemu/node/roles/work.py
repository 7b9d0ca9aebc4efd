"""What the worker process asks of a role, and what it tells it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from phyemu.node.radio_conf import RadioConf
from phyemu.radio import Radio

__all__ = ["Stretch", "Work", "WorkTask"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkTask:
    """A run of the worker.

    Attributes:
        conf: What to do.
        content: Where the image keeps waveforms, exported PhyDNNs and images.
        folder: Where everything goes that is made.
        scratch: Where what nobody keeps goes; it need not be there yet, and is emptied by others.
        stall_s: Time without a sample after which the radio counts as gone [s].
    """

    conf: RadioConf
    content: Path
    folder: Path
    scratch: Path
    stall_s: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A time at one frequency within one run of the scenario; it has files of its own.

    Attributes:
        number: From 1.
        begin_s: When it began, from the start of the worker [s].
        center_frequency_hz: Of the scenario [Hz].
        rf_bandwidth_hz: That may be used [Hz]; None: nobody says.
        stop: Set when it is to end.
    """

    number: int
    begin_s: float
    center_frequency_hz: float
    rf_bandwidth_hz: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def labels(self, task: WorkTask) -> dict[str, Any]:
        """Return what a product says of its origin, with JSON types; empty values left out."""
        job = task.conf.job
        labels = {
            "name": job.name,
            "node": job.node,
            "scenario": job.scenario,
            "role": str(task.conf.role),
            "task": task.folder.name,
            "stretch": self.number,
            "begin_s": round(self.begin_s, 6),
            "rf_bandwidth_hz": self.rf_bandwidth_hz,
        }
        return {key: value for key, value in labels.items() if value not in (None, "")}


class Work(Protocol):
    """A role at work. `run` has a thread of its own; the rest is called from the main thread."""

    def prepare(self, radio: Radio, stop: threading.Event) -> None:
        """Do all that takes time before the start; `stop` is set where nobody waits for it.

        Raises:
            PhyemuError: The radio or a file is not what it should be.
        """

    @property
    def occupied_hz(self) -> float:
        """Return the band of what is sent or received [Hz]; called when it is prepared."""

    def run(self, radio: Radio, stretch: Stretch) -> None:
        """Work until `stretch.stop` is set, or there is nothing more to do.

        Raises:
            PhyemuError: The radio is gone, or the disk is full.
        """

    def counts(self) -> Mapping[str, Any]:
        """Return what was done so far, with JSON types; a thread may be at work meanwhile."""

    def keep(self) -> None:
        """Put what was made since on the disk; called about twice a second."""

    def close(self) -> None:
        """Let go of files; nothing is at work any more."""
