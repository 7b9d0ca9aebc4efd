"""What a run leaves behind: bench/results.md to read and to paste, bench/results.json to compute.

bench/results.md    machine, versions, load; one table of all ratios; the tables of each work
bench/results.json  the same figures, unrounded
bench/*.png         figures that benchmarks drew
"""

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness import Table, summary_table

__all__ = ["FOLDER", "Machine", "machine", "update_docs", "write_results"]

FOLDER = Path("bench")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
# What a benchmark returns: tables, and Markdown of its own.
Part = Table | str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What it ran on, and how busy that was."""

    processor: str
    num_cores: int
    python: str
    versions: Mapping[str, str]
    load_before: float
    load_after: float

    def sentence(self) -> str:
        """Return it in words."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.processor}, {self.num_cores} cores, Python {self.python}; {versions}. "
            f"Load {self.load_before:.1f} when it began, {self.load_after:.1f} when it ended: "
            "other processes slow all candidates down."
        )


def machine(load_before: float) -> Machine:
    """Return the machine as it is now, at the end of a run."""
    return Machine(
        processor=_processor(),
        num_cores=os.cpu_count() or 1,
        python=platform.python_version(),
        versions={
            name: importlib.metadata.version(name)
            for name in ("phyemu", "numpy", "scipy", "numba", "torch")
        },
        load_before=load_before,
        load_after=os.getloadavg()[0],
    )


def _processor() -> str:
    """Return the architecture, with the vector units that decide here."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text(encoding="utf-8").split()) if info.is_file() else set()
    widest = next((flag for flag in ("avx512f", "avx2", "asimd") if flag in flags), None)
    return f"{platform.machine()} ({widest})" if widest else platform.machine()


def write_results(parts: Sequence[Part], seen: Machine, folder: Path = FOLDER) -> Path:
    """Write what a run found, and return the Markdown file."""
    tables = [part for part in parts if isinstance(part, Table)]
    text = [f"{seen.sentence()}\n"]
    if tables:
        text += ["## All ratios\n", summary_table(tables)]
    text += [part.markdown() if isinstance(part, Table) else part for part in parts]
    folder.mkdir(exist_ok=True)
    out = folder / "results.md"
    out.write_text("\n".join(text), encoding="utf-8")
    record = {"machine": asdict(seen), "tables": [asdict(table) for table in tables]}
    (folder / "results.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return out


def update_docs(docs: Path, folder: Path = FOLDER) -> list[Path]:
    """Put the last run's results between the markers of docs/benchmarks.md, its figures beside.

    Raises:
        ValueError: There are no results, or no markers.
    """
    results, page = folder / "results.md", docs / "benchmarks.md"
    if not results.is_file():
        raise ValueError(f"{results} is not there; run make bench first")
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise ValueError(f"{page} must hold {BEGIN} and after it {END}, once each")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    measured = results.read_text(encoding="utf-8").strip()
    page.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{after}", encoding="utf-8")
    written = [page]
    for figure in sorted(folder.glob("*.png")):
        written.append(docs / "pictures" / figure.name)
        shutil.copyfile(figure, written[-1])
    return written
