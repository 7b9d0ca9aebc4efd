"""Timing of several candidates on the same work, interleaved, so that drift hits all of them alike.

Machines are noisy: what is reported is the median over rounds, and the ratio to the first
candidate taken round by round. One-core tables are in CPU time (`time.process_time`), which other
processes hardly touch; where threads matter it is wall-clock time.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Elapsed",
    "Row",
    "Skipped",
    "Table",
    "best_of",
    "compare",
    "markdown_rows",
    "markdown_table",
    "summary_table",
]


@dataclass(frozen=True, kw_only=True)
class Elapsed:
    """What a candidate returns that timed itself, as one in another process does [s]."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate's result: work units per second, and how often ours is as fast."""

    name: str
    rate: float
    ratio: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A candidate that could not take part, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """The results of one work; the first row is ours.

    Attributes:
        title: The work.
        unit: What is counted, in the plural.
        rows: One a candidate, ours first.
        skipped: Who is absent.
        note: How it was timed.
    """

    title: str
    unit: str
    rows: Sequence[Row]
    skipped: Sequence[Skipped] = ()
    note: str = ""

    def markdown(self) -> str:
        """Return the table, the absent below it with their reasons, and the note."""
        text = markdown_table(self.title, self.unit, self.rows)
        text += "".join(
            f"| {absent.name} | - | - | absent: {absent.reason} |\n" for absent in self.skipped
        )
        return f"{text}\n{self.note}\n" if self.note else text


def compare(
    candidates: Mapping[str, Callable[[], object]],
    *,
    units: float | Mapping[str, float],
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Row]:
    """Return a row per candidate; the first one is ours.

    Args:
        candidates: Name -> a call that does the work once. Each is called once before timing. A
            call that returns `Elapsed` has timed itself.
        units: Work units (samples, responses, steps) one call processes; by name where they differ.
        rounds: Timed calls of each, interleaved.
        clock: `time.perf_counter`, or `time.process_time` for work of one thread.

    Returns:
        rate: units over the median time. ratio: median over rounds of ours' rate over theirs.
        spread: (maximum - minimum) / median of the times.
    """
    times = _times_of(candidates, rounds, clock)
    each = units if isinstance(units, Mapping) else dict.fromkeys(candidates, units)
    first = next(iter(candidates))
    ours = [taken / each[first] for taken in times[first]]
    rows = []
    for name, taken in times.items():
        median = statistics.median(taken)
        rows.append(
            Row(
                name=name,
                rate=each[name] / median,
                ratio=statistics.median(
                    t / each[name] / o for t, o in zip(taken, ours, strict=True)
                ),
                spread=(max(taken) - min(taken)) / median,
            )
        )
    return rows


def best_of(
    candidates: Mapping[str, Callable[[], object]], *, units: float, rounds: int
) -> list[Row]:
    """Return a row per candidate from its fastest round, in wall-clock time.

    For what needs several cores at once: on a machine that others use, the median says how
    often they were free, the fastest of many short rounds what the code does where they are.
    """
    times = _times_of(candidates, rounds, time.perf_counter)
    ours = min(times[next(iter(candidates))])
    return [
        Row(
            name=name,
            rate=units / min(taken),
            ratio=min(taken) / ours,
            spread=(max(taken) - min(taken)) / statistics.median(taken),
        )
        for name, taken in times.items()
    ]


def _times_of(
    candidates: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    for work in candidates.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            start = clock()
            result = work()
            taken = clock() - start
            times[name].append(result.seconds if isinstance(result, Elapsed) else taken)
    return times


def markdown_table(title: str, unit: str, rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table under a heading; rates in millions of `unit`/s."""
    lines = [
        f"## {title}",
        "",
        f"| tool | M{unit}/s | ours is faster by | spread |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.name} | {row.rate / 1e6:.3g} | {_times(row.ratio)} | {100 * row.spread:.0f} % |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def markdown_rows(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return what was found as a Markdown table of two columns under a heading."""
    lines = [f"## {title}", "", "| | |", "| --- | ---: |"]
    return "\n".join([*lines, *(f"| {what} | {value} |" for what, value in rows)]) + "\n"


def summary_table(tables: Sequence[Table]) -> str:
    """Return all works beside each other: ours, theirs, and the ratio; the absent are left out."""
    lines = [
        "| work | ours [M/s] | beside | theirs [M/s] | ours is faster by |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    for table in tables:
        ours, *others = table.rows
        for row in others:
            lines.append(
                f"| {table.title} | {ours.rate / 1e6:.3g} | {row.name} | {row.rate / 1e6:.3g} "
                f"| {_times(row.ratio)} |"
            )
        if not others:
            lines.append(f"| {table.title} | {ours.rate / 1e6:.3g} | - | - | - |")
    return "\n".join(lines) + "\n"


def _times(ratio: float) -> str:
    if ratio < 0.1:
        return f"{ratio:.2g}x"
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.1f}x" if ratio >= 10 else f"{ratio:.2f}x"
