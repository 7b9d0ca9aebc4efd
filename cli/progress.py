"""Progress on stderr, behind the callback that library functions take: bars, or lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from phyemu.progress import ProgressCallback, no_progress

__all__ = ["ProgressLines", "progress_bars"]

_INTERVAL_S = 60.0
_SHARE = 0.1  # of the work, between two lines


@contextmanager
def progress_bars(quiet: bool) -> Iterator[ProgressCallback]:
    """Yield a `ProgressCallback` that draws one bar per stage on stderr; none with `quiet`.

    Where stderr is no terminal (a log file, `nohup`, CI), `ProgressLines` writes there.
    """
    if quiet:
        yield no_progress
        return
    console = Console(stderr=True)
    # Not the console's word alone: FORCE_COLOR makes a file a terminal for it.
    if not (sys.stderr.isatty() and console.is_interactive):
        lines = ProgressLines(_log)
        try:
            yield lines.report
        finally:
            lines.close()
        return
    tasks: dict[str, TaskID] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bars:

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield report


def _log(line: str) -> None:
    click.echo(line, err=True)


@dataclass(kw_only=True, slots=True)
class _Stage:
    """How far a stage has come, and what was said of it; times are of the clock."""

    begun_s: float
    begun_at: int  # what was done already, as of a training that is continued
    done: int
    total: int
    note: str
    seen_s: float
    told_s: float | None = None
    told_at: int = 0
    news: bool = True

    @property
    def finished(self) -> bool:
        return 0 < self.total <= self.done

    def is_due(self) -> bool:
        """Return whether a minute has passed, and a tenth of the work since the line before."""
        if self.told_s is None:
            return self.seen_s - self.begun_s >= _INTERVAL_S
        share = self.done - self.told_at >= _SHARE * self.total
        return share and self.seen_s - self.told_s >= _INTERVAL_S

    def text(self) -> str:
        """Return how it stands."""
        passed_s, since = self.seen_s - self.begun_s, self.done - self.begun_at
        parts = [f"{self.done}", f"after {_duration(passed_s)}"]
        if self.total > 0:
            parts[0] = f"{self.done}/{self.total} ({100 * self.done // self.total} %)"
        if self.done < self.total and since > 0:
            parts.append(f"{_duration(passed_s / since * (self.total - self.done))} left")
        return ", ".join(part for part in (*parts, self.note) if part)


class ProgressLines:
    """A line for each stage now and then, and one at its end: what a log can keep.

    The first comes a minute after the stage began; from then on a line comes when both a minute and
    a tenth of the work have passed since the one before. The end is told when the next stage
    begins, of a stage that comes again each time, as of the trainings behind many cells.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write lines by `write`; `clock` gives the time [s]."""
        self._write = write
        self._clock = clock
        self._stages: dict[str, _Stage] = {}

    def report(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Take note of the progress (`phyemu.progress.ProgressCallback`)."""
        now_s = self._clock()
        for name, other in self._stages.items():
            # The end of a stage is told with what follows: its last note may come late.
            over = name != stage or done < other.done
            if over and other.finished and other.news:
                self._tell(name, other)
        known = self._stages.get(stage)
        if known is None or done < known.done:
            self._stages[stage] = _Stage(
                begun_s=now_s,
                begun_at=done,
                done=done,
                total=total,
                note=note,
                seen_s=now_s,
            )
            return
        if (done, total, note) == (known.done, known.total, known.note):
            return
        known.done, known.total, known.note = done, total, note
        known.seen_s, known.news = now_s, True
        if not known.finished and known.is_due():
            self._tell(stage, known)

    def close(self) -> None:
        """Say how each stage stood last, where that was not said yet."""
        for name, stage in self._stages.items():
            if stage.news:
                self._tell(name, stage)

    def _tell(self, name: str, stage: _Stage) -> None:
        line = f"{name}: {stage.text()}"
        self._write("".join(char if char.isprintable() else "?" for char in line))
        stage.told_s, stage.told_at, stage.news = stage.seen_s, stage.done, False


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
