"""Scenarios on the command line: a link as a channel, the whole as a network, live or not."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.channel import ImpulseResponse, load_channel, with_snr
from phyemu.colosseum import (
    MchemChannel,
    Scenario,
    load_channel_or_link,
    network_of_spec,
    save_scenario,
)
from phyemu.errors import PhyemuError
from phyemu.iq import open_recording, write_recording

RATE_HZ = 1e6
STEP = 1000  # samples of one step
# Taps are held with 16 bits: each is off by 2^-16 at most, and there are two.
TAP_ERROR = 2 * 2**-16


def response(num_steps: int) -> ImpulseResponse:
    """Return a link of two taps, 3 us apart: 0.1 k and 0.3j k at step k = 1, 2, ..."""
    steps = torch.arange(1, num_steps + 1, dtype=torch.float32)
    gains = torch.stack([steps / 10 + 0j, 0.3j * steps], dim=1).to(torch.complex64)
    return ImpulseResponse(gains, torch.tensor([0.0, 3e-6], dtype=torch.float64), 1e-3)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Return a scenario of three nodes: 1>2 and 2>1 change, 3>2 does not."""
    made = Scenario(
        name="mine",
        description="three nodes",
        center_frequency_hz=1e9,
        bandwidth_hz=1e6,
        num_nodes=3,
        links={(1, 2): response(3), (2, 1): response(3), (3, 2): response(1)},
    )
    return save_scenario(made, tmp_path / "mine.json")


def through(iq: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return what a link makes of samples, step by step: delays of 0 and 3 samples."""
    heard = iq * steps * 0.1
    heard[3:] += iq[:-3] * (steps * 0.3j)[3:]
    return heard


def steps_of(num_samples: int) -> np.ndarray:
    """Return the step of every sample: 1, 2, 3, 1, ..."""
    return np.arange(num_samples) // STEP % 3 + 1


def run(*arguments: object) -> str:
    """Run `phyemu emulate` and return what it wrote to standard output."""
    result = CliRunner().invoke(main, ["emulate", *map(str, arguments), "--quiet"])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def sent(tmp_path: Path) -> tuple[np.ndarray, list[Path]]:
    """Return two streams of 6.5 ms, and the recordings of them."""
    parts = np.random.default_rng(4).standard_normal((2, 6500, 2)).astype(np.float32) * 0.1
    iq = parts.view(np.complex64)[..., 0]
    fields = {"phyemu:reference_power": 0.02}
    return iq, [
        write_recording(
            tmp_path / f"tx{index}.sigmf",
            samples,
            sample_rate_hz=RATE_HZ,
            datatype="cf32_le",
            global_fields=fields,
        )
        for index, samples in enumerate(iq)
    ]


def test_a_link_is_found_by_its_spec_and_what_is_wrong_gets_one_line(scenario: Path) -> None:
    link = load_channel_or_link(f"scenario:{scenario}:1-2:12")
    assert isinstance(link, MchemChannel)
    assert (link.name, link.taps.num_steps) == ("mine 1>2", 3)
    realisation = link.realise(symbol_rate_hz=1e6, generator=torch.Generator())
    assert realisation.snr_db == 12.0
    quiet = load_channel_or_link("scenario:1009:1-2")
    realisation = quiet.realise(symbol_rate_hz=1e6, generator=torch.Generator())
    assert math.isinf(realisation.snr_db)
    assert load_channel_or_link("awgn:3").name == "awgn:3"
    mixture = load_channel_or_link(f"mixture:2*scenario:{scenario}:1-2:9,1*awgn:3")
    assert mixture.name == "mixture:2*mine 1>2,1*awgn:3"
    louder = with_snr(link, 20.0)
    assert isinstance(louder, MchemChannel)
    assert louder.realise(symbol_rate_hz=1e6, generator=torch.Generator()).snr_db == 20.0
    with pytest.raises(PhyemuError, match="no such name"):
        load_channel("scenario:1009:1-2")  # the channel room knows no scenarios
    for spec, message in (
        ("scenario:1009", "write scenario:NAME:TX-RX"),
        ("scenario:1009:1-2:loud", "the SNR is a number"),
        ("scenario:1009:1-99", "has no link 1>99"),
        ("scenario:nowhere:1-2", "no such name"),
    ):
        with pytest.raises(PhyemuError, match=message):
            load_channel_or_link(spec)
    with pytest.raises(PhyemuError, match="NOISE_DBFS"):
        network_of_spec("scenario:1009:quiet")


def test_hours_later_a_link_is_still_at_the_right_step(scenario: Path) -> None:
    link = load_channel_or_link(f"scenario:{scenario}:1-2")
    realisation = link.realise(symbol_rate_hz=1e6, generator=torch.Generator())
    times_s = (torch.arange(20, dtype=torch.float64) + 36_000_000 + 0.5) / 1e3
    gains = realisation.gains(times_s)[:, 0].real
    expected = (torch.arange(20) + 36_000_000) % 3 + 1
    torch.testing.assert_close(gains / gains[0], expected / expected[0], rtol=1e-3, atol=0.0)


def test_a_scenario_is_a_network_live_or_not(
    scenario: Path, sent: tuple[np.ndarray, list[Path]], tmp_path: Path
) -> None:
    iq, paths = sent
    network = ("--network", f"scenario:{scenario}:-inf")
    live, filed = tmp_path / "live.sigmf", tmp_path / "filed.sigmf"
    answer = json.loads(
        run(
            *("--live", f"1={paths[0]}", "--live", f"3={paths[1]}", "-o", f"2={live}"),
            *(*network, "--json"),
        )
    )
    assert answer["nodes"]["2"]["num_sent"] == 6500
    run("--node", f"1={paths[0]}", "--node", f"3={paths[1]}", *network, "-o", filed)
    expected = through(iq[0], steps_of(6500)) + through(iq[1], np.ones(6500))
    for written in (live, filed):
        with open_recording(written) as recording:
            # Two links, samples of 0.5 at most.
            np.testing.assert_allclose(recording.read(), expected, atol=2 * 0.5 * TAP_ERROR)


def test_channels_that_take_turns_may_be_links_of_a_scenario(
    scenario: Path, sent: tuple[np.ndarray, list[Path]], tmp_path: Path
) -> None:
    iq, paths = sent
    output = tmp_path / "out.sigmf"
    turns = f"0s=scenario:{scenario}:3-2,2ms=scenario:{scenario}:1-2"
    run("--live", paths[0], "--channel", turns, "-o", output)
    with open_recording(output) as recording:
        heard = recording.read()
    # As a channel a link has mean power one; the second one begins with its first step.
    for part, num_steps, steps in ((slice(2000), 1, np.ones(2000)), (slice(2000, None), 3, None)):
        scale = math.sqrt(float(response(num_steps).powers().sum()))
        expected = through(iq[0][part], steps_of(4500) if steps is None else steps) / scale
        np.testing.assert_allclose(heard[part], expected, atol=4 * 0.5 * TAP_ERROR / scale)
