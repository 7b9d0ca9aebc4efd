"""The other side of `benchmarks.peer_process`: does named works when told to, and times them.

Lines of JSON come and go: first the tool's version or why it is absent, then per request
{"work", "settings"} the CPU and wall-clock seconds of one call and the peak memory so far. Imports
nothing but the standard library, as it runs under interpreters that are not ours.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["answer", "one_core", "peak_bytes"]

Work = Callable[[], object]


def one_core() -> None:
    """Keep this process and its threads on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def peak_bytes() -> float:
    """Return the peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage counts the peak of the process that this one was forked from, too.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024.0 * int(line.split()[1])
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def answer(load: Callable[[], tuple[str, Mapping[str, Callable[..., Work]]]]) -> None:
    """Serve until the input ends.

    Args:
        load: Imports the tool; returns its version and, by name, what prepares a work from its
            settings. What the prepared work then does is timed, its preparation is not; each is
            prepared once per settings.
    """
    # Whatever the tool prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: Mapping[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    one_core()
    try:
        version, works = load()
    except ImportError as exc:
        say({"absent": str(exc)})
        return
    say({"version": version})
    prepared: dict[str, Work] = {}
    for line in sys.stdin:
        if line not in prepared:
            request = json.loads(line)
            prepared[line] = works[request["work"]](**request["settings"])
        begin, begin_cpu = time.perf_counter(), time.process_time()
        prepared[line]()
        cpu_s, wall_s = time.process_time() - begin_cpu, time.perf_counter() - begin
        say({"cpu_s": cpu_s, "wall_s": wall_s, "peak_bytes": peak_bytes()})
