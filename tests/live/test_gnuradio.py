"""GNU Radio at both ends: its flowgraphs run in processes of the system's Python."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.channel import load_channel
from phyemu.channel.emulate import emulate_recording
from phyemu.iq import open_recording, write_recording
from phyemu.live import (
    LiveEnd,
    Role,
    ScheduledChannel,
    open_sink,
    open_source,
    parse_endpoint,
    parse_schedule,
    run_live,
)

pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

pytestmark = pytest.mark.gnuradio
Samples = NDArray[np.complex64]
PEER = Path(__file__).with_name("gnuradio_peer.py")
SYSTEM_PYTHON = "/usr/bin/python3"
RATE_HZ = 20e6
POWER = 0.02
NUM_SAMPLES = 300_000


@pytest.fixture(scope="module", autouse=True)
def gnu_radio() -> None:
    """Skip where the system has no GNU Radio."""
    check = [SYSTEM_PYTHON, "-c", "import gnuradio.zeromq, gnuradio.network"]
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run(check, capture_output=True).returncode:
        pytest.skip("GNU Radio is not installed: apt-get install gnuradio")


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a flowgraph; whatever still runs in the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [SYSTEM_PYTHON, str(PEER), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Samples]:
    """Return a file of samples, and what `phyemu emulate` makes of them."""
    folder = tmp_path_factory.mktemp("gnuradio")
    parts = np.random.default_rng(7).standard_normal((NUM_SAMPLES, 2)) * 0.1
    iq = (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)
    iq.tofile(folder / "tx.cf32")
    path = write_recording(
        folder / "tx.sigmf-meta",
        iq,
        sample_rate_hz=RATE_HZ,
        datatype="cf32_le",
        global_fields={"phyemu:reference_power": POWER},
    )
    with open_recording(path) as recording:
        model = load_channel("tgn-d:15")
        written = emulate_recording(recording, model, folder / "rx.sigmf-meta", seed=5)
    with open_recording(written.output) as received:
        return folder / "tx.cf32", received.read().copy()


def emulate(source: str, sink: str, **ending: float) -> LiveEnd:
    """Run the emulator between two sockets until all samples have passed."""
    channel = ScheduledChannel(
        parse_schedule("tgn-d:15"),
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=POWER,
        seed=5,
    )
    with (
        open_source(parse_endpoint(source, Role.SOURCE)) as samples,
        open_sink(parse_endpoint(sink, Role.SINK)) as taken,
    ):
        result = run_live(
            samples, channel, taken, sample_rate_hz=RATE_HZ, reference_power=POWER, **ending
        )
    assert not result.dropped
    return result.ended_by


@pytest.mark.parametrize(
    ("sender", "source", "sink", "receiver"),
    [("push", "pull", "push", "pull"), ("pub", "sub", "pub", "sub"), ("rep", "req", "rep", "req")],
)
def test_a_flowgraph_hears_what_phyemu_emulate_writes(
    start: Callable[..., subprocess.Popen[str]],
    free_port: Callable[[], int],
    sent: tuple[Path, Samples],
    tmp_path: Path,
    sender: str,
    source: str,
    sink: str,
    receiver: str,
) -> None:
    path, expected = sent
    ports = free_port(), free_port()
    listening = start("receive", receiver, ports[1], tmp_path / "rx.cf32", NUM_SAMPLES)
    start("send", sender, ports[0], path)
    ended_by = emulate(
        f"zmq+{source}://:{ports[0]}",
        f"zmq+{sink}://:{ports[1]}",
        duration_s=NUM_SAMPLES / RATE_HZ,
    )
    listening.communicate(timeout=30)
    assert ended_by is LiveEnd.COMPLETE
    assert np.array_equal(np.fromfile(tmp_path / "rx.cf32", np.complex64), expected)


def test_datagrams_of_a_flowgraph_have_the_numbers_we_expect(
    start: Callable[..., subprocess.Popen[str]],
    free_port: Callable[[], int],
    sent: tuple[Path, Samples],
) -> None:
    path, _ = sent
    port = free_port()
    with open_source(parse_endpoint(f"udp://:{port}?sequence", Role.SOURCE)) as source:
        start("send", "udp", port, path)
        parts = []
        for _ in range(400):
            part = source.receive(0.05)
            assert part is not None
            parts.append(part)
            if sum(map(len, parts)) == NUM_SAMPLES:
                break
        received = np.concatenate(parts)
        # A busy machine may lose datagrams; then the numbers must say how many of 1000 samples.
        lost = source.counts.lost_messages
        assert not source.counts.dropped
    expected = np.fromfile(path, np.complex64)
    assert lost is not None
    if lost == 0:
        assert np.array_equal(received, expected[: len(received)])
    assert len(received) + 1000 * lost >= NUM_SAMPLES - 1000
