"""Scenarios as channels: their steps in order, from the first one on."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.channel import ChannelStream, ImpulseResponse
from phyemu.colosseum import (
    Scenario,
    ScenarioLink,
    load_channel_or_link,
    save_scenario,
    scenario_network,
)
from phyemu.errors import ConfigError
from phyemu.iq import open_recording, write_recording

RATE_HZ = 1e6
STEP = 1000  # samples of one step


def response(num_steps: int) -> ImpulseResponse:
    """Return a link of two taps, 3 us apart, each step of its own."""
    steps = torch.arange(1, num_steps + 1, dtype=torch.float32)
    gains = torch.stack([steps / 10 + 0j, 0.3j * steps], dim=1).to(torch.complex64)
    return ImpulseResponse(gains, torch.tensor([0.0, 3e-6], dtype=torch.float64), 1e-3)


def played(link: ScenarioLink, num_samples: int, block: int) -> np.ndarray:
    stream = ChannelStream(
        link, sample_rate_hz=RATE_HZ, symbol_rate_hz=RATE_HZ, reference_power=1.0, seed=0
    )
    ones = np.ones(num_samples, np.complex64)
    parts = [stream.process(ones[begin : begin + block]) for begin in range(0, num_samples, block)]
    return np.concatenate([*parts, stream.flush()])[stream.latency_samples :]


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("block", [997, 5000])
def test_steps_are_played_in_order_and_then_repeat_or_hold(repeats: bool, block: int) -> None:
    link = ScenarioLink(name="x", response=response(3), repeats=repeats)
    heard = played(link, 8 * STEP, block)
    order = [1, 2, 3, 1, 2, 3, 1, 2] if repeats else [1, 2, 3, 3, 3, 3, 3, 3]
    for index, step in enumerate(order):
        # The first samples of a step still have echoes of the one before.
        inside = heard[index * STEP + 4 : (index + 1) * STEP]
        np.testing.assert_allclose(inside, step * (0.1 + 0.3j), rtol=1e-5)


def test_an_hour_later_it_is_still_at_the_right_step() -> None:
    link = ScenarioLink(name="x", response=response(7))
    realisation = link.realise(symbol_rate_hz=1e6, generator=torch.Generator())
    times_s = (torch.arange(20, dtype=torch.float64) + 3_600_000 + 0.5) / 1e3
    expected = (torch.arange(20) + 3_600_000) % 7 + 1
    torch.testing.assert_close(realisation.gains(times_s)[:, 0].real * 10, expected.float())


def test_an_snr_scales_the_link_to_mean_power_one() -> None:
    link = ScenarioLink(name="x", response=response(3), snr_db=20.0)
    heard = played(link, 300 * STEP, 5000)
    # For a constant input both taps add up; their powers are 0.01 and 0.09 of the sum of squares.
    gains = np.abs(response(3).gains.sum(dim=1).numpy()) ** 2
    scale = float(response(3).powers().sum())
    # 300 000 noise samples of variance 0.01: the mean power is off by 1e-4 of it or so.
    assert np.mean(np.abs(heard) ** 2) == pytest.approx(gains.mean() / scale + 0.01, abs=2e-3)


def scenario(tmp_path: Path) -> Path:
    links = {(1, 2): response(3), (2, 1): response(3), (3, 2): response(1)}
    made = Scenario(
        name="mine",
        description="three nodes",
        center_frequency_hz=1e9,
        bandwidth_hz=1e6,
        num_nodes=3,
        links=links,
    )
    return save_scenario(made, tmp_path / "mine.json")


def test_a_link_is_found_by_its_spec_and_what_is_wrong_gets_one_line(tmp_path: Path) -> None:
    path = scenario(tmp_path)
    link = load_channel_or_link(f"scenario:{path}:1-2:12")
    assert isinstance(link, ScenarioLink)
    assert (link.name, link.snr_db, link.response.num_steps) == ("mine:1-2", 12.0, 3)
    assert load_channel_or_link("scenario:1009:1-2").name == "1009:1-2"
    assert load_channel_or_link("awgn:3").name == "awgn:3"
    for spec, message in (
        ("scenario:1009", "write scenario:NAME:TX-RX"),
        ("scenario:1009:1-2:loud", "the SNR is a number"),
        ("scenario:1009:1-99", "no link 1-99; it has 1-2"),
        ("scenario:nowhere:1-2", "no such name"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_channel_or_link(spec)
    assert math.isinf(load_channel_or_link("scenario:1009:1-2").snr_db)  # type: ignore[attr-defined]


def test_a_scenario_is_a_network_of_its_links(tmp_path: Path) -> None:
    path = scenario(tmp_path)
    network = scenario_network(f"scenario:{path}:-70")
    assert network is not None
    assert [(link.transmitter, link.receiver) for link in network.links] == [
        ("1", "2"),
        ("2", "1"),
        ("3", "2"),
    ]
    assert network.nodes["2"].noise_dbfs == -70.0
    assert scenario_network("net.toml") is None
    with pytest.raises(ConfigError, match="NOISE_DBFS"):
        scenario_network("scenario:1009:quiet")


def test_emulate_takes_a_scenario_as_network_and_as_channel_live_or_not(tmp_path: Path) -> None:
    path = scenario(tmp_path)
    rng = np.random.default_rng(4)
    iq = rng.standard_normal((2, 6500, 2)).view(np.complex128)[..., 0].astype(np.complex64) * 0.1
    sent = [
        write_recording(
            tmp_path / f"tx{index}.sigmf", samples, sample_rate_hz=RATE_HZ, datatype="cf32_le"
        )
        for index, samples in enumerate(iq)
    ]

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(main, ["emulate", *map(str, arguments), "--quiet"])
        assert result.exit_code == 0, result.output
        return result.stdout

    heard = tmp_path / "heard.sigmf"
    network = ("--network", f"scenario:{path}")
    answer = json.loads(
        run(
            *("--live", f"1={sent[0]}", "--live", f"3={sent[1]}", "-o", f"2={heard}"),
            *(*network, "--json"),
        )
    )
    assert answer["nodes"]["2"]["num_sent"] == 6500
    run("--node", f"1={sent[0]}", "--node", f"3={sent[1]}", *network, "-o", tmp_path / "b.sigmf")
    # By hand: link 1-2 changes each 1000 samples, 3-2 does not; delays are 0 and 3 samples.
    expected = np.zeros(6500, np.complex128)
    time = np.arange(6500)
    for samples, steps in ((iq[0], (time // STEP) % 3 + 1), (iq[1], np.ones(6500))):
        expected += samples * steps * 0.1
        expected[3:] += samples[:-3] * (steps * 0.3j)[3:]
    for written in (heard, tmp_path / "b.sigmf"):
        with open_recording(written) as recording:
            np.testing.assert_allclose(recording.read(), expected, atol=1e-5)
    run(
        "--live",
        sent[0],
        "--channel",
        f"0s=scenario:{path}:3-2,2ms=scenario:{path}:1-2",
        "-o",
        tmp_path / "c.sigmf",
    )
    with open_recording(tmp_path / "c.sigmf") as recording:
        got = recording.read()
    # The second channel begins with its first step, 2 ms into the stream.
    steps = (np.arange(4500) // STEP) % 3 + 1
    late = iq[0][2000:] * steps * 0.1
    late[3:] += iq[0][2000:-3] * (steps * 0.3j)[3:]
    np.testing.assert_allclose(got[2000:], late, atol=1e-5)
