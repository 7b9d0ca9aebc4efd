"""How long a worker may take; all in seconds."""

from dataclasses import dataclass

__all__ = ["Deadlines"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadlines:
    """What keeps a node going whatever its worker does.

    Attributes:
        ready_s: A worker that is not ready by then counts as crashed; Colosseum looks after ten
            minutes.
        look_s: Where there are no settings yet, they are looked for again after it.
        active_s: From its start until it says that it is active; else it counts as crashed.
        terminate_s: After a stop: the worker is asked to end by SIGTERM.
        kill_s: After a stop: it is killed.
        abandon_s: After a stop: the node is FINISHED, whatever the worker does. Colosseum removes
            the container after 120 s.
        failed_s: A worker that failed has so long to end before it is killed, and as long again to
            be dead.
        leave_s: A worker that has stopped has so long to end before it is terminated. On a
            busy machine one took 8 s from its last word to its end.
    """

    ready_s: float = 180.0
    look_s: float = 1.0
    active_s: float = 60.0
    terminate_s: float = 60.0
    kill_s: float = 80.0
    abandon_s: float = 90.0
    failed_s: float = 5.0
    leave_s: float = 30.0
