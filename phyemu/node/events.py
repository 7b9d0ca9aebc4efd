"""What happens to a node, and what its state machine wants done: plain values.

Commands and states are those of Colosseum's Radio C2 API.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "Action",
    "Answer",
    "Asked",
    "Boot",
    "Command",
    "Configured",
    "Entered",
    "Event",
    "Kill",
    "Launch",
    "LaunchFailed",
    "NotConfigured",
    "Send",
    "State",
    "Terminate",
    "Tick",
    "WorkerActive",
    "WorkerExited",
    "WorkerFailed",
    "WorkerReady",
    "WorkerStopped",
]


class State(StrEnum):
    """The states of Colosseum's Radio C2 API."""

    OFF = "OFF"
    BOOTING = "BOOTING"
    READY = "READY"
    ACTIVE = "ACTIVE"
    STOPPING = "STOPPING"
    FINISHED = "FINISHED"
    ERROR = "ERROR"


class Command(StrEnum):
    """The scripts of Colosseum's Radio C2 API."""

    START = "start"
    STOP = "stop"
    STATUS = "status"
    UPDATE_ENVIRONMENT = "update_environment"
    UPDATE_OUTCOMES = "update_outcomes"
    SCENARIO_DISCONTINUITY = "scenario_discontinuity"
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class Boot:
    """The daemon is up."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A script was called.

    Attributes:
        command: Which.
        environment: For update_environment and start: what holds now; None: it is what held before.
        problem: One line when a file that was read for it is broken; the script then fails.
        reconfigured: For start: radio.conf is not what the worker was given.
    """

    command: Command
    environment: dict[str, float | None] | None = None
    problem: str = ""
    reconfigured: bool = False


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings of a worker that is being launched were read; this is their restart policy."""

    run: int
    max_restarts: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """No worker process could be made; `final`: nor could one be by trying again."""

    run: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class NotConfigured:
    """There are no settings yet; they may still come."""

    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker has opened its radio."""

    run: int


@dataclass(frozen=True, slots=True)
class WorkerActive:
    """The worker transmits or receives."""

    run: int


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """The worker has finished its work; it ends now."""

    run: int


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """The worker says that it failed, or does not keep to the protocol."""

    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The worker process has ended."""

    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    Boot
    | Asked
    | Configured
    | LaunchFailed
    | NotConfigured
    | WorkerReady
    | WorkerActive
    | WorkerStopped
    | WorkerFailed
    | WorkerExited
    | Tick
)


@dataclass(frozen=True, slots=True)
class Launch:
    """Read the settings, make a worker process; Configured and LaunchFailed follow at once."""

    run: int


@dataclass(frozen=True, slots=True)
class Send:
    """Write a line to the worker."""

    run: int
    line: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the worker process to end (SIGTERM)."""

    run: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End the worker process and all of its group (SIGKILL)."""

    run: int


@dataclass(frozen=True, slots=True)
class Entered:
    """The node has changed its state, or what it says of it."""

    before: State
    state: State
    info: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the script that was called prints; not `ok`: on stderr, with exit code 1."""

    ok: bool
    text: str


Action = Launch | Send | Terminate | Kill | Entered | Answer
