"""Timing of several candidates on the same work, interleaved, so that drift hits all of them alike.

Machines are noisy: what is reported is the median over rounds, and the ratio to the first
candidate taken round by round.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Row", "compare", "markdown_table"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate's result: work units per second, and how often ours is as fast."""

    name: str
    rate: float
    ratio: float
    spread: float


def compare(
    candidates: Mapping[str, Callable[[], object]],
    *,
    units: float | Mapping[str, float],
    rounds: int = 7,
) -> list[Row]:
    """Return a row per candidate; the first one is ours.

    Args:
        candidates: Name -> a call that does the work once. Each is called once before timing.
        units: Work units (samples, responses, steps) one call processes; by name where they differ.
        rounds: Timed calls of each, interleaved.

    Returns:
        rate: units over the median time. ratio: median over rounds of ours' rate over theirs.
        spread: (maximum - minimum) / median of the times.
    """
    for work in candidates.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
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


def markdown_table(title: str, unit: str, rows: list[Row]) -> str:
    """Return the rows as a Markdown table under a heading; rates in millions of `unit`/s."""
    lines = [
        f"## {title}",
        "",
        f"| tool | M{unit}/s (median) | ours is faster by | spread |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.name} | {row.rate / 1e6:.3g} | {row.ratio:.2f}x | {100 * row.spread:.0f} % |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"
