"""Datagrams on loopback."""

import socket
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.live import Role, open_sink, open_source, parse_endpoint
from phyemu.live.udp import DatagramSequence, UdpSource

Samples = NDArray[np.complex64]


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """Return a socket with an address of its own that waits two seconds, at most."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(2.0)
        yield peer


def test_datagrams_are_samples_and_losses_are_not_visible(
    peer: socket.socket, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    with open_source(parse_endpoint(f"udp://:{port}?format=ci16", Role.SOURCE)) as source:
        assert len(source.receive(0.0)) == 0  # type: ignore[arg-type]
        peer.sendto(np.array([16384, -8192, 0, 1], "<i2").tobytes(), ("127.0.0.1", port))
        peer.sendto(b"odd", ("127.0.0.1", port))
        peer.sendto(b"", ("127.0.0.1", port))
        parts = []
        while sum(source.counts.dropped.values()) < 2:
            parts.append(source.receive(1.0))
        assert np.concatenate(parts).tolist() == [0.5 - 0.25j, 2**-15 * 1j]
        assert dict(source.counts.dropped) == {"no whole samples": 1, "empty": 1}
        assert source.counts.lost_messages is None


@given(numbers=st.lists(st.integers(0, 30), max_size=30))
def test_every_number_is_taken_once_and_in_order_and_the_rest_is_counted(
    numbers: list[int],
) -> None:
    sequence = DatagramSequence()
    taken = [number for number in numbers if sequence.accept(number)]
    assert taken == sorted(set(taken))
    # What was lost lies between the first and the last and was not taken.
    span = taken[-1] - taken[0] + 1 if taken else 0
    assert sequence.num_lost == span - len(taken)


@pytest.mark.parametrize("number", [1, 2**64 - 1])
def test_a_sender_that_begins_anew_is_no_loss(number: int) -> None:
    sequence = DatagramSequence()
    assert sequence.accept(100_000)
    assert sequence.accept(number)
    assert sequence.num_lost == 0


def test_lost_and_late_datagrams_are_counted(
    peer: socket.socket, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    with open_source(parse_endpoint(f"udp://:{port}?sequence", Role.SOURCE)) as source:
        for number in (1, 2, 5, 4, 6):
            samples = np.full(3, number, np.complex64)
            peer.sendto(number.to_bytes(8, "little") + samples.tobytes(), ("127.0.0.1", port))
        peer.sendto(b"short", ("127.0.0.1", port))
        parts = []
        while not source.counts.dropped["no sequence number"]:
            parts.append(source.receive(1.0))
        assert np.concatenate(parts).real.tolist() == [1] * 3 + [2] * 3 + [5] * 3 + [6] * 3
        assert source.counts.lost_messages == 2
        assert dict(source.counts.dropped) == {"late or twice": 1, "no sequence number": 1}
        assert source.counts.dropped_samples == 3


@pytest.mark.parametrize("options", ["?payload=808", "?payload=808&sequence"])
def test_a_sink_sends_datagrams_of_one_size_and_the_rest_at_the_end(
    peer: socket.socket, iq: Samples, options: str
) -> None:
    endpoint = parse_endpoint(f"udp://127.0.0.1:{peer.getsockname()[1]}{options}", Role.SINK)
    with open_sink(endpoint) as sink:
        assert sink.send(iq[:250], 1.0) == 250
        assert sink.send(iq[250:520], 1.0) == 270
        assert sink.finish(1.0)
        datagrams = [peer.recv(65_536) for _ in range(6)]
    head = 8 if "sequence" in options else 0
    whole = 101 if not head else 100
    numbers = [int.from_bytes(datagram[:head], "little") for datagram in datagrams]
    assert numbers == (list(range(1, 7)) if head else [0] * 6)
    assert [len(datagram) for datagram in datagrams[:5]] == [head + 8 * whole] * 5
    data = b"".join(datagram[head:] for datagram in datagrams)
    assert np.array_equal(np.frombuffer(data, np.complex64), iq[:520])


def test_a_name_that_nobody_has_and_an_address_in_use_get_one_line(peer: socket.socket) -> None:
    unknown = parse_endpoint("udp://nowhere.invalid:4000", Role.SINK)
    with pytest.raises(TransportError, match=r"nowhere.invalid is not known"), open_sink(unknown):
        pass
    taken = parse_endpoint(f"udp://127.0.0.1:{peer.getsockname()[1]}", Role.SOURCE)
    with pytest.raises(TransportError, match="cannot be bound: Address already in use"):
        UdpSource(taken)
