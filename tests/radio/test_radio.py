"""What a caller may rely on with every radio: it cannot tell them apart."""

import socket
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from phyemu.channel import Awgn
from phyemu.errors import ConfigError, RadioError, SignalError
from phyemu.iq import Recording, write_recording
from phyemu.live import SocketRadio
from phyemu.radio import EmulatedRadio, Radio, RecordedRadio, UsrpConfig, UsrpRadio

RATE = 1e6
Make = Callable[[], Radio]


@pytest.fixture
def air() -> Iterator[Callable[[np.ndarray], int]]:
    """Return a function that sends samples to a port, as soon as a radio listens there."""
    zmq: Any = pytest.importorskip("zmq", reason="pyzmq is not installed")
    context = zmq.Context()
    pushed = []

    def push(iq: np.ndarray) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        pushed.append(context.socket(zmq.PUSH))
        pushed[-1].connect(f"tcp://127.0.0.1:{port}")
        for part in np.split(iq, [100, 101, 2000]):
            pushed[-1].send(part.tobytes())
        return port

    yield push
    for sender in pushed:
        sender.close(linger=0)
    context.term()


@pytest.fixture(params=["usrp", "emulated", "recorded", "socket"])
def make(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    fake_uhd: ModuleType,
    opened: Callable[[Path], Recording],
    air: Callable[[np.ndarray], int],
) -> Make:
    """Return a function that opens the same radio afresh."""

    def usrp() -> Radio:
        return UsrpRadio(
            UsrpConfig(sample_rate_hz=RATE, center_frequency_hz=2.4e9), uhd=fake_uhd.FakeUhd()
        )

    def emulated() -> Radio:
        return EmulatedRadio(
            Awgn(20.0),
            sample_rate_hz=RATE,
            symbol_rate_hz=RATE,
            reference_power=0.01,
            seed=3,
            center_frequency_hz=2.4e9,
        )

    rng = np.random.default_rng(1)
    iq = 0.1 * (rng.standard_normal(5000) + 1j * rng.standard_normal(5000)).astype(np.complex64)

    def recorded() -> Radio:
        path = write_recording(
            tmp_path / "radio.sigmf",
            iq,
            sample_rate_hz=RATE,
            center_frequency_hz=2.4e9,
            force=True,
        )
        return RecordedRadio(opened(path))

    def by_socket() -> Radio:
        return SocketRadio(
            send="zmq+push://:9?connect",
            receive=f"zmq+pull://:{air(iq)}?bind",
            sample_rate_hz=RATE,
            center_frequency_hz=2.4e9,
        )

    radios = {"usrp": usrp, "emulated": emulated, "recorded": recorded, "socket": by_socket}
    return radios[request.param]


def test_it_says_what_it_is_and_how_it_is_set(make: Make) -> None:
    with make() as radio:
        assert isinstance(radio, Radio)
        assert radio.name
        assert radio.sample_rate_hz == RATE
        assert radio.center_frequency_hz == pytest.approx(2.4e9)
        assert radio.num_channels == 1
        assert isinstance(radio.live, bool)
        assert all(":" in key for key in radio.metadata())


def receive(radio: Radio, sizes: Iterable[int], total: int) -> np.ndarray:
    """Ask for blocks of `sizes` until `total` samples have come, each where it belongs."""
    blocks: list[np.ndarray] = []
    received = 0
    for size in sizes:
        block = radio.receive(min(size, total - received))
        assert block.iq.dtype == np.complex64
        assert 1 <= block.num_samples <= size
        assert block.sample_index == received
        assert block.lost_samples == 0
        assert block.event is None
        blocks.append(block.iq)
        received += block.num_samples
        if received == total:
            break
    return np.concatenate(blocks, axis=1)


def test_samples_do_not_depend_on_how_they_are_asked_for(make: Make) -> None:
    with make() as radio:
        whole = receive(radio, repeat(3000), 3000)
    with make() as radio:
        parts = receive(radio, cycle([1, 7, 999, 20, 500]), 3000)
    assert whole.shape == (1, 3000)
    np.testing.assert_array_equal(parts, whole)


def test_samples_go_into_the_memory_of_the_caller(make: Make) -> None:
    out = np.zeros((1, 200), np.complex64)
    with make() as radio:
        block = radio.receive(100, out)
    with make() as radio:
        fresh = radio.receive(100)
    assert np.shares_memory(block.iq, out)
    np.testing.assert_array_equal(out[:, :100], fresh.iq)
    np.testing.assert_array_equal(out[:, 100:], 0)


@pytest.mark.parametrize(
    ("num_samples", "out"),
    [
        (0, None),
        (10, np.zeros((1, 9), np.complex64)),
        (10, np.zeros((2, 10), np.complex64)),
        (10, np.zeros((1, 10), np.complex128)),
        (10, np.zeros((1, 20), np.complex64)[:, ::2]),
    ],
)
def test_memory_that_does_not_fit_is_refused(make: Make, num_samples: int, out: object) -> None:
    with make() as radio, pytest.raises(SignalError):
        radio.receive(num_samples, out)  # type: ignore[arg-type]


def test_a_closed_radio_refuses_and_closing_twice_does_nothing(make: Make) -> None:
    radio = make()
    radio.receive(10)
    radio.close()
    radio.close()
    with pytest.raises(RadioError, match="closed"):
        radio.receive(10)
    with pytest.raises(RadioError):
        radio.transmit(np.zeros(10, np.complex64))


def test_it_is_tuned_or_says_that_it_cannot_be(make: Make) -> None:
    with make() as radio:
        radio.receive(100)
        if isinstance(radio, RecordedRadio):
            with pytest.raises(RadioError, match="cannot be tuned"):
                radio.retune(1e9)
            return
        radio.retune(1e9)
        assert radio.center_frequency_hz == pytest.approx(1e9)
        with pytest.raises(ConfigError, match="center_frequency_hz must not be negative, got -1"):
            radio.retune(-1.0)
        assert radio.receive(100).num_samples
    with pytest.raises(RadioError, match="closed"):
        radio.retune(1e9)
