"""Many nodes: sums of links, one noise per receiver, one oscillator per node."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from phyemu.channel import (
    Awgn,
    ChannelModel,
    ChannelNetwork,
    ChannelStream,
    DelayProfile,
    Distribution,
    FrontEnd,
    NoiseLevel,
    TappedDelayLine,
    stream_bank,
    stream_kernel,
    tgn,
)
from phyemu.channel.network import seed_of
from phyemu.errors import ConfigError, SignalError

RATE_HZ = 20e6
SETTINGS: dict[str, Any] = {
    "sample_rate_hz": RATE_HZ,
    "symbol_rate_hz": 10e6,
    "reference_power": 0.02,
    "seed": 7,
    "interval_s": 1e-4,
}
FULL = FrontEnd(
    cfo_hz=Distribution.constant(-7e3),
    sfo_ppm=Distribution.constant(4.0),
    linewidth_hz=Distribution.constant(100.0),
    iq_gain_db=Distribution.constant(0.3),
    iq_phase_rad=Distribution.constant(0.02),
    dc_offset=Distribution.constant(0.01),
    clip_level=0.9,
)


def line(snr_db: float, *delays_ns: float, front_end: FrontEnd | None = None) -> TappedDelayLine:
    powers = [0.5**path for path in range(len(delays_ns))]
    return TappedDelayLine(
        profile=DelayProfile(
            name="line",
            delays_s=tuple(1e-9 * delay for delay in delays_ns),
            powers=tuple(power / sum(powers) for power in powers),
            k_factor=(0.0,) * len(delays_ns),
        ),
        noise=NoiseLevel.of_snr_db(snr_db),
        doppler_hz=50.0,
        front_end=front_end or FrontEnd(),
    )


# Taps on the grid, fractional ones, by lag; carriers that turn, clocks that differ, no noise.
LINKS: dict[tuple[str, str], ChannelModel] = {
    ("a", "x"): line(12.0, 0, 100, 300),
    ("b", "x"): line(20.0, 13, 177, front_end=FULL),
    ("c", "x"): tgn("D", snr_db=15.0, doppler_hz=80.0),
    ("a", "y"): Awgn(25.0),
    ("c", "y"): line(math.inf, 40),
    ("a", "b"): line(
        10.0, 0, 33, front_end=dataclasses.replace(FULL, sfo_ppm=Distribution.constant(0.0))
    ),
}


def signal(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count) + 1j * rng.standard_normal(count)
    return (0.1 * x).astype(np.complex64)


def signals(network: ChannelNetwork, count: int) -> dict[str, np.ndarray]:
    return {name: signal(count, index) for index, name in enumerate(network.transmitters)}


@pytest.mark.parametrize("model", [LINKS["a", "x"], LINKS["b", "x"], LINKS["c", "x"], Awgn(3.0)])
def test_one_link_equals_the_stream_bit_for_bit(model: ChannelModel) -> None:
    network = ChannelNetwork({("a", "b"): model}, **SETTINGS)
    settings = {key: value for key, value in SETTINGS.items() if key != "seed"}
    stream = ChannelStream.of_realisation(
        network.realisations["a", "b"], **settings, seed=seed_of(7, "node", "b")
    )
    x = signal(50_000, 1)
    assert network.latency_samples == stream.latency_samples
    assert network.noise_variances["b"] == stream.noise_variance
    assert network.process({"a": x})["b"].tobytes() == stream.process(x).tobytes()


def test_output_is_bit_identical_for_any_blocks_and_threads() -> None:
    count = 60_000
    whole = ChannelNetwork(LINKS, **SETTINGS)
    sent = signals(whole, count)
    # A pause of one transmitter: its links are left out while nothing of it is heard.
    sent["a"][9_000:40_000] = 0
    expected = whole.process(sent)
    rng = np.random.default_rng(1)
    for threads in (1, 2, 3):
        network = ChannelNetwork(LINKS, **SETTINGS, num_threads=threads)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in network.receivers}
        done = 0
        while done < count:
            step = int(rng.choice([0, 1, 63, 1000, 4097, 30_000]))
            heard = network.process({name: x[done : done + step] for name, x in sent.items()})
            for name, samples in heard.items():
                parts[name].append(samples)
            done += step
        for name, samples in expected.items():
            assert np.concatenate(parts[name]).tobytes() == samples.tobytes()


def test_what_a_receiver_hears_is_the_sum_of_what_it_hears_of_each() -> None:
    links = {
        pair: dataclasses.replace(model, noise=NoiseLevel.of_snr_db(math.inf))
        for pair, model in LINKS.items()
        if isinstance(model, TappedDelayLine)
    }
    # An ideal converter: clipping and DC are no sums.
    radios = {"x": FrontEnd(), "y": FrontEnd(), "b": FrontEnd()}
    networks = [ChannelNetwork(links, **SETTINGS, front_ends=radios) for _ in range(4)]
    sent = signals(networks[0], 40_000)
    together = networks[0].process(sent)
    alone = [
        network.process({name: sent[name]})
        for network, name in zip(networks[1:], sent, strict=True)
    ]
    for receiver, heard in together.items():
        total = sum(each[receiver].astype(np.complex128) for each in alone)
        # Sums of a few float32 of magnitude 1.
        np.testing.assert_allclose(heard, total, atol=1e-6)
        assert np.abs(heard).max() > 0.05


@pytest.mark.parametrize("num_links", [1, 5])
def test_noise_is_the_receivers_once(num_links: int) -> None:
    n = 400_000
    links = {(f"t{index}", "r"): Awgn(12.0 + index) for index in range(num_links)}
    network = ChannelNetwork(links, **SETTINGS)
    noise = network.process({"t0": np.zeros(n, np.complex64)})["r"]
    # The first link keeps its gain: the noise is its own.
    expected = 0.02 * 2 / 10**1.2
    assert network.noise_variances["r"] == pytest.approx(expected)
    assert np.mean(np.abs(noise) ** 2, dtype=np.float64) == pytest.approx(expected, rel=5 / n**0.5)


def test_every_link_has_its_snr_at_the_receivers_noise() -> None:
    n = 200_000
    links = {("a", "r"): Awgn(10.0), ("b", "r"): Awgn(25.0), ("c", "r"): Awgn(math.inf)}
    network = ChannelNetwork(
        links, **SETTINGS, noise_dbfs=-40.0, gains_db={("b", "r"): -5.0, ("c", "r"): -2.0}
    )
    assert network.noise_variances == {"r": pytest.approx(1e-4)}
    tone = np.full(n, math.sqrt(0.02), np.complex64)
    # Mean sample power 0.02 at two samples a symbol: SNR of the samples is half the symbols'.
    for name, snr_db in (("a", 10.0), ("b", 20.0)):
        mean = network.process({name: tone})["r"].mean(dtype=np.complex128)
        expected = 1e-4 / 2 * 10 ** (snr_db / 10)
        assert abs(mean) ** 2 == pytest.approx(expected, rel=20 * (1e-4 / n / expected) ** 0.5)
    assert network.amplitudes["c", "r"] == pytest.approx(10 ** (-2 / 20))


def test_another_link_changes_no_other() -> None:
    few = {pair: LINKS[pair] for pair in [("a", "x"), ("c", "y")]}
    more = {**few, ("z", "x"): Awgn(math.inf), ("b", "x"): LINKS["b", "x"]}
    radio = {"a": FrontEnd(cfo_hz=Distribution.uniform(-1e3, 1e3))}
    networks = [ChannelNetwork(links, **SETTINGS, front_ends=radio) for links in (few, more)]
    x = signal(30_000, 3)
    first, second = (network.process({"a": x})["x"] for network in networks)
    lag = networks[1].latency_samples - networks[0].latency_samples
    assert lag > 0
    assert second[lag:].tobytes() == first[: len(x) - lag].tobytes()


def test_oscillators_belong_to_the_nodes() -> None:
    radios = {
        name: FrontEnd(
            cfo_hz=Distribution.uniform(-5e3, 5e3), linewidth_hz=Distribution.constant(2e3)
        )
        for name in "abc"
    }
    ideal = Awgn(math.inf)
    links = {pair: ideal for pair in itertools.permutations("abc", 2)}
    n = 100_000
    tone = np.ones(n, np.complex64)
    network = ChannelNetwork(links, **SETTINGS, front_ends=radios)
    phase = {}
    for sender, listener in (("a", "b"), ("b", "c"), ("c", "a"), ("b", "a")):
        heard = ChannelNetwork(links, **SETTINGS, front_ends=radios).process({sender: tone})
        phase[sender, listener] = heard[listener].astype(np.complex128)
    # Around a triangle, and there and back, all offsets and walks cancel.
    around = phase["a", "b"] * phase["b", "c"] * phase["c", "a"]
    np.testing.assert_allclose(around, 1, atol=3e-6)
    np.testing.assert_allclose(phase["a", "b"] * phase["b", "a"], 1, atol=2e-6)
    # And they are there: a walk of 2 x 2 kHz has turned far from the carrier offset's line.
    turned = np.unwrap(np.angle(phase["a", "b"]))
    place = np.arange(n)
    slope, offset = np.polyfit(place, turned, 1)
    assert np.std(turned - (slope * place + offset)) > 0.1
    assert network.num_samples == 0


def test_the_converter_acts_once_behind_the_sum() -> None:
    links = {("a", "r"): Awgn(math.inf), ("b", "r"): Awgn(math.inf)}
    radios = {"r": FrontEnd(clip_level=0.5, dc_offset=Distribution.constant(0.1))}
    network = ChannelNetwork(links, **SETTINGS, front_ends=radios)
    x = np.full(100, 0.3 - 0.3j, np.complex64)
    heard = network.process({"a": x, "b": x})["r"]
    offset = network.process({"a": 0 * x})["r"][0]
    assert abs(offset) == pytest.approx(0.1)
    both = 0.6 - 0.6j + offset
    clipped = complex(np.clip(both.real, -0.5, 0.5), np.clip(both.imag, -0.5, 0.5))
    np.testing.assert_allclose(heard, clipped, atol=1e-6)


def test_absent_and_silent_links_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def counted(yr: np.ndarray, yi: np.ndarray, *arguments: Any) -> None:
        yr[:], yi[:] = 0, 0
        computed.append(arguments[4])

    monkeypatch.setattr(stream_kernel, "_multipath", counted)
    monkeypatch.setattr(stream_kernel, "_receive", stream_kernel._receive.py_func)
    monkeypatch.setattr(stream_bank, "receive", stream_kernel.receive.py_func)
    for num_links in (1, 3, 12):
        pairs = list(itertools.permutations("abcd", 2))[:num_links]
        network = ChannelNetwork(dict.fromkeys(pairs, Awgn(20.0)), **SETTINGS)
        x = signal(100, 1)
        computed.clear()
        network.process(dict.fromkeys(network.transmitters, x))
        assert len(computed) == num_links
        computed.clear()
        network.process({"a": 0 * x})  # what was sent before is still in the history
        assert len(computed) == num_links
        computed.clear()
        network.process({"a": np.zeros(200, np.complex64)})
        network.process({"a": x})
        assert len(computed) == sum(sender == "a" for sender, _ in pairs)


def test_flush_returns_what_is_due() -> None:
    network = ChannelNetwork({("a", "r"): line(math.inf, 13.0)}, **SETTINGS)
    x = signal(1000, 1)
    heard = [network.process({"a": x})["r"], network.flush()["r"]]
    assert len(heard[1]) == network.latency_samples > 0
    assert np.abs(heard[1]).max() > 0.01


def test_a_refused_block_changes_nothing() -> None:
    networks = [ChannelNetwork(LINKS, **SETTINGS) for _ in range(2)]
    sent = signals(networks[0], 3000)
    broken = {name: x.copy() for name, x in sent.items()}
    broken["c"][44] = complex(math.nan, 0)
    with pytest.raises(SignalError, match="sample 44 is not finite"):
        networks[0].process(broken)
    first, second = (network.process(sent) for network in networks)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.mark.parametrize(
    ("sent", "error", "message"),
    [
        ({"q": signal(4, 1)}, ConfigError, "'q'.*there are a, b, c"),
        ({"a": signal(4, 1), "b": signal(5, 1)}, SignalError, r"equally many samples.*\[4, 5\]"),
        ({}, SignalError, "equally many"),
        ({"a": np.zeros((1, 4), np.complex64)}, SignalError, "a: iq must be complex"),
    ],
)
def test_bad_input_is_refused(sent: dict[str, np.ndarray], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ChannelNetwork(LINKS, **SETTINGS).process(sent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate_hz": math.inf}, "sample_rate_hz"),
        ({"symbol_rate_hz": 0.0}, "symbol_rate_hz"),
        ({"symbol_rate_hz": {"a": 1e6, "b": 1e6}}, "symbol_rate_hz is missing for c"),
        ({"reference_power": -1.0}, "reference_power"),
        ({"interval_s": 0.0}, "interval_s"),
        ({"num_threads": 0}, "num_threads"),
        ({"gains_db": {("x", "a"): 1.0}}, "no link x to a"),
        ({"gains_db": {("a", "x"): -math.inf}}, "leave an absent link out"),
        ({"noise_dbfs": {"z": -40.0}}, "noise_dbfs: no node 'z'"),
        ({"noise_dbfs": -math.inf}, "noise_dbfs of x must be from -400 to 400 dB, got -inf"),
        ({"front_ends": {"aa": FrontEnd()}}, "did you mean a"),
        ({"front_ends": {"a": FrontEnd(sfo_ppm=Distribution.constant(900.0))}}, "link a to x: sfo"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChannelNetwork(LINKS, **(SETTINGS | change))


def test_a_network_without_links_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one link"):
        ChannelNetwork({}, **SETTINGS)


def test_seeds_depend_on_seed_kind_and_names() -> None:
    seeds = {
        seed_of(seed, kind, *names)
        for seed in range(20)
        for kind in ("link", "node")
        for names in (("a",), ("b",), ("a", "b"), ("b", "a"), ("ab",))
    }
    assert len(seeds) == 200
    assert all(torch.Generator().manual_seed(seed) is not None for seed in seeds)
