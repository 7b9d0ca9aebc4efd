"""The emulator's twin: its taps by hand, its sums, and the published tables sounded through it."""

import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.channel.emulate_network import emulate_network
from phyemu.channel.network_settings import NodeSettings
from phyemu.colosseum import (
    MchemChannel,
    MchemEmulator,
    Scenario,
    TapHardware,
    TwinRadios,
    load_radios,
    load_scenario,
)
from phyemu.errors import ConfigError, ScenarioError
from phyemu.iq import open_recording, write_recording
from phyemu.library import find_in_library
from phyemu.sounding import SoundingConfig, sound_recording
from phyemu.waveform import SounderFormat
from phyemu.waveform.transmission import write_sounder

RATE_HZ = 100e6


def scenario_of(
    links: dict[tuple[int, int], ImpulseResponse], *, repeats: bool = True, num_nodes: int = 3
) -> Scenario:
    return Scenario(
        name="test",
        description="",
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        num_nodes=num_nodes,
        links=links,
        repeats=repeats,
    )


def taps(gains: list[list[complex]], delays_ns: list[float]) -> ImpulseResponse:
    return ImpulseResponse(
        torch.tensor(gains, dtype=torch.complex64),
        torch.tensor(delays_ns, dtype=torch.float64) / 1e9,
        1e-3,
    )


def run(
    scenario: Scenario,
    sent: dict[str, np.ndarray],
    folder: Path,
    *,
    rate_hz: float = RATE_HZ,
    **settings: object,
) -> dict[str, np.ndarray]:
    emulator = MchemEmulator.of_scenario(scenario, **settings)  # type: ignore[arg-type]
    with ExitStack() as stack:
        recordings = {}
        for name, iq in sent.items():
            path = write_recording(
                folder / f"tx_{name}.sigmf", iq, sample_rate_hz=rate_hz, datatype="cf32_le"
            )
            recordings[name] = stack.enter_context(open_recording(path))
        emulation = emulate_network(
            recordings,
            emulator.network,
            str(folder / "rx_{node}.sigmf"),
            seed=1,
            interval_s=emulator.interval_s,
            load=emulator.load,
        )
    heard = {}
    for name, path in emulation.outputs.items():
        with open_recording(path) as recording:
            heard[name] = recording.read()
    return heard


def noise(count: int, seed: int) -> np.ndarray:
    parts = np.random.default_rng(seed).normal(size=(2, count)) * 0.1
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def test_every_receiver_hears_the_filtered_sum_of_all_transmitters(tmp_path: Path) -> None:
    scenario = scenario_of(
        {
            (1, 3): taps([[0.5, 0.25j]], [0, 130]),
            (2, 3): taps([[-0.75]], [40]),
            (1, 2): taps([[0.125]], [5110]),
        }
    )
    one, two = noise(40_000, 1), noise(40_000, 2)
    heard = run(scenario, {"1": one, "2": two}, tmp_path, noise_dbfs=-math.inf, base_loss_db=6.0)
    loss = 10 ** (-6 / 20)
    expected = 0.5 * one
    expected[13:] += 0.25j * one[:-13]
    expected[4:] -= 0.75 * two[:-4]
    # 16 bit taps hold these gains exactly; the filters of whole samples are exact, too.
    np.testing.assert_allclose(heard["3"], loss * expected, atol=2e-6)
    np.testing.assert_allclose(heard["2"][511:], loss * 0.125 * one[:-511], atol=2e-6)
    assert np.abs(heard["2"][:511]).max() < 2e-6


@pytest.mark.parametrize(("repeats", "order"), [(True, [0, 1, 2, 0]), (False, [0, 1, 2, 2])])
def test_taps_switch_every_millisecond_and_repeat_or_hold(
    tmp_path: Path, repeats: bool, order: list[int]
) -> None:
    gains = [0.5, -0.25j, 0.75]
    scenario = scenario_of({(1, 2): taps([[g] for g in gains], [0])}, repeats=repeats)
    sent = np.full(400_000, 0.5, np.complex64)
    heard = run(scenario, {"1": sent}, tmp_path, noise_dbfs=-math.inf)["2"]
    for step, index in enumerate(order):
        # Beside the switch itself, whose filter sees both sides.
        inner = heard[100_000 * step + 64 : 100_000 * (step + 1) - 64]
        np.testing.assert_allclose(inner, 0.5 * gains[index], atol=2e-6)


def test_the_noise_floor_is_there_once_a_receiver(tmp_path: Path) -> None:
    scenario = scenario_of({(1, 3): taps([[0.5]], [0]), (2, 3): taps([[0.5]], [0])})
    silence = np.zeros(200_000, np.complex64)
    silence[0] = 0.5  # a reference level needs a sample
    heard = run(scenario, {"1": silence, "2": silence}, tmp_path, noise_dbfs=-50.0)["3"][100:]
    power_dbfs = 10 * np.log10(np.mean(np.abs(heard) ** 2))
    # 2e5 samples: 0.01 dB.
    assert power_dbfs == pytest.approx(-50.0, abs=0.05)


def test_radios_leave_their_spike_and_can_be_switched_one_by_one(tmp_path: Path) -> None:
    scenario = scenario_of({(1, 2): taps([[0.5]], [0]), (1, 3): taps([[0.5]], [0])})
    radios = TwinRadios(
        every=NodeSettings(dc_offset=0.02), nodes={"3": NodeSettings(noise_dbfs=-30.0)}
    )
    sent = noise(200_000, 3)
    heard = run(scenario, {"1": sent}, tmp_path, noise_dbfs=-math.inf, radios=radios)
    assert abs(heard["2"].mean()) == pytest.approx(0.02, abs=1e-3)
    rest = heard["3"] - 0.5 * sent
    assert 10 * np.log10(np.mean(np.abs(rest) ** 2)) == pytest.approx(-30.0, abs=0.1)


def test_taps_are_held_as_the_hardware_holds_them() -> None:
    link = taps([[1.5 - 2j, 0.1, 0.005, 1 / 3]], [0, 14, 30, 256])
    channel = MchemChannel.of_link(
        scenario_of({(1, 2): link}), (1, 2), hardware=TapHardware(bits=8)
    )
    # 14 ns moves to 10 ns, 256 ns to 260 ns; -46 dB is below the range.
    np.testing.assert_allclose(channel.taps.delays_s.numpy() * 1e9, [0, 10, 260])
    np.testing.assert_allclose(channel.taps.gains[0].numpy(), [1 - 1j, 13 / 128, 43 / 128])
    assert channel.gain_db == pytest.approx(10 * np.log10(2 + (13 / 128) ** 2 + (43 / 128) ** 2))


def test_each_property_of_the_filter_can_be_switched_off() -> None:
    link = taps([[1.5 - 2j, 0.1, 0.005, 1 / 3, 0.2, 0.2]], [0, 14, 30, 256, 400, 500])
    ideal = TapHardware.ideal().hold(link, name="x")
    assert ideal is not None
    assert torch.equal(ideal.gains, link.gains)
    assert torch.equal(ideal.delays_s, link.delays_s)
    with pytest.raises(ScenarioError, match="x: 5 taps at once"):
        TapHardware().hold(link, name="x")  # one of six is too weak
    several = TapHardware(max_taps=None)
    for change, delays_ns, first in (
        ({}, [0, 10, 260, 400, 500], 1 - 1j),
        ({"on_grid": False}, [0, 14, 256, 400, 500], 1 - 1j),
        ({"least_gain_db": -math.inf}, [0, 10, 30, 260, 400, 500], 1 - 1j),
        ({"bits": None}, [0, 10, 260, 400, 500], 1.5 - 2j),
    ):
        held = replace(several, **change).hold(link, name="x")
        assert held is not None
        np.testing.assert_allclose(1e9 * held.delays_s.numpy(), delays_ns)
        assert complex(held.gains[0, 0]) == first


def test_both_directions_of_a_link_are_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    hold = TapHardware.hold

    def counted(self: TapHardware, response: ImpulseResponse, *, name: str) -> object:
        calls.append(name)
        return hold(self, response, name=name)

    monkeypatch.setattr(TapHardware, "hold", counted)
    scenario = load_scenario(find_in_library("90001", "colosseum"))
    MchemEmulator.of_scenario(scenario)
    assert len(calls) == 10


@pytest.mark.parametrize("rate_hz", [100e6, 20e6, 15.36e6, 1.92e6])
def test_taps_switch_on_the_very_sample(tmp_path: Path, rate_hz: float) -> None:
    gains = [0.5, -0.25j, 0.75, -0.125]
    scenario = scenario_of({(1, 2): taps([[g] for g in gains], [0])})
    step = round(rate_hz / 1000)
    sent = noise(6 * step + 7, 5)
    heard = run(scenario, {"1": sent}, tmp_path, rate_hz=rate_hz, noise_dbfs=-math.inf)["2"]
    expected = sent * np.repeat(np.resize(gains, 7), step)[: sent.size]
    np.testing.assert_allclose(heard, expected, atol=2e-6)


def test_a_rate_at_which_taps_cannot_switch_on_a_sample_is_refused() -> None:
    emulator = MchemEmulator.of_scenario(scenario_of({(1, 2): taps([[0.5], [0.25]], [0])}))
    emulator.check_sample_rate(100e6)
    with pytest.raises(ConfigError, match=r"33333\.33 samples a step of 1 ms at 33\.3333 MHz"):
        emulator.check_sample_rate(100e6 / 3)


def test_draws_start_anywhere_and_have_unit_power() -> None:
    steps = [[complex(1 / (1 + step))] for step in range(50)]
    channel = MchemChannel.of_link(scenario_of({(1, 2): taps(steps, [0])}), (1, 2), snr_db=12.0)
    generator = torch.Generator().manual_seed(2)
    draw = channel.draw(4000, num_steps=3, interval_s=1e-3, symbol_rate_hz=1e6, generator=generator)
    power = draw.response.gains.abs().double().square().mean(dim=(1, 2))
    # Independent starts: the mean of 4000 has a standard error of the spread over sqrt(4000).
    assert float(power.mean()) == pytest.approx(1.0, abs=5 * float(power.std()) / 4000**0.5)
    assert float(draw.snr_db[0]) == 12.0
    ratio = draw.response.gains[:, 1, 0].abs() / draw.response.gains[:, 0, 0].abs()
    assert float(ratio.min()) < 1 < float(ratio.max())


def test_what_the_emulator_cannot_hold_is_refused_or_left_out(tmp_path: Path) -> None:
    crowded = scenario_of({(1, 2): taps([[0.1] * 5], [0, 10, 20, 30, 40])})
    with pytest.raises(ScenarioError, match="5 taps at once"):
        MchemEmulator.of_scenario(crowded)
    weak = scenario_of({(1, 2): taps([[1e-3]], [0]), (1, 3): taps([[0.1]], [0])})
    assert MchemEmulator.of_scenario(weak).left_out == ((1, 2),)
    with pytest.raises(ScenarioError, match="none of its links"):
        MchemEmulator.of_scenario(scenario_of({(1, 2): taps([[1e-3]], [0])}))
    with pytest.raises(ScenarioError, match="no link 3>1"):
        MchemChannel.of_link(weak, (3, 1))
    with pytest.raises(ConfigError, match="bits of a tap"):
        TapHardware(bits=2)
    with pytest.raises(ConfigError, match="no '9'"):
        MchemEmulator.of_scenario(weak, radios=TwinRadios(nodes={"9": NodeSettings()}))


def test_radios_come_from_presets_and_files(tmp_path: Path) -> None:
    assert load_radios("x310").every.bits == 14
    file = tmp_path / "radios.toml"
    file.write_text("[every]\nbits = 12\n[nodes.2]\ncfo_hz = 50.0\n")
    assert load_radios(str(file)).nodes["2"].cfo_hz == 50.0
    file.write_text("[every]\nbit = 12\n")
    with pytest.raises(ConfigError, match="did you mean bits"):
        load_radios(str(file))
    with pytest.raises(ConfigError, match="ideal, x310"):
        load_radios("b210")


@pytest.mark.parametrize(("name", "num_taps"), [("90001", 19), ("90002", 26), ("90003", 31)])
def test_sounding_the_twin_recovers_the_published_tables(
    tmp_path: Path, name: str, num_taps: int
) -> None:
    scenario = load_scenario(find_in_library(name, "colosseum"))
    emulator = MchemEmulator.of_scenario(scenario)
    config = SoundingConfig(dynamic_range_db=45.0)  # the weakest tap of 90001 is at -40 dB
    sounder = SounderFormat(sample_rate_hz=RATE_HZ, length=2048, gap_samples=4096)
    sent = write_sounder(tmp_path / "tx.sigmf", sounder, num_bursts=4, amplitude=0.2)
    found_taps = 0
    for transmitter in range(1, 5):
        if not any(tx == transmitter < rx for tx, rx in scenario.links):
            continue
        with open_recording(sent) as recording:
            emulation = emulate_network(
                {str(transmitter): recording},
                emulator.network,
                str(tmp_path / f"{transmitter}_{{node}}.sigmf"),
                seed=1,
                interval_s=emulator.interval_s,
                load=emulator.load,
            )
        for receiver in range(transmitter + 1, 6):
            response = scenario.links.get((transmitter, receiver))
            if response is None or (transmitter, receiver) in emulator.left_out:
                continue  # 3>5 of 90001 has two taps of one cell that cancel
            with open_recording(emulation.outputs[str(receiver)]) as received:
                paths = sound_recording(received, config)[0].paths
            delays_ns = 1e9 * response.delays_s.numpy()
            order = np.argsort(delays_ns)
            gains = response.gains[0].abs().numpy()[order]
            delays_ns = delays_ns[order] - delays_ns.min()
            if (name, transmitter, receiver) == ("90001", 3, 4):
                # Both taps lie on one of the grid, which saturates at 1.
                delays_ns, gains = np.zeros(1), np.ones(1)
            found_ns = 1e9 * (paths.delays_s - paths.delays_s.min()).numpy()
            found = paths.gains.abs().square().mean(dim=0).sqrt().numpy() / 0.2
            assert found.size == gains.size
            # CaST's tolerances are 20 ns and 0.5 dB. Here the grid takes up to 5 ns, the sounder
            # what it finds beside it: 0.001 ns and 0.011 dB at most.
            on_grid_ns = 10 * np.round(delays_ns / 10)
            np.testing.assert_allclose(on_grid_ns, delays_ns, rtol=0, atol=5)
            np.testing.assert_allclose(found_ns, on_grid_ns, rtol=0, atol=0.1)
            np.testing.assert_allclose(20 * np.log10(found / gains), 0, atol=0.05)
            found_taps += found.size
    assert found_taps == num_taps
