"""What systemd wants to hear from a service: that it is up, and that it still lives."""

import os
import socket
from contextlib import suppress

__all__ = ["notify_service"]


def notify_service(message: str) -> None:
    """Tell systemd, e.g. "READY=1" or "WATCHDOG=1"; without it, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(message.encode(), address)
