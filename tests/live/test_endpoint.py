"""Ends of a live stream as they are typed."""

import pytest

from phyemu.errors import ConfigError
from phyemu.live import EndpointKind, Role, parse_endpoint


def test_sources_of_zeromq_connect_and_sinks_bind_as_gnu_radio_expects() -> None:
    source = parse_endpoint("zmq+pull://127.0.0.1:5555", Role.SOURCE)
    sink = parse_endpoint("zmq+rep://:5556", Role.SINK)
    assert (source.kind, source.binds, source.port) == (EndpointKind.ZMQ_PULL, False, 5555)
    assert (sink.kind, sink.binds, sink.host) == (EndpointKind.ZMQ_REP, True, "127.0.0.1")


def test_bind_and_connect_change_that() -> None:
    assert parse_endpoint("zmq+pull://:5555?bind", Role.SOURCE).binds
    assert not parse_endpoint("zmq+push://lab7:5555?connect&format=ci16", Role.SINK).binds


@pytest.mark.parametrize(
    "text",
    [
        "udp://:4000",
        "udp://127.0.0.9:4000",
        "udp://[::1]:4000",
        "udp://[::ffff:127.0.0.1]:4000",
        "udp://LocalHost:4000",
    ],
)
def test_datagrams_are_received_on_loopback_unless_told_otherwise(text: str) -> None:
    endpoint = parse_endpoint(text, Role.SOURCE)
    assert endpoint.binds
    assert not endpoint.is_public


@pytest.mark.parametrize(
    "text",
    [
        "udp://0.0.0.0:4000",
        "udp://*:4000",
        "udp://[::]:4000",
        "udp://[::10]:4000",
        "udp://127.example.com:4000",
        "udp://localhost.example.com:4000",
        "zmq+sub://10.0.0.7:1?bind",
    ],
)
def test_an_address_beyond_this_machine_is_public(text: str) -> None:
    assert parse_endpoint(text, Role.SOURCE).is_public


def test_pipes_have_a_format_too() -> None:
    assert parse_endpoint("-?format=ci16", Role.SINK).datatype == "ci16_le"
    fifo = parse_endpoint("fifo:/tmp/x", Role.SOURCE)
    assert (fifo.kind, fifo.path, fifo.datatype) == (EndpointKind.FIFO, "/tmp/x", "cf32_le")


@pytest.mark.parametrize(
    ("text", "role", "message"),
    [
        ("zmq+push://:5555", Role.SOURCE, "its counterpart is zmq\\+pull"),
        ("zmq+req://:5555", Role.SINK, "its counterpart is zmq\\+rep"),
        ("x.cf32", Role.SOURCE, "no source of samples; write -, fifo:PATH"),
        ("tcp://:5555", Role.SINK, "no sink of samples"),
        ("-:x", Role.SINK, "no sink of samples"),
        ("udp://127.0.0.1", Role.SOURCE, "needs a port"),
        ("udp://:0", Role.SOURCE, "needs a port"),
        ("udp:127.0.0.1:4000", Role.SOURCE, "needs a port"),
        ("udp://:99999", Role.SOURCE, "out of range"),
        ("fifo:", Role.SOURCE, "names no pipe"),
        ("-?format=cf64", Role.SINK, "cf32 or ci16, not 'cf64'"),
        ("udp://:4000?payload=900", Role.SOURCE, "unknown option 'payload'"),
        ("udp://:4000?payload=9", Role.SINK, "from 16 to 65507"),
        ("udp://:4000?format", Role.SINK, "unknown option 'format'; allowed are format=..."),
        ("zmq+sub://:1?bind&connect", Role.SOURCE, "not both"),
    ],
)
def test_anything_else_gets_one_line(text: str, role: Role, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_endpoint(text, role)
