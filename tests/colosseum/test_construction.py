"""Making scenarios: the constant gain, what is below range, and every source."""

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.channel import (
    ImpulseResponse,
    MeasuredChannel,
    NoiseLevel,
    load_channel,
    save_model,
)
from phyemu.colosseum import (
    LinkPaths,
    MadeScenario,
    PathLoss,
    ScenarioSource,
    UrbanStreet,
    check_scenario,
    every_link,
    load_scenario,
    make_scenario,
    paths_of_model,
    paths_of_response,
    read_ray_tracing,
    read_trajectory,
    source_of_channel,
    source_of_street,
)
from phyemu.errors import ConfigError, ScenarioError
from phyemu.library import find_in_library


def make(
    links: dict[tuple[int, int], LinkPaths],
    *,
    num_nodes: int = 2,
    constant_gain_db: float | None = None,
    reciprocal: bool = True,
    coordinates: torch.Tensor | None = None,
) -> MadeScenario:
    source = ScenarioSource(
        links=links,
        num_nodes=num_nodes,
        description="",
        derivation="",
        reciprocal=reciprocal,
        coordinates=coordinates,
    )
    return make_scenario(
        source,
        name="made",
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        constant_gain_db=constant_gain_db,
    )


def one_tap(gain_db: float, steps: int = 1) -> LinkPaths:
    gains = np.full((steps, 1), 10 ** (gain_db / 20), complex)
    return LinkPaths(gains, np.zeros((1, 1)), 1e-3)


def test_the_constant_gain_moves_the_strongest_tap_to_just_below_0_db() -> None:
    made = make({(1, 2): one_tap(-41.3), (2, 1): one_tap(-60.0)}, reciprocal=False)
    assert made.scenario.constant_gain_db == 41.0
    gains = {pair: float(link.gains.abs().max()) for pair, link in made.scenario.links.items()}
    assert 20 * np.log10(gains[1, 2]) == pytest.approx(-0.3, abs=1e-3)
    assert 20 * np.log10(gains[2, 1]) == pytest.approx(-19.0, abs=1e-3)
    assert check_scenario(made.scenario) == []
    assert "+41 dB" in made.scenario.derivation


def test_a_static_link_is_kept_as_one_step() -> None:
    made = make({(1, 2): one_tap(-10.0, steps=500)})
    assert made.scenario.is_static


def test_links_below_the_range_are_left_out_and_reported() -> None:
    made = make({(1, 2): one_tap(-40.0), (1, 3): one_tap(-84.0)}, num_nodes=3)
    assert set(made.scenario.links) == {(1, 2), (2, 1)}
    assert [link.silent_share for link in made.links] == [0.0, 1.0]
    assert "left out" in made.links[1].line()


def test_a_reverse_link_below_the_range_does_not_get_the_forward_taps() -> None:
    made = make({(1, 2): one_tap(-40.0), (2, 1): one_tap(-84.0)})
    assert set(made.scenario.links) == {(1, 2)}


def test_a_fade_below_the_range_is_reported_in_per_cent() -> None:
    gains = np.ones((10, 1), complex)
    gains[7:] = 1e-3
    made = make({(1, 2): LinkPaths(gains, np.zeros((1, 1)), 1e-3)})
    assert made.links[0].silent_share == pytest.approx(0.3)
    assert "below range 30.0 % of the time" in made.links[0].line()
    assert check_scenario(made.scenario) == []


def test_what_lies_beyond_the_emulator_s_delays_is_reported_or_refused() -> None:
    far = LinkPaths(np.full((1, 2), 1e-4 + 0j), np.array([[9.0e-6, 9.3e-6]]), 1e-3)
    with pytest.raises(ScenarioError, match=r"scenario made: link 1>3: all paths lie from 9\.00"):
        make({(1, 2): one_tap(-60.0), (1, 3): far}, num_nodes=3)
    partly = LinkPaths(np.full((1, 2), 1e-3 + 0j), np.array([[0.0, 9.3e-6]]), 1e-3)
    made = make({(1, 2): partly})
    assert made.links[0].outside_share == pytest.approx(0.5)
    assert "50 % of its power beyond 5.11 us and left out" in made.links[0].line()
    assert made.scenario.constant_gain_db == 60.0
    assert check_scenario(made.scenario) == []


def test_a_constant_gain_that_is_too_large_names_the_most() -> None:
    with pytest.raises(ScenarioError, match="40 dB is the most"):
        make({(1, 2): one_tap(-40.5)}, constant_gain_db=41.0)


def test_models_give_every_link_its_own_fading_with_the_asked_loss() -> None:
    draw = partial(
        paths_of_model,
        load_channel("tdl-a:inf:100:200"),
        path_loss_db=60.0,
        num_steps=2000,
        interval_s=1e-3,
    )
    links = every_link(3, lambda generator: draw(generator=generator), seed=5)
    again = every_link(4, lambda generator: draw(generator=generator), seed=5)
    # 2000 steps at 200 Hz hold some 700 independent fades of each of 23 paths: 0.2 dB.
    for pair, paths in links.items():
        power = np.square(np.abs(paths.gains)).sum(axis=1).mean()
        assert 10 * np.log10(power) == pytest.approx(-60.0, abs=0.8)
        np.testing.assert_array_equal(paths.gains, again[pair].gains)
    assert not np.allclose(links[1, 2].gains, links[1, 3].gains)


def test_measured_responses_are_held_on_whole_milliseconds() -> None:
    gains = torch.arange(1, 9, dtype=torch.float32).to(torch.complex64)[:, None]
    response = ImpulseResponse(gains, torch.zeros(1, dtype=torch.float64), 1.5e-3)
    paths = paths_of_response(response, path_loss_db=20.0)
    assert paths.interval_s == pytest.approx(2e-3)
    # At 0, 2, 4, ... ms the latest of the responses at 0, 1.5, 3, ... ms.
    shape = paths.gains[:, 0].real / paths.gains[0, 0].real
    np.testing.assert_allclose(shape, [1, 2, 3, 5, 6, 7], rtol=1e-6)


@pytest.mark.parametrize(("line_of_sight", "median_s"), [(True, 54.0e-9), (False, 110.3e-9)])
def test_urban_delay_spreads_have_the_median_of_the_table(
    line_of_sight: bool, median_s: float
) -> None:
    street = UrbanStreet(line_of_sight=line_of_sight)
    spreads = []
    for seed in range(300):
        paths = street.draw(
            path_loss_db=0.0,
            num_steps=1,
            interval_s=1e-3,
            generator=np.random.default_rng(seed),
        )
        spreads.append(float(paths.delays_s.max()))
        assert paths.delays_s.min() == 0.0
    # The largest of n exponential delays of mean r DS is r DS H_n on average, and its median is
    # near; the draws' own clusters are fewer after the weak ones go, so within a factor 0.5 to 1.3.
    ratio = 3.0 if line_of_sight else 2.1
    clusters = 12 if line_of_sight else 19
    largest = ratio * median_s * sum(1 / n for n in range(1, clusters + 1))
    assert 0.4 * largest < np.median(spreads) < 1.3 * largest


@pytest.mark.parametrize("name", ["urban-40db", "urban-80db", "urban-40db-5", "urban-80db-5"])
def test_the_shipped_urban_scenarios_are_what_their_seeds_give(name: str) -> None:
    shipped = load_scenario(find_in_library(name, "colosseum"))
    # Two nodes have 10 s, of which the first is enough; five have 1 s, all of it.
    source = source_of_street(
        line_of_sight=shipped.provenance["urban"] == "los",
        frequency_hz=shipped.provenance["model_frequency_hz"],
        path_loss_db=shipped.provenance["path_loss_db"],
        num_nodes=shipped.num_nodes,
        duration_s=1.0,
        seed=shipped.provenance["seed"],
    )
    made = make_scenario(
        source,
        name=name,
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        constant_gain_db=shipped.constant_gain_db,
    ).scenario
    assert set(made.links) == set(shipped.links)
    frequencies_hz = torch.linspace(-10e6, 10e6, 21, dtype=torch.float64)
    for pair, link in shipped.links.items():
        ours = made.links[pair].frequency_response(frequencies_hz)
        theirs = link.frequency_response(frequencies_hz)[: made.num_steps]
        error = float((ours - theirs).abs().square().mean() / theirs.abs().square().mean())
        # Bit for bit on the machine that made them; another may round a choice differently.
        assert error < 1e-6
    assert shipped.duration_s == pytest.approx(10.0 if shipped.num_nodes == 2 else 1.0)


def test_a_measured_channel_keeps_its_doppler(tmp_path: Path) -> None:
    times_s = torch.arange(500, dtype=torch.float64) * 1e-3
    turns = times_s[:, None] * torch.tensor([30.0, -55.0], dtype=torch.float64)
    gains = torch.polar(torch.tensor([1.0, 0.5]).double().expand_as(turns), 2 * torch.pi * turns)
    response = ImpulseResponse(
        gains.to(torch.complex64), torch.tensor([0.0, 2e-7], dtype=torch.float64), 1e-3
    )
    measured = MeasuredChannel(name="moving", responses=response, noise=NoiseLevel.of_snr_db(30.0))
    file = save_model(measured, tmp_path / "moving.h5")
    source = source_of_channel(str(file), path_loss_db=50.0, num_nodes=2, duration_s=0.5, seed=1)
    made = make_scenario(source, name="m", center_frequency_hz=1e9, bandwidth_hz=20e6).scenario
    link = made.links[1, 2]
    assert link.delays_s.tolist() == [0.0, 2e-7]
    # The record begins anywhere and goes around: one step is off, the others turn as measured.
    steps = torch.angle(link.gains[1:] * link.gains[:-1].conj()).double().median(dim=0).values
    np.testing.assert_allclose(steps.numpy() / (2 * np.pi * 1e-3), [30.0, -55.0], atol=0.01)


@pytest.mark.parametrize(
    ("name", "loss_db"),
    [("urban-40db", 40), ("urban-80db", 80), ("urban-40db-5", 40), ("urban-80db-5", 80)],
)
def test_shipped_urban_scenarios_fit_the_emulator_and_have_their_path_loss(
    name: str, loss_db: float
) -> None:
    scenario = load_scenario(find_in_library(name, "colosseum"))
    assert check_scenario(scenario) == []
    gains_db = scenario.path_gain_db() - scenario.constant_gain_db
    known = gains_db[torch.isfinite(gains_db)]
    # Each link's mean over 10 s or 1 s of slow fading lies within 4 dB of its path loss.
    assert float((known + loss_db).abs().max()) < 4.0


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_ray_traced_paths_with_antennas_and_between_the_same_nodes(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    gains = generator.normal(size=(2, 3, 2, 2, 5, 7)) + 1j
    delays_s = np.abs(generator.normal(size=(2, 3, 2, 2, 5))) * 1e-7
    delays_s[0, 0, 1, 0, 2] = -1.0  # no such path
    file = npz(tmp_path / "paths.npz", a=gains, tau=delays_s, interval_s=1e-3)
    links, num_nodes = read_ray_tracing(file)
    assert num_nodes == 2
    assert set(links) == {(1, 2), (2, 1)}
    np.testing.assert_allclose(links[1, 2].gains, gains[1, 0, 0, 0].T)
    np.testing.assert_allclose(links[1, 2].delays_s[0], delays_s[1, 0, 0, 0])
    assert (links[2, 1].gains[:, 2] == 0).all()


def test_ray_traced_receivers_follow_the_transmitters(tmp_path: Path) -> None:
    gains = np.ones((3, 1, 2, 1), complex)
    file = npz(tmp_path / "paths.npz", a=gains, tau=np.zeros((3, 1, 2)))
    links, num_nodes = read_ray_tracing(file)
    assert num_nodes == 4
    assert set(links) == {(1, 2), (1, 3), (1, 4)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones((1, 2, 1, 1), complex)}, "lacks the array 'tau'"),
        ({"a": np.ones((1, 2, 1, 1)), "tau": np.zeros((1, 2, 1))}, "a must be complex"),
        ({"a": np.ones((1, 2, 1, 1), complex), "tau": np.zeros((1, 2, 4))}, "does not fit"),
        ({"a": np.ones((1, 2, 1, 9), complex), "tau": np.zeros((1, 2, 1))}, "interval_s"),
        ({"a": np.ones((1, 2), complex), "tau": np.zeros((1, 2, 1))}, "must be"),
        ({"a": np.array([{}], dtype=object), "tau": np.zeros(1)}, "cannot be read"),
    ],
)
def test_damaged_ray_tracing_is_one_line(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        read_ray_tracing(npz(tmp_path / "paths.npz", **arrays))


def test_a_shape_that_no_integer_holds_is_one_line(tmp_path: Path) -> None:
    header = f"{{'descr': '<c16', 'fortran_order': False, 'shape': ({2**70},), }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "paths.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ScenarioError, match=r"paths\.npz: cannot be read as \.npz"):
        read_ray_tracing(tmp_path / "paths.npz")


def test_what_is_no_npz_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_ray_tracing(tmp_path / "x.npz")


TRACK = """time_s,node,x_m,y_m,z_m
# node 1 stands, node 2 leaves at 10 m/s
0,1,0,0,1.5
0,2,30,0,1.5
2,2,50,0,1.5
"""


def made_of_track(tmp_path: Path, law: str) -> MadeScenario:
    (tmp_path / "track.csv").write_text(TRACK)
    track = read_trajectory(tmp_path / "track.csv")
    links = track.links(PathLoss.of_text(law), frequency_hz=2.4e9)
    return make(links, coordinates=track.coordinates)


def test_a_trajectory_has_the_path_loss_the_delay_and_the_doppler_of_its_motion(
    tmp_path: Path,
) -> None:
    made = made_of_track(tmp_path, "free-space")
    scenario = made.scenario
    assert check_scenario(scenario) == []
    assert scenario.num_steps == 2000
    response = scenario.links[1, 2]
    middle = response.frequency_response(torch.zeros(1, dtype=torch.float64))[:, 0].numpy()
    loss_db = -20 * np.log10(np.abs(middle[[0, 1000]])) + scenario.constant_gain_db
    # Friis at 2.4 GHz: 40.05 dB at 1 m, 20 dB a decade; 30 m and 40 m.
    np.testing.assert_allclose(loss_db, [69.60, 72.09], atol=0.1)
    turn = np.angle(middle[1:] / middle[:-1]).mean() / (2 * np.pi * 1e-3)
    assert turn == pytest.approx(-10.0 * 2.4e9 / 299_792_458.0, rel=0.01)
    assert scenario.coordinates is not None
    assert scenario.coordinates[1, 0, 1000] == pytest.approx(40.0)
    assert made.links[0].residual_db < -20


@pytest.mark.parametrize(
    ("text", "expected_db"),
    [
        # TR 38.901 Table 7.4.1-1 by hand at 100 m and 2.4 GHz.
        ("umi-los", 32.4 + 42.0 + 7.604),
        ("umi-nlos", 22.4 + 70.6 + 8.098),
        ("exponent:3", 40.05 + 60.0),
    ],
)
def test_path_losses_are_those_of_the_table(text: str, expected_db: float) -> None:
    loss_db = PathLoss.of_text(text).loss_db(np.array([100.0]), 2.4e9)
    assert float(loss_db[0]) == pytest.approx(expected_db, abs=0.01)


@pytest.mark.parametrize("text", ["exponent:", "exponent:-1", "two-ray", "40"])
def test_an_unknown_path_loss_lists_the_known(text: str) -> None:
    with pytest.raises(ConfigError, match="free-space"):
        PathLoss.of_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("time_s,node,x_m,y_m\n", "first line"),
        ("time_s,node,x_m,y_m,z_m\n0,1,0,0,nan\n", "line 2"),
        ("time_s,node,x_m,y_m,z_m\n0,1,0,0,0\n", "at least two"),
        ("time_s,node,x_m,y_m,z_m\n0,1,0,0,0\n0,3,0,0,0\n", "without gaps"),
        ("time_s,node,x_m,y_m,z_m\n1,1,0,0,0\n0,1,0,0,0\n0,2,0,0,0\n", "must rise"),
        ("time_s,node,x_m,y_m,z_m\n0,1,0,0,0\n1e300,2,0,0,0\n", "too many steps"),
    ],
)
def test_damaged_trajectories_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "track.csv").write_text(text)
    with pytest.raises(ScenarioError, match=message):
        read_trajectory(tmp_path / "track.csv")
