"""One file of soundings for each link of a scenario, over all runs and reservations."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phyemu import __version__
from phyemu.batch.result_table import LinkResult
from phyemu.sounding import Sounding, save_soundings
from phyemu.sounding.joining import join_soundings

__all__ = ["LinkSoundings", "file_name"]


def file_name(*parts: object) -> str:
    """Return a file name made of parts, with letters, digits, dots and dashes only."""
    words = [re.sub(r"[^A-Za-z0-9.]+", "-", str(part)).strip("-.") for part in parts]
    return "-".join(word for word in words if word)[:120] or "unnamed"


@dataclass(slots=True)
class _Link:
    begins_s: list[float] = field(default_factory=list)
    parts: list[Sounding] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


class LinkSoundings:
    """Gathers the soundings of links."""

    def __init__(self) -> None:
        """Begin with none."""
        self._links: dict[tuple[str, ...], _Link] = {}

    def add(
        self,
        result: LinkResult,
        begins_s: Sequence[float],
        parts: Sequence[Sounding],
        sources: Sequence[Path],
    ) -> None:
        """Add soundings of a link.

        Args:
            result: Which link.
            begins_s: When the recording of each began [s].
            parts: The soundings.
            sources: Files that they come from.
        """
        ends = [
            "x" if node is None else str(node) for node in (result.transmitter, result.receiver)
        ]
        link = self._links.setdefault((result.scenario or result.job, *ends), _Link())
        link.begins_s += begins_s
        link.parts += parts
        link.sources += [path for path in sources if path not in link.sources]
        link.runs.append(f"{result.job} {result.reservation} loop {result.loop}".strip())

    def files(self) -> Iterator[tuple[str, list[Path], Callable[[Path], None], dict[str, Any]]]:
        """Yield the name of each file, its sources, what makes it, and what of."""
        for (scenario, *ends), link in sorted(self._links.items()):
            provenance: dict[str, Any] = {
                "made_by": f"phyemu {__version__}",
                "command": "phyemu colosseum collect",
                "scenario": scenario,
                "link": ">".join(ends),
                "runs": link.runs,
                "recordings": len(link.parts),
            }

            def make(
                path: Path, link: _Link = link, provenance: dict[str, Any] = provenance
            ) -> None:
                joined = join_soundings(link.parts, link.begins_s, provenance=provenance)
                save_soundings([joined], path)

            name = file_name(scenario, *ends) + ".h5"
            yield f"soundings/{name}", link.sources, make, provenance | {"begins_s": link.begins_s}
