"""A worker that behaves as its job's name says: stands for the real one in rehearsals of faults.

It speaks the worker's protocol with the standard library alone, so that it is there at once.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path


def say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def note(folder: Path, line: dict[str, object]) -> None:
    with (folder / "told.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("--folder", type=Path)
    folder = parser.parse_args().folder
    behaviour = ""
    for text in sys.stdin:
        line = json.loads(text)
        note(folder, line)
        command = line["command"]
        if command == "configure":
            behaviour = line["radio_conf"]["job"]["name"]
            (folder / "radio.json").write_text(os.environ["PHYEMU_NODE_RADIO"])
            if behaviour == "refuses":
                say("error", reason="the radio refuses")
                sys.exit(1)
            if behaviour != "never ready":
                say("ready")
        elif command == "start":
            crashed = folder.parent / "crashed"
            if behaviour == "crashes once" and not crashed.exists():
                crashed.touch()
                os.abort()
            if behaviour == "is slow to start":
                time.sleep(2)
            say("active")
            if behaviour == "dies at work":
                say("error", reason="the antenna fell off")
                sys.exit(1)
        elif command == "stop":
            if behaviour == "ignores stop":
                while True:
                    time.sleep(60)
            say("stopped", summary={"behaviour": behaviour})
            return


if __name__ == "__main__":
    main()
