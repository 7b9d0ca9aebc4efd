import os
import socket
import uuid
from pathlib import Path

import pytest

from phyemu.node.service_notify import notify_service


def test_an_abstract_socket_hears_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"phyemu-{os.getpid()}-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.settimeout(10.0)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify_service("READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_nobody_who_listens_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify_service("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify_service("READY=1")
