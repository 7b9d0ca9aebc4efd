"""The control socket: one line of JSON in, one line of JSON out, whoever calls and however.

Requests are short and come at once, so whoever sends more, or takes longer, is sent away; neither
keeps others from their answer.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from phyemu.node.events import Command

__all__ = ["MAX_REQUEST_BYTES", "Answering", "ControlServer", "bind_unix_socket"]

MAX_REQUEST_BYTES = 4096
_PATIENCE_S = 1.0
_MAX_CONNECTIONS = 64

Answering = Callable[[Command], Awaitable[dict[str, Any]]]
"""What answers a command, soon."""


def bind_unix_socket(path: Path) -> socket.socket:
    """Return a listening Unix socket at a path of any length, for this user alone.

    Raises:
        OSError: The folder is not there, or cannot be written.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        # The address of a Unix socket holds 108 bytes; the folder's descriptor makes it short.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            short = len(os.fsencode(path)) < 100
            listener.bind(str(path) if short else f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        path.chmod(0o600)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


class ControlServer:
    """Answers requests until it is closed."""

    def __init__(self, listener: socket.socket, answer: Answering) -> None:
        """Answer what comes to a listening socket."""
        self._listener = listener
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_unix_server(
            self._serve, sock=self._listener, limit=MAX_REQUEST_BYTES
        )

    async def close(self) -> None:
        """End, and every connection with it."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MAX_CONNECTIONS:
            writer.transport.abort()  # the client tries again
            return
        self._connections.add(writer)
        try:
            answer = await self._answer_to(reader)
            writer.write(json.dumps(answer).encode() + b"\n")
            await asyncio.wait_for(writer.drain(), _PATIENCE_S)
            writer.close()
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            self._connections.discard(writer)

    async def _answer_to(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), _PATIENCE_S)
        except TimeoutError:
            return _refusal(f"no whole line within {_PATIENCE_S:g} s")
        except asyncio.LimitOverrunError:
            return _refusal(f"a request has at most {MAX_REQUEST_BYTES} bytes")
        except asyncio.IncompleteReadError:
            return _refusal("a request is one line")
        try:
            request = json.loads(line)
            command = Command(request["command"])
        except (ValueError, RecursionError, TypeError, KeyError):
            return _refusal(f"not one of the commands {', '.join(Command)}")
        return await self._answer(command)


def _refusal(reason: str) -> dict[str, Any]:
    return {"ok": False, "text": f"the request was refused: {reason}"}
