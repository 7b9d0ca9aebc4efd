"""`python -m benchmarks [NAME ...]`: run the benchmarks and write bench/results.md."""

import importlib
import platform
import sys
from pathlib import Path

NAMES = ("emulation", "sounding", "receiver", "training")


def main(names: list[str]) -> None:
    """Run the named benchmarks (all without names) and write their tables."""
    for name in names:
        if name not in NAMES:
            sys.exit(f"benchmarks: no benchmark {name!r}; there are {', '.join(NAMES)}")
    parts = [f"# Benchmarks\n\n{platform.machine()}, Python {platform.python_version()}.\n"]
    for name in names or NAMES:
        table = importlib.import_module(f"benchmarks.{name}").run()
        print(table, flush=True)
        parts.append(table)
    out = Path("bench") / "results.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")
    print(f"written to {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
