"""The daemon of a node: answers Colosseum's scripts, keeps a worker at work, writes down all of it.

    python -m phyemu.node.daemon        below $PHYEMU_NODE_ROOT, or /

One task takes events in turn, asks the state machine (`phyemu.node.state_machine`) and does what it
says; commands, lines of the worker and the clock are events. SIGTERM is a stop, after which the
daemon ends.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from phyemu.errors import ConfigError, PhyemuError
from phyemu.node import events as on
from phyemu.node.control import ControlServer, bind_unix_socket
from phyemu.node.daemon_lock import lock_daemon
from phyemu.node.deadlines import Deadlines
from phyemu.node.environment import Environment
from phyemu.node.events import Answer, Command, Event, State
from phyemu.node.layout import NodeLayout
from phyemu.node.leftover import end_leftover, note_worker
from phyemu.node.node_inputs import NodeInputs
from phyemu.node.node_log import NodeLog, write_json_atomically
from phyemu.node.radio_conf import RadioConf, Role
from phyemu.node.resumption import StateFile, resumed_node
from phyemu.node.service_notify import notify_service
from phyemu.node.state_machine import Node, next_deadline, step
from phyemu.node.supervisor import IdleWorker, Worker, WorkerProcess

__all__ = ["NodeDaemon", "main", "run_node"]


class NodeDaemon:
    """A node at work."""

    def __init__(
        self,
        layout: NodeLayout,
        *,
        worker_command: Sequence[str],
        deadlines: Deadlines | None = None,
        heartbeat_s: float = 5.0,
        silence_s: float = 30.0,
    ) -> None:
        """Do nothing yet.

        Args:
            layout: Where everything lies.
            worker_command: Program and arguments of a worker; `--root` and `--folder` follow.
            deadlines: How long a worker may take; None: the usual ones.
            heartbeat_s: How often the daemon shows that it lives [s].
            silence_s: After so long without progress of an active worker, INFO says so [s].
        """
        self._layout = layout
        self._worker_command = list(worker_command)
        self._heartbeat_s, self._silence_s = heartbeat_s, silence_s
        self._heard_s = 0.0
        self._node = Node(deadlines=deadlines or Deadlines())
        self._events: asyncio.Queue[
            tuple[Event | Command, asyncio.Future[dict[str, Any]] | None]
        ] = asyncio.Queue()
        self._worker: Worker | None = None
        # What the worker of this run said last, by event, newest last; when that was logged; what
        # is wrong with its signal.
        self._said: dict[str, dict[str, Any]] = {}
        self._logged_s: dict[str, float] = {}
        self._problem = ""
        self._entered: on.Entered | None = None
        self._leaving = False
        self._log: NodeLog
        self._inputs: NodeInputs
        self._state_file: StateFile

    async def run(self) -> None:
        """Work until a SIGTERM or SIGINT has been seen through.

        Raises:
            ConfigError: Another daemon runs here, or the folder for the socket cannot be written.
        """
        lock, before = lock_daemon(self._layout.pid)
        listener = bind_unix_socket(self._layout.socket)
        if before:
            self._node, line = resumed_node(self._layout.state, self._node.deadlines)
        self._log = NodeLog(self._layout)
        self._inputs = NodeInputs(self._layout, self._log)
        self._log.event("daemon-started", pid=os.getpid(), root=str(self._layout.root))
        if before:
            self._log.event("daemon-died", info=line)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave, signal.Signals(number).name)
        server = ControlServer(listener, self._answer)
        with StateFile(self._layout.state) as self._state_file:
            self._publish()
            self._take_request()  # it is older than whatever the server takes
            await server.start()
            notify_service("READY=1")
            begin = asyncio.create_task(self._begin())
            await self._work()
            begin.cancel()
            await server.close()
        self._log.event("daemon-ended", state=self._node.state)
        self._log.close()
        self._layout.socket.unlink(missing_ok=True)
        self._layout.pid.unlink(missing_ok=True)
        lock.close()

    async def _begin(self) -> None:
        """Boot, once what a daemon before has left is out of the way."""
        if line := await end_leftover(self._layout.worker_pid):
            self._log.event("leftover", info=line)
        self._put(on.Boot())

    def _take_request(self) -> None:
        with suppress(OSError, ValueError):
            requested = Command(self._layout.requested.read_text("utf-8").strip())
            self._layout.requested.unlink()
            self._log.event("requested", command=requested)
            self._put(requested)

    # Events

    def _put(
        self, event: Event | Command, future: asyncio.Future[dict[str, Any]] | None = None
    ) -> None:
        self._events.put_nowait((event, future))

    async def _answer(self, command: Command) -> dict[str, Any]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._put(command, future)
        return await future

    def _leave(self, name: str) -> None:
        self._log.event("signal", name=name)
        self._leaving = True
        self._put(Command.STOP)

    async def _work(self) -> None:
        beat_s = time.monotonic()
        while not (self._leaving and self._node.state is State.FINISHED and self._events.empty()):
            deadline_s = next_deadline(self._node)
            wait_s = beat_s + self._heartbeat_s - time.monotonic()
            if deadline_s is not None:
                wait_s = min(wait_s, deadline_s - time.monotonic())
            event: Event | Command = on.Tick()
            future = None
            try:
                async with asyncio.timeout(max(wait_s, 0.0)):
                    event, future = await self._events.get()
            except TimeoutError:
                pass
            answer = await self._handle(event)
            if future is not None and not future.done():
                future.set_result(answer)
            if time.monotonic() - beat_s >= self._heartbeat_s:
                beat_s = time.monotonic()
                self._publish()
                notify_service("WATCHDOG=1")

    async def _handle(self, event: Event | Command) -> dict[str, Any]:
        """Do what an event brings about, and return what a script prints of it."""
        if self._leaving and event is Command.START:
            return {"ok": False, "text": "the daemon is ending"}
        asked = self._inputs.asked(event) if isinstance(event, Command) else event
        answer = Answer(True, "")
        events: list[Event] = [asked, on.Tick()]
        while events:
            self._node, actions = step(self._node, events.pop(0), time.monotonic())
            for action in actions:
                if isinstance(action, Answer):
                    answer = action
                else:
                    events[:0] = await self._do(action)
        if event is Command.STATUS:
            return {"STATUS": self._node.state.value, "INFO": self._info}
        text = answer.text
        if event is Command.STATISTICS:
            counts = {key: value for said in self._said.values() for key, value in said.items()}
            text = json.dumps({"STATUS": self._node.state.value, **counts})
        elif isinstance(event, Command):
            self._log.event("command", command=event, ok=answer.ok, text=answer.text)
        return {"ok": answer.ok, "text": text}

    # Actions

    async def _do(self, action: on.Action) -> list[Event]:
        match action:
            case on.Launch(run):
                return await self._launch(run)
            case on.Send(_, line):
                self._log.event("told", **line)
                if self._worker is not None:
                    self._worker.send(line)
            case on.Terminate() | on.Kill():
                number = signal.SIGTERM if isinstance(action, on.Terminate) else signal.SIGKILL
                self._log.event("signalled", signal=number.name)
                if self._worker is not None:
                    self._worker.signal(number)
            case on.Entered():
                if action != self._entered:  # whoever looks for radio.conf again says so once
                    self._log.event(
                        "state", state=action.state, before=action.before, info=action.info
                    )
                self._entered = replace(action, before=action.state)
                self._publish()
        return []

    async def _launch(self, run: int) -> list[Event]:
        self._said, self._problem = {}, ""
        try:
            conf, environment = self._inputs.configure()
        except FileNotFoundError:
            reason = f"{self._layout.radio_conf}: no such file yet; it is looked for every second"
            return [on.NotConfigured(run, reason)]
        except ConfigError as exc:
            return [on.LaunchFailed(run, str(exc), final=True)]
        shutil.rmtree(self._layout.scratch, ignore_errors=True)
        policy = on.Configured(run, conf.restart.max_restarts, conf.restart.delay_s)

        def heard(name: str, fields: dict[str, Any]) -> None:
            self._hear(run, name, fields)

        if conf.role is Role.IDLE:
            self._worker = IdleWorker(heard)
            return [policy]
        try:
            folder = self._new_task(conf, environment)
            process = await WorkerProcess.launch(
                [
                    *self._worker_command,
                    *("--root", str(self._layout.root), "--folder", str(folder)),
                ],
                log=folder / "worker.log",
                variables={**os.environ, "PHYEMU_NODE_ROOT": str(self._layout.root)},
                heard=heard,
            )
        except OSError as exc:
            reason = f"the worker cannot be started ({exc})"
            return [policy, on.LaunchFailed(run, reason, final=False)]
        note_worker(self._layout.worker_pid, process.pid)
        self._log.event("launched", pid=process.pid, folder=folder.name, role=conf.role)
        self._worker = process
        process.send(
            {
                "command": "configure",
                "radio_conf": conf.to_table(),
                "environment": environment.to_table(),
            }
        )
        return [policy]

    def _new_task(self, conf: RadioConf, environment: Environment) -> Any:
        number = 1
        while self._layout.task(number).exists():
            number += 1
        folder = self._layout.task(number)
        folder.mkdir(parents=True)
        write_json_atomically(
            folder / "task.json",
            {
                "role": conf.role,
                "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "center_frequency_hz": environment.center_frequency_hz,
                "rf_bandwidth_hz": environment.rf_bandwidth_hz,
                "sample_rate_hz": conf.radio.sample_rate_hz,
                "radio_conf": conf.to_table(),
            },
        )
        return folder

    def _hear(self, run: int, name: str, fields: dict[str, Any]) -> None:
        """Take an event of a worker; it is called in the loop's thread."""
        now_s = self._heard_s = time.monotonic()
        if name in ("progress", "statistics"):
            self._said.pop(name, None)
            self._said[name] = fields
            if now_s - self._logged_s.get(name, -1.0) < 1.0:
                return
            self._logged_s[name] = now_s
        self._log.event("worker", said=name, run=run, fields=fields)
        reason = " ".join(str(fields.get("reason", "no reason given")).split())[:500]
        match name:
            case "problem" if run == self._node.run:
                self._problem = " ".join(str(fields.get("text", "")).split())[:500]
            case "ready":
                self._put(on.WorkerReady(run))
            case "active":
                self._put(on.WorkerActive(run))
            case "stopped":
                self._put(on.WorkerStopped(run))
            case "error" | "failed":
                self._put(on.WorkerFailed(run, reason))
            case "exited":
                if run == self._node.run:
                    self._layout.worker_pid.unlink(missing_ok=True)
                self._put(on.WorkerExited(run, reason))

    # What others see

    @property
    def _info(self) -> str:
        parts = [self._node.info]
        silent_s = time.monotonic() - self._heard_s
        if (
            self._node.state is State.ACTIVE
            and not isinstance(self._worker, IdleWorker)
            and silent_s > self._silence_s
        ):
            parts.append(f"[the worker has said nothing for {silent_s:.0f} s]")
        if self._problem:
            parts.append(f"[{self._problem}]")
        if problem := self._log.problem:
            parts.append(f"[{problem}]")
        return " ".join(parts)

    def _publish(self) -> None:
        node = self._node
        self._state_file.write(node, self._info)
        self._log.status(
            state=node.state, info=self._info, run=node.run, restarts=node.restarts, pid=os.getpid()
        )


def run_node(layout: NodeLayout) -> None:
    """Run the daemon of a node in the foreground, until SIGTERM or SIGINT.

    `$PHYEMU_NODE_WORKER` names a Python program in place of the worker, for rehearsals of faults.

    Raises:
        ConfigError: Another daemon runs below this root, or it cannot be written.
    """
    program = os.environ.get("PHYEMU_NODE_WORKER")
    worker = [program] if program else ["-m", "phyemu.node.worker"]
    command = [sys.executable, *worker]
    asyncio.run(NodeDaemon(layout, worker_command=command).run())


def _keep_errors(layout: NodeLayout) -> None:
    """Have standard error kept with the logs; a journal would go with the container."""
    with suppress(OSError):
        layout.logs.mkdir(parents=True, exist_ok=True)
        with (layout.logs / "daemon.log").open("ab") as file:
            os.dup2(file.fileno(), sys.stderr.fileno())


def main() -> int:
    """Run the daemon; the exit code is 1 where it cannot begin."""
    layout = NodeLayout.of_environment()
    _keep_errors(layout)
    try:
        run_node(layout)
    except PhyemuError as exc:
        sys.stderr.write(f"phyemu-node: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
