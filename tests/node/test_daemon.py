"""The daemon within this process."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from phyemu.node.control_client import ask
from phyemu.node.daemon import NodeDaemon
from phyemu.node.events import Command
from phyemu.node.layout import NodeLayout

WORKER = [sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_worker.py"))]
Ask = Callable[[str], Awaitable[dict[str, Any]]]


def run(root: Path, play: Callable[[NodeLayout, Ask], Awaitable[None]]) -> NodeDaemon:
    """Run a daemon while something is played to it, then end it as SIGTERM does."""
    layout = NodeLayout(root)
    layout.radio_api.mkdir(parents=True, exist_ok=True)
    if not layout.radio_conf.exists():
        layout.radio_conf.write_text('role = "receive"\n')
    daemon = NodeDaemon(layout, worker_command=WORKER)

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
