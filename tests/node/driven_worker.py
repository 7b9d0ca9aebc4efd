"""A worker that a test tells what to do: in this process with a fake radio, or one of its own."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any

from phyemu.node.radio_conf import RadioConf
from phyemu.node.worker import main
from phyemu.radio import Radio

WAIT_S = 60.0


class DrivenWorker:
    """Lines to a worker, and its events."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.content = root / "root" / "phyemu"
        self.folder = root / "logs" / "task-0001"
        self.content.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(parents=True)
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.process: subprocess.Popen[bytes] | None = None
        self._commands: IO[bytes] | None = None
        self._stream: FileIO | None = None
        self._codes: list[int] = []
        self._worker: threading.Thread | None = None

    @property
    def arguments(self) -> list[str]:
        return ["--root", str(self.root), "--folder", str(self.folder)]

    def start_here(self, radio: Callable[[RadioConf, float], Radio]) -> None:
        """Run it in a thread of this process."""
        commands, told = os.pipe()
        heard, answers = os.pipe()
        self._commands = os.fdopen(told, "wb", buffering=0)

        stream = self._stream = FileIO(commands, "rb")

        def run() -> None:
            with os.fdopen(answers, "w") as out:
                self._codes.append(
                    main(self.arguments, commands=stream, answers=out, open_radio=radio)
                )

        self._worker = threading.Thread(target=run, daemon=True)
        self._worker.start()
        self._listen(os.fdopen(heard, "rb"))

    def start_process(self, variables: Mapping[str, str]) -> None:
        """Run it as a node does."""
        with (self.folder / "worker.log").open("wb") as log:
            self.process = process = subprocess.Popen(
                [sys.executable, "-m", "phyemu.node.worker", *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **variables, "OMP_NUM_THREADS": "1"},
            )
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands = process.stdin
        self._listen(process.stdout)

    def _listen(self, stream: IO[bytes]) -> None:
        def read() -> None:
            with stream:
                for line in stream:
                    self._events.put(json.loads(line))
            self._events.put(None)

        threading.Thread(target=read, daemon=True).start()

    def write(self, line: bytes) -> None:
        assert self._commands is not None
        self._commands.write(line + b"\n")
        self._commands.flush()

    def tell(self, command: str, **values: Any) -> None:
        self.write(json.dumps({"command": command, **values}).encode())

    def configure(
        self, role: str, *, hz: float = 1e9, band_hz: float = 5e6, **sections: Any
    ) -> None:
        job = {"name": "job-1", "node": 2, "scenario": "urban-40db"}
        self.tell(
            "configure",
            radio_conf={"role": role, "job": job, **sections},
            environment={"center_frequency_hz": hz, "rf_bandwidth_hz": band_hz},
        )

    def end_of_input(self) -> None:
        assert self._commands is not None
        self._commands.close()

    def expect(
        self,
        name: str,
        wanted: Callable[[dict[str, Any]], bool] | None = None,
        passing: tuple[str, ...] = (),
    ) -> Any:
        """Return the next event of that name for which `wanted` holds; progress is passed over."""
        while True:
            event = self._events.get(timeout=WAIT_S)
            assert event is not None, f"ended before {name}"
            if event["event"] == name and (wanted is None or wanted(event)):
                return event
            assert event["event"] in ("progress", "active", "problem", *passing), event

    def code(self) -> int:
        """Return the exit code once it has ended, without another event."""
        while (event := self._events.get(timeout=WAIT_S)) is not None:
            assert event["event"] in ("progress", "statistics", "problem"), event
        if self.process is not None:
            return self.process.wait(WAIT_S)
        assert self._worker is not None
        self._worker.join(WAIT_S)
        return self._codes[0]

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(WAIT_S)
        if self._commands is not None:
            with suppress(BrokenPipeError):
                self._commands.close()
        if self._worker is not None:
            self._worker.join(WAIT_S)
        if self._stream is not None:
            # Not before its thread has seen the end: the number may be another file's by then.
            for thread in threading.enumerate():
                if thread.name == "phyemu-commands":
                    thread.join(WAIT_S)
            self._stream.close()

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())
