"""The ends of a live stream as a user types them: `-`, `zmq+pull://:5555`, `office.sigmf?loop`."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from phyemu.errors import ConfigError
from phyemu.library import find_in_library
from phyemu.live.times import parse_time_s

__all__ = ["Endpoint", "EndpointKind", "Role", "is_loopback", "parse_endpoint"]

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
    RECORDING = "recording"
    """A SigMF recording."""

    @property
    def is_zmq(self) -> bool:
        """Whether it is a ZeroMQ socket."""
        return self.value.startswith("zmq+")


_SOURCES = ("-", "fifo", "zmq+pull", "zmq+sub", "zmq+req", "udp")
_SINKS = ("-", "fifo", "zmq+push", "zmq+pub", "zmq+rep", "udp")
# Options of each kind, of sources and sinks; those that take a value, and what it is.
_ZMQ_OPTIONS = frozenset({"format", "bind", "connect"})
_OPTIONS = {
    Role.SOURCE: {
        EndpointKind.ZMQ_REQ: _ZMQ_OPTIONS | {"samples"},
        EndpointKind.UDP: frozenset({"format", "sequence"}),
        EndpointKind.RECORDING: frozenset({"loop", "start", "channel", "skip-gaps"}),
    },
    Role.SINK: {
        EndpointKind.ZMQ_REP: _ZMQ_OPTIONS | {"samples"},
        EndpointKind.UDP: frozenset({"format", "sequence", "payload"}),
    },
}
_VALUES = frozenset({"format", "payload", "samples", "start", "channel"})
_MAX_MESSAGE_SAMPLES = 1 << 20
_SUFFIXES = (".sigmf", ".sigmf-meta", ".sigmf-data")
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
        path: Of a named pipe or a recording, else empty.
        host: Of a socket, else empty.
        port: Of a socket, else 0.
        datatype: SigMF datatype of the samples on the wire.
        binds: Whether the socket waits for its peer at the address, or goes there.
        sequence: Whether datagrams begin with a 64-bit sequence number.
        payload_bytes: Most bytes in a datagram that is sent, the sequence number included.
        message_samples: Samples that a request asks for, or that answers it, whatever it asked
            for; 0: 65536, or what it asked for.
        loops: Whether a recording starts over at its end.
        skips_gaps: Whether its gaps take no time.
        start_s: Where it is played from [s], if not from `start_sample`.
        start_sample: Where it is played from.
        channel: Which of its channels, from 0.
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
    message_samples: int = 0
    loops: bool = False
    skips_gaps: bool = False
    start_s: float = 0.0
    start_sample: int = 0
    channel: int = 0

    @property
    def is_public(self) -> bool:
        """Whether a socket listens where other machines may reach it."""
        return self.binds and not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what listens at an address.

    Args:
        host: An address, or a name; of names only `localhost` is known to be of this machine.

    >>> [is_loopback(host) for host in ("127.0.0.9", "::1", "::", "127.example.com")]
    [True, True, False, False]
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def parse_endpoint(text: str, role: Role) -> Endpoint:
    """Return the endpoint of a spec.

    Args:
        text: `-`; `fifo:PATH`; `zmq+pull://HOST:PORT` and its five relatives; `udp://HOST:PORT`;
            a SigMF recording by its path or, for a source, its name in the library.
            Without a HOST, 127.0.0.1. Then, behind a `?`, options joined by `&`:
            `format=cf32` (what holds without it) or `ci16`; ZeroMQ: `bind` or `connect` (without
            it sources connect and sinks bind, as GNU Radio's blocks expect), REQ and REP also
            `samples=N` in a message; UDP: `sequence`, and for a sink `payload=BYTES`; a recording
            as a source: `loop`, `start=TIME` or `start=SAMPLE`, `channel=N`, `skip-gaps`.
        role: Which end it is.

    Raises:
        ConfigError: Not such a spec.

    >>> parse_endpoint("zmq+pull://:5555?format=ci16", Role.SOURCE).host
    '127.0.0.1'
    """
    allowed = _SOURCES if role is Role.SOURCE else _SINKS
    address, _, query = text.partition("?")
    scheme, colon, rest = address.partition(":")
    recording = _recording(text, address, query, role)
    if recording is not None:
        return recording
    if scheme in _PARTNERS and scheme not in allowed:
        raise ConfigError(
            f"{text}: {scheme} is no {role}; its counterpart is {_PARTNERS[scheme]} (all: "
            f"{', '.join(allowed)})"
        )
    if scheme not in allowed or bool(colon) == (scheme == "-"):
        raise ConfigError(
            f"{text}: no {role} of samples; write -, fifo:PATH, NAME.sigmf or SCHEME://HOST:PORT "
            f"with {', '.join(allowed[2:])}"
        )
    kind = EndpointKind(scheme)
    options = _options(text, query, kind, role)
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
        datatype=_datatype(text, options),
        binds=("bind" in options) or (binds and "connect" not in options),
        sequence="sequence" in options,
        payload_bytes=_number(
            text, options, "payload", (16, _MAX_DATAGRAM_BYTES), _FRAME_BYTES, unit="bytes"
        ),
        message_samples=_number(text, options, "samples", (1, _MAX_MESSAGE_SAMPLES), 0),
    )


def _recording(text: str, address: str, query: str, role: Role) -> Endpoint | None:
    """Return the recording that a spec names, if it does."""
    path = address
    if not address.endswith(_SUFFIXES):
        if role is Role.SINK or address in ("", "-") or ":" in address or "." in address:
            return None
        path = str(find_in_library(address, "captures"))
    options = _options(text, query, EndpointKind.RECORDING, role)
    start_s, start_sample = 0.0, 0
    if "start" in options:
        time_s = parse_time_s(options["start"])
        if time_s is not None:
            start_s = time_s
        elif options["start"].isdecimal():
            start_sample = int(options["start"])
        else:
            raise ConfigError(
                f"{text}: start is a time such as 500ms or 1.5s, or the number of a sample, not "
                f"{options['start']!r}"
            )
    return Endpoint(
        text=text,
        role=role,
        kind=EndpointKind.RECORDING,
        path=path,
        datatype=_datatype(text, options),
        loops="loop" in options,
        skips_gaps="skip-gaps" in options,
        start_s=start_s,
        start_sample=start_sample,
        channel=_number(text, options, "channel", (0, 1023), 0),
    )


def _options(text: str, query: str, kind: EndpointKind, role: Role) -> dict[str, str]:
    known = _OPTIONS[role].get(kind, _ZMQ_OPTIONS if kind.is_zmq else frozenset({"format"}))
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name not in known or bool(value) != (name in _VALUES):
            forms = sorted(f"{key}=..." if key in _VALUES else key for key in known)
            raise ConfigError(f"{text}: unknown option {name!r}; allowed are {', '.join(forms)}")
    return options


def _datatype(text: str, options: dict[str, str]) -> str:
    datatype = options.get("format", "cf32")
    if datatype not in _DATATYPES:
        raise ConfigError(f"{text}: format is cf32 or ci16, not {datatype!r}")
    return _DATATYPES[datatype]


def _number(
    text: str,
    options: dict[str, str],
    name: str,
    allowed: tuple[int, int],
    default: int,
    *,
    unit: str = "",
) -> int:
    value = options.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal() and allowed[0] <= int(value) <= allowed[1]):
        what = f"a number of {unit}" if unit else "a number"
        raise ConfigError(
            f"{text}: {name} is {what} from {allowed[0]} to {allowed[1]}, not {value!r}"
        )
    return int(value)


def _address(text: str, address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise ConfigError(f"{text}: {exc}; write SCHEME://HOST:PORT") from exc
    if not port or parts.path or not address.partition(":")[2].startswith("//"):
        raise ConfigError(f"{text}: needs a port from 1 to 65535, as in udp://127.0.0.1:4000")
    return ("0.0.0.0" if host == "*" else host or LOOPBACK), port
