"""What batches write: every link is heard, every node is there, every file holds its rules."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phyemu.batch import (
    BatchSettings,
    ImageChoice,
    JobScenario,
    PlanKind,
    RadioSettings,
    capture_batch,
    check_batch,
    job_scenarios,
    load_job,
    sounding_batch,
    sounding_transmitters,
)
from phyemu.batch.drafting import JobDraft
from phyemu.batch.writing import write_batch
from phyemu.channel import ImpulseResponse
from phyemu.colosseum import Scenario, load_scenario, save_scenario
from phyemu.errors import ConfigError
from phyemu.iq import open_recording
from phyemu.library import find_in_library
from phyemu.node import RadioConf, Role, load_radio_conf
from phyemu.node.radio_conf import CaptureSection, SoundSection

IMAGE = ImageChoice(default="phyemu-all")
SETTINGS = BatchSettings(duration_s=30, radio=RadioSettings(sample_rate_hz=1e6))


def places(*names: str, **numbers: int) -> list[JobScenario]:
    paths = [find_in_library(name, "colosseum") for name in names]
    return job_scenarios(paths, rf_scenarios=numbers)


def scenario_of(links: set[tuple[int, int]], num_nodes: int) -> Scenario:
    response = ImpulseResponse(
        torch.ones(1, 1, dtype=torch.complex64), torch.zeros(1).double(), 1e-3
    )
    return Scenario(
        name="drawn",
        description="",
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        num_nodes=num_nodes,
        links=dict.fromkeys(sorted(links), response),
    )


@given(
    st.integers(2, 7).flatmap(
        lambda num_nodes: st.tuples(
            st.just(num_nodes),
            st.sets(
                st.tuples(st.integers(1, num_nodes), st.integers(1, num_nodes)).filter(
                    lambda pair: pair[0] != pair[1]
                ),
                min_size=1,
            ),
        )
    ),
    st.booleans(),
)
def test_every_link_is_heard_in_one_direction_and_in_both_where_they_may_differ(
    case: tuple[int, set[tuple[int, int]]], mirror: bool
) -> None:
    num_nodes, links = case
    if mirror:
        links = links | {(rx, tx) for tx, rx in links}
    scenario = scenario_of(links, num_nodes)
    chosen = set(sounding_transmitters(scenario))
    both_ways = all((rx, tx) in links for tx, rx in links)
    assert scenario.is_reciprocal == both_ways
    for tx, rx in links:
        assert tx in chosen or (both_ways and rx in chosen)
    if both_ways:  # none of them could be left out
        for node in chosen:
            assert any(tx == node and rx not in chosen for tx, rx in links)


def test_a_link_that_differs_from_its_reverse_is_heard_in_both_directions() -> None:
    scenario = scenario_of({(1, 2), (2, 1)}, 2)
    assert sounding_transmitters(scenario) == (1,)
    weaker = ImpulseResponse(
        torch.full((1, 1), 0.5, dtype=torch.complex64), torch.zeros(1).double(), 1e-3
    )
    scenario = replace(scenario, links={**scenario.links, (2, 1): weaker})
    assert sounding_transmitters(scenario) == (1, 2)


def test_sounding_covers_the_published_scenario(tmp_path: Path) -> None:
    made = sounding_batch(tmp_path / "b", places("90001"), IMAGE, SETTINGS)
    assert made.warnings == ()
    assert check_batch(tmp_path / "b") == made.plan
    assert [job.transmitters for job in made.plan.jobs] == [(1,), (2,), (3,), (4,)]
    (image,) = made.plan.images
    with open_recording(tmp_path / "b" / image.content / "tx.sigmf") as sent:
        assert sent.sample_rate_hz == 1e6
        assert sent.duration_s == pytest.approx(made.plan.pass_s)
    for job in made.plan.jobs:
        written = load_job(tmp_path / "b" / job.file, num_nodes=5)
        assert written.rf_scenario == 90001
        assert written.loopinfo is None
        roles = [load_radio_conf(tmp_path / "b" / node.config).role for node in job.nodes]
        assert roles.count(Role.TRANSMIT) == 1
        assert roles.count(Role.SOUND) == 4


def test_nodes_that_hear_nothing_are_idle(tmp_path: Path) -> None:
    path = save_scenario(scenario_of({(1, 2), (2, 1)}, 3), tmp_path / "drawn.json")
    found = job_scenarios([path], rf_scenarios={"drawn": 7})
    made = sounding_batch(tmp_path / "b", found, IMAGE, SETTINGS)
    (job,) = made.plan.jobs
    assert [node.role for node in job.nodes] == ["transmit", "sound", "idle"]
    # The scenario goes with the batch: a rehearsal elsewhere needs it.
    again = load_scenario(job.scenario_path(tmp_path / "b"))
    assert set(again.links) == {(1, 2), (2, 1)}
    assert again.num_nodes == 3


def test_radios_get_what_colosseum_recommends(tmp_path: Path) -> None:
    named = replace(SETTINGS, name="monday")
    made = sounding_batch(tmp_path / "b", places("52005"), IMAGE, named, transmitters=[3])
    (job,) = made.plan.jobs
    assert job.name == "monday-52005-tx3"
    assert job.nodes[0].config == "config/monday-52005-tx3-node-1.conf"
    radios = [load_radio_conf(tmp_path / "b" / node.config).radio for node in job.nodes[:3]]
    # 5.5 GHz: the documentation's figures at 5.8 GHz; oscillators away from the centre.
    assert [radio.gain_db for radio in radios] == [15.0, 15.0, 28.0]
    assert [radio.lo_offset_hz for radio in radios] == [42e6, 42e6, -42e6]
    assert {radio.center_frequency_hz for radio in radios} == {5.5e9}


@pytest.mark.parametrize("name", ["../x", "", "-x", ".x", "a b", "a/b", "a" * 61, "a\n"])
def test_a_batch_has_a_name_that_can_begin_one_of_a_file(name: str) -> None:
    with pytest.raises(ConfigError, match="the name of a batch is 1 to 60"):
        BatchSettings(duration_s=1, name=name)


def test_loops_gateways_and_own_gains_are_written(tmp_path: Path) -> None:
    chosen = replace(
        SETTINGS,
        num_loops=3,
        gateways=frozenset({2}),
        node_type="bot",
        radio=RadioSettings(gain_db=1.5, tx_gain_db=2.5, lo_offset_hz=0, usrp="addr=10.0.0.1"),
    )
    made = sounding_batch(
        tmp_path / "b",
        places("urban-40db", **{"urban-40db": 7001}),
        ImageChoice(by_node={1: "tx", 2: "rx"}),
        chosen,
    )
    (planned,) = made.plan.jobs
    job = load_job(tmp_path / "b" / planned.file)
    assert json.loads((tmp_path / "b" / planned.file).read_text("utf-8"))["Loopinfo"] == {
        "Enabled": "True",
        "NumOfLoops": 3,
    }
    assert [(node.image, node.is_gateway, node.node_type) for node in job.nodes] == [
        ("tx", False, "bot"),
        ("rx", True, "bot"),
    ]
    assert job.reservation_s == (13 + 3 + 2) * 60 + 90
    sender, listener = (load_radio_conf(tmp_path / "b" / node.config) for node in planned.nodes)
    assert (sender.radio.gain_db, listener.radio.gain_db) == (2.5, 1.5)
    assert sender.radio.lo_offset_hz == listener.radio.lo_offset_hz == 0
    assert sender.radio.usrp == "addr=10.0.0.1"
    assert (sender.job.node, sender.job.scenario) == (1, "urban-40db")
    assert sender.job.name == job.name


def test_a_capture_sends_frames_or_a_recording(tmp_path: Path) -> None:
    made = capture_batch(
        tmp_path / "b",
        places("51005"),
        ImageChoice(default="rx", by_node={2: "tx"}),
        SETTINGS,
        transmitters=[2],
        capture=CaptureSection(datatype="cf32_le", max_bytes=1e6),
    )
    assert made.warnings == ("each receiver hears 0.24 GB in 30 s; it stops capturing at 0.001 GB",)
    with_content = {image.name: bool(image.content) for image in made.plan.images}
    assert with_content == {"tx": True, "rx": False}  # who listens needs no waveform
    sent = tmp_path / "b" / "content" / "tx" / "tx.sigmf"
    again = capture_batch(
        tmp_path / "c",
        places("51005"),
        IMAGE,
        replace(SETTINGS, duration_s=1),
        transmitters=[2],
        recording=sent,
    )
    assert (tmp_path / "c/content/phyemu-all/tx.sigmf").read_bytes() == sent.read_bytes()
    assert check_batch(tmp_path / "c") == again.plan
    fast = replace(SETTINGS, radio=RadioSettings(sample_rate_hz=2e6))
    with pytest.raises(ConfigError, match=r"recorded at 1e\+06 .* run at 2e\+06; give --rate 1e"):
        capture_batch(tmp_path / "d", places("51005"), IMAGE, fast, recording=sent)
    assert not (tmp_path / "d").exists()


def test_what_cannot_give_a_result_is_said(tmp_path: Path) -> None:
    made = sounding_batch(
        tmp_path / "b",
        places("90001"),
        IMAGE,
        replace(SETTINGS, duration_s=1),
        transmitters=[1],
        sound=SoundSection(window_s=2.0, every_s=3.0),
    )
    assert made.warnings == (
        "a duration of 1 s is shorter than one stretch of 2 s: nothing will be sounded",
    )
    with pytest.raises(ConfigError, match=r"window_s must be at least 0\.0246, two bursts"):
        sounding_batch(
            tmp_path / "c", places("90001"), IMAGE, SETTINGS, sound=SoundSection(window_s=0.02)
        )


@pytest.mark.parametrize(
    ("images", "transmitters", "changes", "message"),
    [
        (ImageChoice(), [], {}, "node 1 of 90001 has no image; give --image NAME"),
        (ImageChoice(default="a", by_node={6: "b"}), [], {}, "images: 90001 has .* no 6"),
        (ImageChoice(default="my_image"), [], {}, "ImageName must be 1 to 31 letters"),
        (IMAGE, [6], {}, "transmitters: 90001 has the nodes 1 to 5, no 6"),
        (IMAGE, [1, 1], {}, "a transmitter is there twice"),
        (IMAGE, [], {"gateways": frozenset({9})}, "gateways: 90001 has the nodes 1 to 5, no 9"),
        (IMAGE, [], {"duration_s": 0}, "Duration must be a whole number"),
        (IMAGE, [], {"num_loops": 0}, "NumOfLoops must be a whole number"),
        (IMAGE, [], {"radio": RadioSettings(sample_rate_hz=1e6, gain_db=1e3)}, "gain_db must be"),
    ],
)
def test_what_breaks_a_rule_writes_nothing(
    images: ImageChoice,
    transmitters: list[int],
    changes: dict[str, object],
    message: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=message):
        sounding_batch(
            tmp_path / "b",
            places("90001"),
            images,
            replace(SETTINGS, **changes),  # type: ignore[arg-type]
            transmitters=transmitters,
        )
    assert list(tmp_path.iterdir()) == []


def test_scenarios_need_a_number_and_a_name_of_their_own() -> None:
    with pytest.raises(ConfigError, match="--rf-scenario urban-40db=NUMBER"):
        places("urban-40db")
    with pytest.raises(ConfigError, match="--rf-scenario other: the scenarios are 90001"):
        places("90001", other=3)
    with pytest.raises(ConfigError, match="called 90001 is there already"):
        places("90001", "90001")
    (found,) = places("1009")
    assert (found.rf_scenario, found.traffic_scenario) == (1009, 10090)  # as published
    (found,) = places("90001")
    assert (found.rf_scenario, found.traffic_scenario) == (90001, 1)


def test_a_batch_is_replaced_when_asked_and_nothing_else_ever(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    sounding_batch(folder, places("90001"), IMAGE, SETTINGS, transmitters=[1])
    (folder / "mine.txt").touch()
    with pytest.raises(ConfigError, match="exists already; give --force"):
        sounding_batch(folder, places("90001"), IMAGE, SETTINGS, transmitters=[2])
    made = sounding_batch(folder, places("90001"), IMAGE, SETTINGS, transmitters=[2], force=True)
    assert check_batch(folder) == made.plan
    assert not (folder / "mine.txt").exists()
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigError, match="is no batch"):
        sounding_batch(other, places("90001"), IMAGE, SETTINGS, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "other"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "b"
    with pytest.raises(ConfigError, match=r"file/b: cannot be written \(File exists\)"):
        sounding_batch(folder, places("90001"), IMAGE, SETTINGS, transmitters=[1])


def test_the_folder_one_is_in_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounding_batch(tmp_path / "b", places("90001"), IMAGE, SETTINGS, transmitters=[1])
    monkeypatch.chdir(tmp_path / "b")
    here = Path()
    made = sounding_batch(here, places("90001"), IMAGE, SETTINGS, transmitters=[2], force=True)
    assert check_batch(tmp_path / "b") == made.plan
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_fails_on_the_way_leaves_the_old_batch(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    made = sounding_batch(folder, places("90001"), IMAGE, SETTINGS, transmitters=[1])

    def fail(place: Path) -> None:
        (place / "half").touch()
        raise ConfigError("no")

    (place,) = places("90001")
    draft = JobDraft(name="x", place=place, settings={}, images=IMAGE.of(place))
    with pytest.raises(ConfigError, match=r"^no$"):
        write_batch(folder, PlanKind.SOUND, [draft], SETTINGS, {"phyemu-all": fail}, force=True)
    assert check_batch(folder) == made.plan
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


ROLES = {
    Role.TRANSMIT: {},
    Role.SOUND: {"sound": SoundSection(window_s=0.5)},
    Role.CAPTURE: {"capture": CaptureSection(max_bytes=1e9)},
    Role.PHYDNN_TRANSMIT: {},
    Role.PHYDNN_RECEIVE: {},
    Role.RECEIVE: {},
}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.integers(1, 5), st.sampled_from(list(ROLES)), max_size=5),
    st.builds(
        RadioSettings,
        usrp=st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=20),
        sample_rate_hz=st.floats(1, 2e8),
        gain_db=st.none() | st.floats(-200, 200),
        tx_gain_db=st.none() | st.floats(-200, 200),
        lo_offset_hz=st.floats(0, 1e9),
    ),
    st.integers(1, 10**6),
    st.integers(1, 100),
    st.sets(st.integers(1, 5)),
)
def test_any_roles_and_radios_make_a_batch_that_holds_its_rules(
    tmp_path_factory: pytest.TempPathFactory,
    roles: dict[int, Role],
    radio: RadioSettings,
    duration_s: int,
    num_loops: int,
    gateways: set[int],
) -> None:
    (place,) = places("90001")
    chosen = BatchSettings(
        duration_s=duration_s, num_loops=num_loops, gateways=frozenset(gateways), radio=radio
    )
    conf = {node: RadioConf(role=role, **ROLES[role]) for node, role in roles.items()}  # type: ignore[arg-type]
    draft = JobDraft(name="drawn", place=place, settings=conf, images=IMAGE.of(place))
    folder = tmp_path_factory.mktemp("drawn") / "b"
    plan = write_batch(folder, PlanKind.CAPTURE, [draft], chosen, {})
    assert check_batch(folder) == plan
    (job,) = plan.jobs
    assert len(job.nodes) == 5
    for node in job.nodes:
        found = load_radio_conf(folder / node.config)
        assert found.role == roles.get(node.node, Role.IDLE)
        assert (found.radio.sample_rate_hz, found.radio.usrp) == (radio.sample_rate_hz, radio.usrp)
        sent = node.node in job.transmitters
        assert abs(found.radio.lo_offset_hz) == radio.lo_offset_hz
        assert found.radio.lo_offset_hz <= 0 if sent else found.radio.lo_offset_hz >= 0


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("sound-90001-tx1.json", '"Duration": 30', '"Duration": -3', "Duration must be"),
        ("sound-90001-tx1.json", "tx1-node-3", "tx1-node-4", "node 3: ModemConfig is"),
        (
            "sound-90001-tx1.json",
            '"RFScenario": 90001',
            '"RFScenario": 90002',
            "RFScenario is 90002",
        ),
        ("sound-90001-tx1.json", "phyemu-all", "other", "node 1: ImageName is other"),
        ("config/sound-90001-tx1-node-2.conf", 'role = "sound"', 'role = "listen"', "role must be"),
        ("config/sound-90001-tx1-node-2.conf", "node = 2", "node = 3", "job.node is 3"),
    ],
)
def test_a_batch_that_was_changed_by_hand_is_refused(
    name: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    sounding_batch(tmp_path / "b", places("90001"), IMAGE, SETTINGS, transmitters=[1])
    path = tmp_path / "b" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        check_batch(tmp_path / "b")
    assert str(path) in str(caught.value)


def test_content_that_changed_or_is_missing_is_refused(tmp_path: Path) -> None:
    sounding_batch(tmp_path / "b", places("90001"), IMAGE, SETTINGS, transmitters=[1])
    content = tmp_path / "b" / "content" / "phyemu-all" / "tx.sigmf"
    with content.open("r+b") as file:
        file.write(b"x")
    with pytest.raises(ConfigError, match="has changed since the batch was made"):
        check_batch(tmp_path / "b")
    content.unlink()
    with pytest.raises(ConfigError, match="is missing; make the batch again"):
        check_batch(tmp_path / "b")
