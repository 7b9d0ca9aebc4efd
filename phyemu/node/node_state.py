"""A node at an instant, as its state machine sees it."""

from dataclasses import dataclass, field
from enum import StrEnum

from phyemu.node.deadlines import Deadlines
from phyemu.node.events import State

__all__ = ["Node", "Phase"]


class Phase(StrEnum):
    """Where the worker process is."""

    NONE = "none"
    BOOTING = "booting"
    READY = "ready"
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    FAILED = "failed"
    """It said that it failed, or hangs: it is to end, and is killed if it does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node at an instant.

    Attributes:
        state: What status.sh says.
        info: And what it says beside.
        run: Number of the worker run, from 1; 0: there was none.
        worker: Where that worker is.
        wanted: Whether the node is to be ACTIVE as soon as it can.
        restarts: Restarts of this task so far.
        max_restarts: How many there may be.
        delay_s: From a crash to the restart [s].
        relaunch_at_s: When the next worker is launched; None: it is not.
        unconfigured: Why there are no settings yet, which are looked for then; empty: not so.
        since_s: Since when the worker is where it is [s].
        stop_since_s: Since when the node is STOPPING [s].
        leave_by_s: When a worker that has stopped is terminated [s]; None: at the usual time.
        terminated: Whether this worker was told to end.
        killed: Whether it was killed.
        reason: Why the worker failed; empty: it did not.
        deadlines: How long a worker may take.
    """

    state: State = State.OFF
    info: str = "the node has not begun to boot"
    run: int = 0
    worker: Phase = Phase.NONE
    wanted: bool = False
    restarts: int = 0
    max_restarts: int = 3
    delay_s: float = 2.0
    relaunch_at_s: float | None = None
    unconfigured: str = ""
    since_s: float = 0.0
    stop_since_s: float = 0.0
    leave_by_s: float | None = None
    terminated: bool = False
    killed: bool = False
    reason: str = ""
    deadlines: Deadlines = field(default_factory=Deadlines)
