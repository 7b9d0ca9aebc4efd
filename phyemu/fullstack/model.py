"""A transfer by the event model: DCF below, TCP or UDP above."""

import random

from phyemu.errors import ConfigError
from phyemu.fullstack.dcf import Dcf
from phyemu.fullstack.frame_tally import (
    DEVICE,
    FrameKind,
    segment_bytes,
    tally_transfer,
    transport_bytes,
)
from phyemu.fullstack.link import WifiLink
from phyemu.fullstack.packet import Packet
from phyemu.fullstack.protocol import Protocol
from phyemu.fullstack.tcp import TcpTransfer
from phyemu.fullstack.transfer import Engine, Transfer

__all__ = ["check_payload", "transfer"]

_MAX_PAYLOAD_BYTES = 1 << 30


def check_payload(payload_bytes: int, seed: int) -> None:
    """Raise ConfigError for what no transfer can begin with."""
    if not 1 <= payload_bytes <= _MAX_PAYLOAD_BYTES:
        raise ConfigError(
            f"a payload is 1 byte to 1 GiB ({_MAX_PAYLOAD_BYTES} bytes); got {payload_bytes}"
        )
    if seed < 0:
        raise ConfigError(f"seed must not be negative, got {seed}")


def transfer(payload_bytes: int, link: WifiLink, protocol: Protocol, *, seed: int) -> Transfer:
    """Return what it takes to send a payload from the mobile device to the edge server.

    The same arguments give the same transfer. With TCP everything arrives, or the connection is
    given up after six timeouts in a row, and `delivered_bytes` says how far it came. UDP sends
    each datagram once, as fast as the MAC takes them.

    Args:
        payload_bytes: What is to be sent, 1 byte to 1 GiB.
        link: The radio link.
        protocol: TCP or UDP.
        seed: Of backoffs and frame errors, >= 0.

    Raises:
        ConfigError: A number is out of range.
    """
    check_payload(payload_bytes, seed)
    size = segment_bytes(link.mtu_bytes, protocol)
    whole, rest = divmod(payload_bytes, size)
    sizes = [size] * whole + [rest] * (rest > 0)
    run = _Run(sizes, link, protocol, random.Random(seed))
    while run.goes_on and run.dcf.step():
        pass
    return tally_transfer(
        run.dcf.frames,
        engine=Engine.MODEL,
        protocol=protocol,
        payload_bytes=payload_bytes,
        delivered_bytes=run.delivered_bytes,
        duration_s=run.last_ns * 1e-9,
    )


class _Run:
    """A transfer under way.

    Attributes:
        dcf: The medium.
        delivered_bytes: What arrived so far.
        last_ns: When the last of it arrived.
    """

    def __init__(
        self, sizes: list[int], link: WifiLink, protocol: Protocol, generator: random.Random
    ) -> None:
        self.dcf = Dcf(link, generator, self._deliver)
        self.delivered_bytes = 0
        self.last_ns = 0
        self._sizes = sizes
        self._payload_bytes = sum(sizes)
        self._tcp = TcpTransfer(sizes, self.dcf) if protocol is Protocol.TCP else None
        if self._tcp is None:
            header = transport_bytes(protocol)
            for index, size in enumerate(sizes):
                packet = Packet(
                    kind=FrameKind.SEGMENT, behind_ip_bytes=header + size, segment=index
                )
                self.dcf.send(DEVICE, packet, 0)

    @property
    def goes_on(self) -> bool:
        """Return whether something may still arrive."""
        done = self.delivered_bytes == self._payload_bytes
        return not done and not (self._tcp is not None and self._tcp.failed)

    def _deliver(self, station: int, packet: Packet, now: int) -> None:
        before = self.delivered_bytes
        if self._tcp is None:
            self.delivered_bytes += self._sizes[packet.segment]
        else:
            self._tcp.receive(station, packet, now)
            self.delivered_bytes = self._tcp.delivered_bytes
        if self.delivered_bytes > before:
            self.last_ns = now
