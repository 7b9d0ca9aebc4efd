"""The way of a payload through the whole stack: TCP or UDP, IP, and IEEE 802.11a."""

from phyemu.fullstack.link import SnrTrace, WifiLink
from phyemu.fullstack.model import transfer
from phyemu.fullstack.protocol import Protocol
from phyemu.fullstack.transfer import Engine, Transfer

__all__ = ["Engine", "Protocol", "SnrTrace", "Transfer", "WifiLink", "transfer"]
