"""The ends of a live stream as a user types them: `-`, `fifo:/tmp/x`, `zmq+pull://:5555`."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from phyemu.errors import ConfigError

__all__ = ["Endpoint", "EndpointKind", "Role", "parse_endpoint"]

LOOPBACK = "127.0.0.1"
_DATATYPES = {"cf32": "cf32_le", "ci16": "ci16_le"}
# What a datagram may carry behind the IP and UDP headers: one Ethernet frame, and the most.
_FRAME_BYTES = 1472
_MAX_DATAGRAM_BYTES = 65507


class Role(StrEnum):
    """Which end of the emulator."""

    SOURCE = "source"
    """Where samples come from."""
    SINK = "sink"
    """Where they go."""


class EndpointKind(StrEnum):
    """How samples travel; the value is what stands before the address."""

    STANDARD = "-"
    """Standard input or output."""
    FIFO = "fifo"
    """A named pipe."""
    ZMQ_PULL = "zmq+pull"
    ZMQ_SUB = "zmq+sub"
    ZMQ_REQ = "zmq+req"
    ZMQ_PUSH = "zmq+push"
    ZMQ_PUB = "zmq+pub"
    ZMQ_REP = "zmq+rep"
    UDP = "udp"
    """Datagrams."""

    @property
    def is_zmq(self) -> bool:
        """Whether it is a ZeroMQ socket."""
        return self.value.startswith("zmq+")


_SOURCES = ("-", "fifo", "zmq+pull", "zmq+sub", "zmq+req", "udp")
_SINKS = ("-", "fifo", "zmq+push", "zmq+pub", "zmq+rep", "udp")
_PARTNERS = {
    "zmq+pull": "zmq+push",
    "zmq+sub": "zmq+pub",
    "zmq+req": "zmq+rep",
}
_PARTNERS |= {sink: source for source, sink in _PARTNERS.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One end of a live stream.

    Attributes:
        text: As it was typed.
        role: Which end.
        kind: How samples travel.
        path: Of a named pipe, else empty.
        host: Of a socket, else empty.
        port: Of a socket, else 0.
        datatype: SigMF datatype of the samples on the wire.
        binds: Whether the socket waits for its peer at the address, or goes there.
        sequence: Whether datagrams begin with a 64-bit sequence number.
        payload_bytes: Most bytes in a datagram that is sent, the sequence number included.
    """

    text: str
    role: Role
    kind: EndpointKind
    path: str = ""
    host: str = ""
    port: int = 0
    datatype: str = "cf32_le"
    binds: bool = False
    sequence: bool = False
    payload_bytes: int = _FRAME_BYTES

    @property
    def is_public(self) -> bool:
        """Whether a socket listens where other machines may reach it."""
        local = ("127.", "::1", "localhost")
        return self.binds and not self.host.startswith(local)


def parse_endpoint(text: str, role: Role) -> Endpoint:
    """Return the endpoint of a spec.

    Args:
        text: `-`; `fifo:PATH`; `zmq+pull://HOST:PORT` and its five relatives; `udp://HOST:PORT`.
            Without a HOST, 127.0.0.1. Then, behind a `?`, options joined by `&`:
            `format=cf32` (what holds without it) or `ci16`; ZeroMQ: `bind` or `connect` (without
            it sources connect and sinks bind, as GNU Radio's blocks expect); UDP: `sequence`, and
            for a sink `payload=BYTES`.
        role: Which end it is.

    Raises:
        ConfigError: Not such a spec.

    >>> parse_endpoint("zmq+pull://:5555?format=ci16", Role.SOURCE).host
    '127.0.0.1'
    """
    allowed = _SOURCES if role is Role.SOURCE else _SINKS
    address, _, query = text.partition("?")
    scheme, colon, rest = address.partition(":")
    if scheme in _PARTNERS and scheme not in allowed:
        raise ConfigError(
            f"{text}: {scheme} is no {role}; its counterpart is {_PARTNERS[scheme]} (all: "
            f"{', '.join(allowed)})"
        )
    if scheme not in allowed or bool(colon) == (scheme == "-"):
        raise ConfigError(
            f"{text}: no {role} of samples; write -, fifo:PATH or SCHEME://HOST:PORT with "
            f"{', '.join(allowed[2:])}"
        )
    kind = EndpointKind(scheme)
    options = _options(text, query, kind, role)
    datatype = options.pop("format", "cf32")
    if datatype not in _DATATYPES:
        raise ConfigError(f"{text}: format is cf32 or ci16, not {datatype!r}")
    host, port, path = "", 0, ""
    if kind is EndpointKind.FIFO:
        path = rest
        if not path:
            raise ConfigError(f"{text}: names no pipe; write fifo:/tmp/samples")
    elif kind is not EndpointKind.STANDARD:
        host, port = _address(text, address)
    binds = role is Role.SINK if kind.is_zmq else kind is EndpointKind.UDP and role is Role.SOURCE
    if "bind" in options and "connect" in options:
        raise ConfigError(f"{text}: bind or connect, not both")
    return Endpoint(
        text=text,
        role=role,
        kind=kind,
        path=path,
        host=host,
        port=port,
        datatype=_DATATYPES[datatype],
        binds=("bind" in options) or (binds and "connect" not in options),
        sequence="sequence" in options,
        payload_bytes=_payload(text, options.get("payload")),
    )


def _options(text: str, query: str, kind: EndpointKind, role: Role) -> dict[str, str]:
    known = {"format"}
    if kind.is_zmq:
        known |= {"bind", "connect"}
    if kind is EndpointKind.UDP:
        known |= {"sequence", "payload"} if role is Role.SINK else {"sequence"}
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        takes_value = name in ("format", "payload")
        if name not in known or bool(value) != takes_value:
            forms = sorted(f"{key}=..." if key in ("format", "payload") else key for key in known)
            raise ConfigError(f"{text}: unknown option {name!r}; allowed are {', '.join(forms)}")
    return options


def _address(text: str, address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise ConfigError(f"{text}: {exc}; write SCHEME://HOST:PORT") from exc
    if not port or parts.path or not address.partition(":")[2].startswith("//"):
        raise ConfigError(f"{text}: needs a port from 1 to 65535, as in udp://127.0.0.1:4000")
    return ("0.0.0.0" if host == "*" else host or LOOPBACK), port


def _payload(text: str, value: str | None) -> int:
    if value is None:
        return _FRAME_BYTES
    if not (value.isdecimal() and 16 <= int(value) <= _MAX_DATAGRAM_BYTES):
        raise ConfigError(
            f"{text}: payload is a number of bytes from 16 to {_MAX_DATAGRAM_BYTES}, not {value!r}"
        )
    return int(value)
