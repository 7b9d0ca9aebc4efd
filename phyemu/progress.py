"""How long work tells its caller how far it is: a callback, so that libraries draw no bars."""

from typing import Protocol

__all__ = ["ProgressCallback", "no_progress", "renamed"]


class ProgressCallback(Protocol):
    """Called with the stage's name, steps done, steps in all, and a short note such as a loss."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Take note of the progress."""


def no_progress(stage: str, done: int, total: int, note: str = "") -> None:
    """Ignore the progress; the default of every function that reports one."""


def renamed(progress: ProgressCallback, name: str) -> ProgressCallback:
    """Return a callback that reports every stage of a part of the work under one name."""

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        progress(name, done, total, note)

    return report
