"""A worker process without a radio: keeps to the protocol, or breaks it as it is told to.

In place of `phyemu.node.worker` (`$PHYEMU_NODE_WORKER` names this file). `ROOT/fake-worker` holds
one mode a line, for the first task, the second, ...; the last line holds for those that follow.
What it is told is in `heard.jsonl` of its folder. It needs nothing but Python.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

MODES = (
    "good",
    "crash-at-boot",
    "error-at-boot",
    "hang-at-boot",
    "crash-at-start",
    "hang-at-start",
    "garbage",
    "closes-output",
    "ends-by-itself",
    "ignores-stop",
    "leaves-child",
    "lingers",
)


def say(**event: object) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


def wait_for_end() -> None:
    while True:
        signal.pause()


def begin(mode: str) -> None:
    """Do what the mode does once settings have come."""
    if mode == "crash-at-boot":
        sys.stderr.write("a traceback, say\n")
        sys.exit(3)
    if mode == "error-at-boot":
        say(event="error", reason="no USRP\nwas found")
        sys.exit(1)
    if mode == "hang-at-boot":
        wait_for_end()
    if mode == "garbage":
        for text in (b"hello\n", b"\xff\xfe\0\n", b"[1]\n", b"{}\n", b"x" * 200_000 + b"\n"):
            os.write(1, text)
        os.write(1, b'{"event": ["ready"]}\n{"event": "applause"}\n' + b"[" * 50_000 + b"\n\n\n")
    if mode == "leaves-child":
        subprocess.Popen(["sleep", "1000"])  # it keeps our output open, too
    if mode == "ignores-stop":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "closes-output":
        os.close(1)
        wait_for_end()
    say(event="ready")


def obey(command: str, mode: str) -> None:
    """Do what a command asks for."""
    if command == "start" and mode != "hang-at-start":
        if mode == "crash-at-start":
            os.kill(os.getpid(), signal.SIGKILL)
        say(event="active")
        say(event="progress", frames=1)
        if mode == "ends-by-itself":
            sys.exit(0)
    elif command == "statistics":
        say(event="statistics", frames=7, lost=1)
    elif command == "stop" and mode != "ignores-stop":
        say(event="stopped", summary={"frames": 7})
        os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    modes = ["good"]
    if (options.root / "fake-worker").exists():
        modes = (options.root / "fake-worker").read_text().split()
    mode = modes[min(int(options.folder.name.removeprefix("task-")), len(modes)) - 1]
    with (options.folder / "heard.jsonl").open("a", buffering=1) as heard:
        for line in sys.stdin:
            heard.write(line)
            command = json.loads(line)["command"]
            if command == "configure":
                begin(mode)
            else:
                obey(command, mode)
        heard.write(json.dumps({"command": "end of input"}) + "\n")
    if mode == "lingers":
        wait_for_end()
    (options.folder / "summary.json").write_text("{}")


if __name__ == "__main__":
    main()
