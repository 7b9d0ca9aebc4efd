"""Which transport protocol carries a payload."""

from enum import StrEnum

__all__ = ["Protocol"]


class Protocol(StrEnum):
    """TCP repeats what was lost, UDP does not."""

    TCP = "tcp"
    UDP = "udp"
