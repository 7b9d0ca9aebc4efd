"""The process that does a node's radio work: `python -m phyemu.node.worker --root R --folder F`.

It is told what to do in lines of JSON on standard input, and answers in such lines on standard
output; words for people go to standard error. The daemon starts one for each run.
"""

import argparse
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path
from typing import Any, TextIO

from phyemu.errors import ConfigError, PhyemuError, RadioError
from phyemu.node.environment import Environment
from phyemu.node.layout import NodeLayout
from phyemu.node.node_log import write_json_atomically
from phyemu.node.radio_conf import RadioConf, Role
from phyemu.node.role_radio import open_role_radio, stall_s
from phyemu.node.roles.occupied_band import band_problem
from phyemu.node.roles.work import Stretch, Work, WorkTask
from phyemu.node.worker_commands import (
    Configure,
    Discontinuity,
    SetEnvironment,
    Start,
    Statistics,
    Stop,
    WorkerCommand,
    read_commands,
)
from phyemu.radio import Radio

__all__ = ["WorkerSession", "event_line", "main"]

# What is made is put on the disk, and told, this often at least [s].
_KEEP_S = 0.4
_PROGRESS_S = 1.0
# The daemon takes longer lines for garbage.
_MAX_LINE_BYTES = 1 << 15
# A stretch ends within this time, or its thread hangs in the driver [s].
_END_S = 45.0
# After a failure nobody waits so long [s].
_FAILED_END_S = 3.0

_WORK = {
    Role.TRANSMIT: ("transmit", "Transmit"),
    Role.CAPTURE: ("capture", "Capture"),
    Role.SOUND: ("sound", "Sound"),
    Role.RECEIVE: ("receive", "Receive"),
    Role.PHYDNN_TRANSMIT: ("phydnn_transmit", "PhyDnnTransmit"),
    Role.PHYDNN_RECEIVE: ("phydnn_receive", "PhyDnnReceive"),
}
OpenRadio = Callable[[RadioConf, float], Radio]


class WorkerSession:
    """One run of a role, from its settings to its summary."""

    def __init__(
        self,
        layout: NodeLayout,
        folder: Path,
        *,
        say: Callable[[Mapping[str, Any]], None],
        note: Callable[[str], None],
        open_radio: OpenRadio = open_role_radio,
    ) -> None:
        """Get ready for `take`.

        Args:
            layout: Where the node's files lie.
            folder: Where everything goes that is made.
            say: Called with each event.
            note: Called with a line for people.
            open_radio: Opens the radio.
        """
        self._layout, self._folder = layout, folder
        self._say, self._note = say, note
        self._open_radio = open_radio
        self._commands: queue.SimpleQueue[WorkerCommand | str] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._began_s = time.monotonic()
        self._began = datetime.now(UTC)
        self._conf: RadioConf | None = None
        self._environment = Environment(0.0)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="phyemu-work")
        self._work: Work | None = None
        self._radio: Radio | None = None
        self._stretch: Stretch | None = None
        self._future: Future[None] | None = None
        self._num_stretches = 0
        self._kept_s = self._told_s = 0.0
        self._problem = ""
        self._problems: list[str] = []

    def take(self, command: WorkerCommand) -> None:
        """Take a command; any thread, and signal handlers, may call."""
        if isinstance(command, Stop):
            self._ending.set()
        self._commands.put(command)

    def refuse(self, problem: str) -> None:
        """Take note of a line that is no command."""
        self._commands.put(problem)

    def run(self) -> int:
        """Work until the end and return the exit code."""
        try:
            ended = self._run()
        except (PhyemuError, OSError, MemoryError) as exc:
            self._fail(" ".join(str(exc).split()) or type(exc).__name__)
            return 1
        except Exception as exc:  # of a driver, or a fault of ours: said, and its traceback logged
            self._fail(f"{type(exc).__name__}: {' '.join(str(exc).split())}")
            raise
        else:
            self._say({"event": "stopped", "summary": ended})
            return 0
        finally:
            # Only now: a driver may wait long for a device that is gone.
            self._leave()

    def _fail(self, reason: str) -> None:
        self._note(reason)
        try:
            self._write_summary("error", reason)
        except OSError as problem:
            self._note(f"summary.json cannot be written: {problem}")
        self._say({"event": "error", "reason": reason})

    @property
    def is_hung(self) -> bool:
        """Return whether a thread does not end: the process must be left without waiting for it."""
        return self._future is not None and not self._future.done()

    def _run(self) -> dict[str, Any]:
        configure = self._first()
        if configure is None:
            return {}
        conf = self._conf = configure.conf
        self._environment = configure.environment
        if conf.role is Role.IDLE:
            raise ConfigError("role idle needs no worker")
        module, name = _WORK[conf.role]
        make = getattr(importlib.import_module(f"phyemu.node.roles.{module}"), name)
        task = WorkTask(
            conf=conf,
            content=self._layout.content,
            folder=self._folder,
            scratch=self._layout.scratch,
            stall_s=stall_s(),
        )
        work: Work = make(task)
        self._work = work
        self._radio = self._open_radio(conf, self._environment.center_frequency_hz)
        try:
            work.prepare(self._radio, self._ending)
        except PhyemuError:
            # Whoever is told to stop while it prepares may give up.
            if not self._ending.is_set():
                raise
        else:
            self._hold_against_band(work)
            self._say({"event": "ready"})
            self._obey(self._radio, work)
        return self._write_summary("stop", "")

    def _first(self) -> Configure | None:
        """Return the settings; None: it is told to stop before it has any."""
        command = self._commands.get()
        if isinstance(command, str):
            raise ConfigError(command)
        if isinstance(command, Stop):
            return None
        if not isinstance(command, Configure):
            name = type(command).__name__.lower()
            raise ConfigError(f"the first command must be configure, got {name}")
        return command

    def _obey(self, radio: Radio, work: Work) -> None:
        """Do as told until a stop."""
        while True:
            command = self._next(work)
            if isinstance(command, str):
                self._note(f"ignored: {command}")
            elif isinstance(command, Stop):
                self._end()
                return
            elif isinstance(command, Start):
                if self._stretch is None:
                    self._begin(radio, work)
                self._say({"event": "active"})
            elif isinstance(command, SetEnvironment):
                if command.environment != self._environment:
                    self._move(radio, work, command.environment)
            elif isinstance(command, Discontinuity):
                if self._stretch is not None:
                    self._end()
                    self._begin(radio, work)
            elif isinstance(command, Statistics):
                self._say({"event": "statistics", **self._counts(work)})
            else:
                self._note("ignored: it is configured already")

    def _next(self, work: Work) -> WorkerCommand | str:
        """Wait for a command; meanwhile keep what is made, tell of it, and watch the stretch."""
        while True:
            now_s = time.monotonic()
            if self._future is not None and now_s - self._kept_s >= _KEEP_S:
                self._kept_s = now_s
                if self._future.done():
                    self._future.result()
                work.keep()
                if now_s - self._told_s >= _PROGRESS_S:
                    self._told_s = now_s
                    self._say({"event": "progress", **self._counts(work)})
            try:
                return self._commands.get(timeout=_KEEP_S)
            except queue.Empty:
                continue

    def _counts(self, work: Work) -> dict[str, Any]:
        return {"stretches": self._num_stretches, **work.counts()}

    def _begin(self, radio: Radio, work: Work) -> None:
        self._num_stretches += 1
        self._stretch = Stretch(
            number=self._num_stretches,
            begin_s=time.monotonic() - self._began_s,
            center_frequency_hz=self._environment.center_frequency_hz,
            rf_bandwidth_hz=self._environment.rf_bandwidth_hz,
        )
        self._future = self._pool.submit(work.run, radio, self._stretch)

    def _end(self) -> None:
        """End the stretch.

        Raises:
            PhyemuError: It failed, or does not end.
        """
        stretch, future = self._stretch, self._future
        if stretch is None or future is None:
            return
        stretch.stop.set()
        try:
            future.result(timeout=_END_S)
        except TimeoutError:
            raise RadioError(f"the radio does not stop within {_END_S:g} s") from None
        self._stretch = self._future = None

    def _move(self, radio: Radio, work: Work, environment: Environment) -> None:
        """Go to another frequency or bandwidth: a stretch under way ends, and another begins."""
        at_work = self._stretch is not None
        self._end()
        if environment.center_frequency_hz != self._environment.center_frequency_hz:
            radio.retune(environment.center_frequency_hz)
        self._environment = environment
        self._hold_against_band(work)
        if at_work:
            self._begin(radio, work)

    def _hold_against_band(self, work: Work) -> None:
        """Say where the signal is wider than the environment has it, and where it is no more."""
        problem = band_problem(work.occupied_hz, self._environment.rf_bandwidth_hz)
        if problem != self._problem:
            self._problem = problem
            if problem and problem not in self._problems:
                self._problems.append(problem)
            self._say({"event": "problem", "text": problem})

    def _leave(self) -> None:
        """Let go of everything, unless a thread hangs in it."""
        if self._stretch is not None and self._future is not None:
            self._stretch.stop.set()
            wait([self._future], _FAILED_END_S)
        if self.is_hung:
            return
        self._pool.shutdown()
        if self._work is not None:
            self._work.close()
        if self._radio is not None:
            self._radio.close()

    def _write_summary(self, ended_by: str, reason: str) -> dict[str, Any]:
        conf, work = self._conf, self._work
        if conf is None:
            return {}
        if work is not None:
            try:
                work.keep()
            except (PhyemuError, OSError) as problem:
                if ended_by != "error":
                    raise
                self._note(f"not all was kept: {problem}")
        summary = {
            "role": str(conf.role),
            "ended_by": ended_by,
            "reason": reason,
            "began": self._began.isoformat(timespec="milliseconds"),
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **self._environment.to_table(),
            "problems": self._problems,
            "stretches": self._num_stretches,
            **({} if work is None else work.counts()),
        }
        write_json_atomically(self._folder / "summary.json", summary)
        return summary


def main(
    arguments: list[str] | None = None,
    *,
    commands: RawIOBase | None = None,
    answers: TextIO | None = None,
    open_radio: OpenRadio = open_role_radio,
) -> int:
    """Run a worker and return its exit code.

    Args:
        arguments: `--root DIR --folder DIR`; None: those of the process.
        commands: Where commands come from, unbuffered; None: standard input.
        answers: Where events go; None: standard output.
        open_radio: Opens the radio.
    """
    parser = argparse.ArgumentParser(prog="phyemu.node.worker", allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="What the node's files lie below.")
    parser.add_argument("--folder", type=Path, required=True, help="Where products go.")
    options = parser.parse_args(arguments)
    told = sys.stdout if answers is None else answers
    saying = threading.Lock()

    def say(event: Mapping[str, Any]) -> None:
        with saying:
            try:
                told.write(event_line(event) + "\n")
                told.flush()
            except (BrokenPipeError, ValueError):
                session.take(Stop())  # nobody listens any more

    def note(line: str) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        sys.stderr.write(f"{moment} {line}\n")
        sys.stderr.flush()

    session = WorkerSession(
        NodeLayout(options.root), options.folder, say=say, note=note, open_radio=open_radio
    )
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: session.take(Stop()))
    # Unbuffered: at the end of the process a thread in a buffer's lock would abort it.
    stream = open(0, "rb", buffering=0, closefd=False) if commands is None else commands
    threading.Thread(
        target=read_commands,
        args=(stream, session.take, session.refuse),
        name="phyemu-commands",
        daemon=True,
    ).start()
    code = session.run()
    if session.is_hung:
        # A thread that hangs in a driver would hold the process up until it is killed.
        os._exit(code)
    return code


def event_line(event: Mapping[str, Any]) -> str:
    """Return an event as JSON; where lists have grown too long for a line, without them."""
    line = json.dumps(event)
    if len(line) <= _MAX_LINE_BYTES:
        return line
    return json.dumps(_without_lists(event))


def _without_lists(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_lists(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if not isinstance(value, list)
    }


if __name__ == "__main__":
    sys.exit(main())
