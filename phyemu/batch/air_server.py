"""The process that an air runs in: `python -m phyemu.batch.air_server`.

Settings and commands come as lines of JSON on standard input, events go to standard output. A
scenario begins with `{"command": "start"}` and ends with `{"command": "end"}`; the end of standard
input ends the process.
"""

import dataclasses
import json
import queue
import signal
import sys
import threading
from contextlib import closing
from typing import Any

from phyemu.batch.air import Air, AirSettings
from phyemu.errors import PhyemuError
from phyemu.toml_config import from_table

__all__ = ["main"]


def _emit(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _listen(air: Air, started: "queue.Queue[bool]") -> None:
    """Pass commands on, from a thread of its own."""
    for line in sys.stdin:
        match json.loads(line)["command"]:
            case "start":
                started.put(True)
            case "end":
                air.end()
    started.put(False)
    air.end()


def _play(air: Air) -> None:
    started: queue.Queue[bool] = queue.Queue()
    threading.Thread(target=_listen, args=(air, started), daemon=True).start()
    while started.get():
        _emit("started")
        statistics = air.play(
            lambda now: _emit("position", statistics=dataclasses.asdict(now)),
        )
        _emit("ended", statistics=dataclasses.asdict(statistics))


def main() -> None:
    """Run the air of a rehearsal until standard input ends."""
    # Whoever started it ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        settings = from_table(AirSettings, json.loads(sys.stdin.readline()), where="air")
        with closing(Air(settings)) as air:
            _emit("ready", ports=air.ports())
            _play(air)
    except PhyemuError as exc:
        _emit("failed", reason=" ".join(str(exc).split()))
        sys.exit(1)


if __name__ == "__main__":
    main()
