import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from phyemu.node import control
from phyemu.node.control import ControlServer, bind_unix_socket
from phyemu.node.events import Command

SERVED = 64


def test_so_many_are_served_at_a_time_and_others_are_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_PATIENCE_S", 60.0)  # nobody is sent away for being slow

    async def answer(command: Command) -> dict[str, Any]:
        return {"ok": True, "text": command}

    async def play() -> None:
        path = tmp_path / "node.sock"
        server = ControlServer(bind_unix_socket(path), answer)
        await server.start()
        callers = [await asyncio.open_unix_connection(path) for _ in range(SERVED + 6)]
        for reader, _ in callers[SERVED:]:
            assert await reader.read() == b""
        for _, writer in callers[:SERVED]:
            writer.write(b'{"command": "stop"}\n')
        for reader, _ in callers[:SERVED]:
            assert json.loads(await reader.readline()) == {"ok": True, "text": "stop"}
        for reader, _ in callers[:SERVED]:
            assert await reader.read() == b""  # and there is room again
        callers.append(await asyncio.open_unix_connection(path))
        reader, writer = callers[-1]
        writer.write(b'{"command": "start"}\n')
        assert json.loads(await reader.readline())["text"] == "start"
        for _, writer in callers:
            writer.close()
        await server.close()

    asyncio.run(play())
