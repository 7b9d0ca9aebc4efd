"""`python -m benchmarks [NAME ...]`: run the benchmarks and write bench/results.md."""

import importlib
import os
import platform
import sys
from pathlib import Path

# Before NumPy is imported: what is compared runs on one thread where it does not say otherwise.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Modules of this package with `run() -> str`, which returns Markdown, one name a line.
# What a run without names does: ours beside others on the same work, about a minute each at most.
COMPARISONS = (
    "emulation",
    "stages",
    "sounding",
    "receiver",
    "training",
    "wifi",
)
# Run only when named: statistics over many repetitions, which take minutes.
STUDIES: tuple[str, ...] = ("accuracy", "fitting", "wifi_rates")


def main(names: list[str]) -> None:
    """Run the named benchmarks (all comparisons without names) and write their tables."""
    for name in names:
        if name not in (*COMPARISONS, *STUDIES):
            known = ", ".join((*COMPARISONS, *STUDIES))
            sys.exit(f"benchmarks: no benchmark {name!r}; there are {known}")
    # Other processes on the machine slow all candidates down: how many wanted a core is stated.
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores when it began"
    machine = f"{platform.machine()}, Python {platform.python_version()}, {load}"
    parts = [f"# Benchmarks\n\n{machine}.\n"]
    for name in names or COMPARISONS:
        table = importlib.import_module(f"benchmarks.{name}").run()
        print(table, flush=True)
        parts.append(table)
    out = Path("bench") / "results.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")
    print(f"written to {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
