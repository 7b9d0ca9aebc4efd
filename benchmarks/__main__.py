"""`python -m benchmarks [NAME ...]`: run the benchmarks and write bench/results.md and .json."""

import argparse
import importlib
import os
from pathlib import Path

from benchmarks.results import Part, machine, update_docs, write_results

# Before NumPy is imported: what is compared runs on one thread where it does not say otherwise.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Modules of this package with `run()`, which returns Markdown or a list of `harness.Table` and
# Markdown; one name a line.
# What a run without names does: ours beside others on the same work, about a minute each at most.
COMPARISONS = (
    "capture",
    "emulation",
    "cost",
    "stages",
    "sounding",
    "receiver",
    "recording",
    "training",
    "twin",
    "wifi",
)
# Run only when named: statistics over many repetitions, which take minutes.
STUDIES: tuple[str, ...] = (
    "accuracy",
    "fidelity",
    "fitting",
    "live",
    "recording_soak",
    "receiver_soak",
    "soak",
    "sync",
    "wifi_rates",
)


def main() -> None:
    """Run the named benchmarks (all comparisons without names) and write their tables."""
    known = (*COMPARISONS, *STUDIES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument(
        "--docs",
        action="store_true",
        help="run nothing; put the last results and figures into docs/benchmarks.md",
    )
    chosen = parser.parse_args()
    if chosen.docs:
        if chosen.names:
            parser.error("--docs takes no names: it runs nothing")
        try:
            written = update_docs(Path("docs"))
        except ValueError as exc:
            parser.exit(1, f"benchmarks: {exc}\n")
        print("written to", ", ".join(map(str, written)))
        return
    for name in chosen.names:
        if name not in known:
            parser.error(f"no benchmark {name!r}; there are {', '.join(known)}")
    load = os.getloadavg()[0]
    parts: list[Part] = []
    for name in chosen.names or COMPARISONS:
        found = importlib.import_module(f"benchmarks.{name}").run()
        for part in [found] if isinstance(found, str) else found:
            print(part if isinstance(part, str) else part.markdown(), flush=True)
            parts.append(part)
    print("written to", write_results(parts, machine(load)))


if __name__ == "__main__":
    main()
