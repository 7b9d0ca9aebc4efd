"""Recordings through a network of nodes."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from phyemu.channel import ChannelNetwork, load_channel
from phyemu.channel.emulate_network import NetworkEmulation, emulate_network
from phyemu.channel.network_settings import LinkSettings, NetworkSettings, NodeSettings
from phyemu.errors import ConfigError, RecordingError
from phyemu.iq import Annotation, open_recording, write_recording

RATE_HZ = 20e6
NETWORK = NetworkSettings(
    links=(
        LinkSettings(transmitter="a", receiver="x", channel="tgn-b:20"),
        LinkSettings(transmitter="b", receiver="x", channel="awgn:30", gain_db=-6.0),
        LinkSettings(transmitter="b", receiver="y", channel="awgn:30"),
        LinkSettings(transmitter="c", receiver="z", channel="awgn:30"),
    ),
    nodes={"x": NodeSettings(noise_dbfs=-45.0, cfo_hz=500.0)},
)


def samples(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * (rng.standard_normal(count) + 1j * rng.standard_normal(count))).astype(
        np.complex64
    )


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """Return a long recording and a short one, without and with metadata of ours."""
    return {
        "a": write_recording(
            tmp_path / "a.sigmf", samples(30_000, 1), sample_rate_hz=RATE_HZ, datatype="cf32_le"
        ),
        "b": write_recording(
            tmp_path / "b.sigmf",
            samples(20_000, 2),
            sample_rate_hz=RATE_HZ,
            datatype="cf32_le",
            global_fields={"phyemu:reference_power": 0.02},
            annotations=[Annotation(sample_start=4096, sample_count=100, label="frame")],
        ),
    }


def emulate(sources: dict[str, Path], output: str, **settings: object) -> NetworkEmulation:
    with ExitStack() as stack:
        recordings = {
            name: stack.enter_context(open_recording(path)) for name, path in sources.items()
        }
        arguments = {"settings": NETWORK, "seed": 3} | settings
        return emulate_network(recordings, output=output, **arguments)


def test_each_receivers_file_holds_what_the_network_gives(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    emulation = emulate(sources, str(tmp_path / "rx_{node}.sigmf"), num_threads=2)
    assert emulation.outputs == {name: tmp_path / f"rx_{name}.sigmf" for name in "xy"}
    assert emulation.silent == ("c",)
    assert emulation.heard == {"x": ("a", "b"), "y": ("b",)}
    reference = {name: level.power for name, level in emulation.references.items()}
    assert reference["b"] == 0.02
    assert reference["a"] == pytest.approx(0.02, rel=5 / 30_000**0.5)
    network = ChannelNetwork(
        {
            ("a", "x"): load_channel("tgn-b:20"),
            ("b", "x"): load_channel("awgn:30"),
            ("b", "y"): load_channel("awgn:30"),
        },
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=reference,
        gains_db={("b", "x"): -6.0},
        noise_dbfs={"x": -45.0},
        front_ends={"x": NETWORK.nodes["x"].front_end},
        seed=3,
    )
    late = network.latency_samples
    sent = {"a": samples(30_000, 1), "b": np.pad(samples(20_000, 2), (0, 10_000))}
    sent = {name: np.pad(iq, (0, late)) for name, iq in sent.items()}
    for name, expected in network.process(sent).items():
        with open_recording(emulation.outputs[name]) as received:
            assert received.read().tobytes() == expected[late:].tobytes()
            (annotation,) = received.annotations
            assert (annotation.sample_start, annotation.label) == (4096, "frame")
            assert annotation.fields["phyemu:transmitter"] == "b"
            # Only what all that are heard agree on is kept.
            assert ("phyemu:reference_power" in received.global_fields) == (name == "y")


@pytest.mark.parametrize(
    ("names", "output", "message"),
    [
        (("a", "b"), "rx.sigmf", "put {node} into the name"),
        (("a", "d"), "rx_{node}.sigmf", "no link begins at a node 'd'"),
        ((), "rx_{node}.sigmf", "nobody sends anything; the transmitters are a, b, c"),
    ],
)
def test_bad_wishes_are_refused(
    sources: dict[str, Path], tmp_path: Path, names: tuple[str, ...], output: str, message: str
) -> None:
    given = dict(zip(names, sources.values(), strict=False))
    with pytest.raises(ConfigError, match=message):
        emulate(given, str(tmp_path / output))


def test_differing_rates_are_refused(sources: dict[str, Path], tmp_path: Path) -> None:
    other = write_recording(
        tmp_path / "slow.sigmf", samples(100, 1), sample_rate_hz=1e6, datatype="cf32_le"
    )
    with pytest.raises(ConfigError, match="a 20 MHz, b 1 MHz"):
        emulate(sources | {"b": other}, str(tmp_path / "rx_{node}.sigmf"))


def test_existing_output_is_kept(sources: dict[str, Path], tmp_path: Path) -> None:
    output = str(tmp_path / "rx_{node}.sigmf")
    emulate(sources, output)
    with pytest.raises(RecordingError, match="exists already"):
        emulate(sources, output)
    emulate(sources, output, force=True)
