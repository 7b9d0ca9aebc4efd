"""The daemon within this process."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from phyemu.node.control_client import ask
from phyemu.node.daemon import NodeDaemon
from phyemu.node.events import Command
from phyemu.node.layout import NodeLayout
from phyemu.node.leftover import note_worker

WORKER = [sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_worker.py"))]
Ask = Callable[[str], Awaitable[dict[str, Any]]]


def run(
    root: Path,
    play: Callable[[NodeLayout, Ask], Awaitable[None]],
    conf: str = 'role = "receive"\n',
    daemons: list[NodeDaemon] | None = None,
) -> NodeDaemon:
    """Run a daemon while something is played to it, then end it as SIGTERM does."""
    layout = NodeLayout(root)
    layout.radio_api.mkdir(parents=True, exist_ok=True)
    if conf:
        layout.radio_conf.write_text(conf)
    daemon = NodeDaemon(layout, worker_command=WORKER)
    if daemons is not None:
        daemons.append(daemon)

    async def ask_it(command: str) -> dict[str, Any]:
        return await asyncio.to_thread(ask, layout.socket, command, time.monotonic() + 20.0)

    async def both() -> None:
        task = asyncio.create_task(daemon.run())
        while not layout.socket.exists():
            await asyncio.sleep(0.01)
        await play(layout, ask_it)
        daemon._leave("the end of the test")
        await task

    asyncio.run(both())
    return daemon


async def reach(ask_it: Ask, state: str) -> None:
    while (await ask_it("status"))["STATUS"] != state:
        await asyncio.sleep(0.01)


def told(layout: NodeLayout) -> list[str]:
    return (layout.task(1) / "heard.jsonl").read_text().splitlines()


def test_a_broken_ini_does_not_keep_the_environment_from_changing(tmp_path: Path) -> None:
    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        layout.colosseum_config.write_text("[RF")
        await ask_it("start")
        await reach(ask_it, "ACTIVE")
        layout.environment.write_text('[{"scenario_center_frequency": 5e9}]')
        answer = await ask_it("update_environment")
        assert answer["ok"] is False
        assert "colosseum_config.ini: cannot be read as INI" in answer["text"]

    run(tmp_path, play)
    assert (
        '"command": "environment", "center_frequency_hz": 5000000000.0'
        in told(NodeLayout(tmp_path))[2]
    )


def test_a_start_after_the_daemon_was_told_to_end_is_refused(tmp_path: Path) -> None:
    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        await ask_it("start")
        await reach(ask_it, "ACTIVE")

    daemon = run(tmp_path, play)
    answer = asyncio.run(daemon._handle(Command.START))
    assert answer == {"ok": False, "text": "the daemon is ending"}


def test_statistics_are_what_the_worker_said_last(tmp_path: Path) -> None:
    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        await ask_it("start")
        await reach(ask_it, "ACTIVE")
        for said, fields in (
            ("progress", {"frames": 1}),
            ("statistics", {"frames": 7, "lost": 1}),
            ("progress", {"frames": 9}),
        ):
            daemons[0]._hear(1, said, fields)
        text = (await ask_it("statistics"))["text"]
        assert json.loads(text) == {"STATUS": "ACTIVE", "frames": 9, "lost": 1}
        daemons[0]._hear(1, "statistics", {"frames": 12, "lost": 2})
        text = (await ask_it("statistics"))["text"]
        assert json.loads(text) == {"STATUS": "ACTIVE", "frames": 12, "lost": 2}

    daemons: list[NodeDaemon] = []
    run(tmp_path, play, conf='role = "idle"\n', daemons=daemons)


def events(layout: NodeLayout) -> list[dict[str, Any]]:
    *lines, _ = layout.node_log.read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def test_settings_that_come_later_are_found(tmp_path: Path) -> None:
    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        await reach(ask_it, "BOOTING")
        while "no such file yet" not in (status := await ask_it("status"))["INFO"]:
            await asyncio.sleep(0.01)
        assert status["STATUS"] == "BOOTING"
        layout.radio_conf.write_text('role = "receive"\n')
        await reach(ask_it, "READY")
        assert layout.task(1).exists()

    run(tmp_path, play, conf="")
    told = [line for line in events(NodeLayout(tmp_path)) if "yet" in line.get("info", "")]
    assert len(told) <= 2  # however often it looked


def test_a_start_reads_what_has_changed_since_the_worker_began(tmp_path: Path) -> None:
    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        await reach(ask_it, "READY")
        layout.colosseum_config.write_text("[RF]\ncenter_frequency = 3e9\n")
        await ask_it("start")
        await reach(ask_it, "ACTIVE")
        await ask_it("stop")
        await reach(ask_it, "FINISHED")
        commands = [json.loads(line)["command"] for line in told(layout)]
        assert commands == ["configure", "environment", "start", "stop"]

    run(tmp_path / "ini", play)

    async def play_conf(layout: NodeLayout, ask_it: Ask) -> None:
        await reach(ask_it, "READY")
        layout.radio_conf.write_text('role = "capture"\n')
        answer = await ask_it("start")
        assert answer["text"].startswith("radio.conf has changed")
        await reach(ask_it, "ACTIVE")
        heard = (layout.task(2) / "heard.jsonl").read_text().splitlines()
        assert json.loads(heard[0])["radio_conf"]["role"] == "capture"

    run(tmp_path / "conf", play_conf)


def test_what_a_worker_says_of_its_signal_is_told_until_it_takes_it_back(tmp_path: Path) -> None:
    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        await reach(ask_it, "READY")
        daemons[0]._hear(1, "problem", {"text": "the signal takes\n25 MHz"})
        assert (await ask_it("status"))["INFO"].endswith("[the signal takes 25 MHz]")
        daemons[0]._hear(0, "problem", {"text": ""})  # a worker of before
        assert (await ask_it("status"))["INFO"].endswith("[the signal takes 25 MHz]")
        daemons[0]._hear(1, "problem", {"text": ""})
        assert (await ask_it("status"))["INFO"] == "the worker is ready"

    daemons: list[NodeDaemon] = []
    run(tmp_path, play, daemons=daemons)
    said = [line.get("fields") for line in events(NodeLayout(tmp_path))]
    assert {"text": "the signal takes\n25 MHz"} in said


def test_a_remembered_start_is_older_than_a_stop_that_is_heard(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    layout.run.mkdir(parents=True)
    layout.requested.write_text("start")
    ignoring = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    command = [sys.executable, "-I", "-S", "-c", ignoring]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as before:
        assert before.stdout is not None
        before.stdout.readline()  # from now on it ignores SIGTERM
        note_worker(layout.worker_pid, before.pid)

        async def play(layout: NodeLayout, ask_it: Ask) -> None:
            assert (await ask_it("stop"))["ok"]
            before.send_signal(signal.SIGKILL)  # only now the daemon goes on
            await asyncio.to_thread(before.wait, 20.0)
            while not any(line["event"] == "leftover" for line in events(layout)):
                await asyncio.sleep(0.01)
            assert (await ask_it("status"))["STATUS"] == "FINISHED"
            assert not layout.task(1).exists()

        run(tmp_path, play)


def test_what_a_worker_left_for_itself_is_removed_before_the_next(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    layout.scratch.mkdir(parents=True)
    (layout.scratch / "images.sigmf").write_text("of a worker that was killed")

    async def play(layout: NodeLayout, ask_it: Ask) -> None:
        await reach(ask_it, "READY")
        assert not layout.scratch.exists()

    run(tmp_path, play)
