"""Batch jobs: the documentation's own examples pass, every rule that is broken is named."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.batch import (
    BATCH_JOB_SCHEMA,
    BatchJob,
    Loopinfo,
    NodeEntry,
    check_job,
    job_from_json,
    load_job,
    write_job,
)
from phyemu.container import image_name
from phyemu.errors import ConfigError

EXAMPLE: dict[str, Any] = {
    # Colosseum user documentation, "Batch Mode Format and Process", its example.
    "BatchName": "My Test Batch",
    "Duration": 300,
    "RFScenario": 6742,
    "TrafficScenario": 1,
    "NodeData": [
        {
            "RFNode_ID": number,
            "ImageName": image,
            "ModemConfig": config,
            "isGateway": is_gateway,
            "TrafficNode_ID": number,
            "node_type": node_type,
        }
        for number, image, config, is_gateway, node_type in (
            (1, "modem-image-v1", "modem_config_file_1", True, "competitor"),
            (2, "modem-image-v1", "modem_config_file_2", False, "competitor"),
            (3, "TrainingBotV1", "bot_config_file", False, "bot"),
            (4, "TrainingBotV1", "bot_config_file", True, "bot"),
        )
    ],
}

LOOPING: dict[str, Any] = {
    # "Scenario Looping", its example.
    "BatchName": "Two Node Example",
    "Duration": 600,
    "Loopinfo": {"Enabled": "True", "NumOfLoops": 2},
    "NodeData": [
        {
            "ImageName": "my-image",
            "ModemConfig": "my-config.conf",
            "RFNode_ID": number,
            "TrafficNode_ID": number,
            "isGateway": number == 1,
            "node_type": "competitor",
        }
        for number in (1, 2)
    ],
    "RFScenario": 8981,
    "TrafficScenario": 95571,
}

TUTORIAL: dict[str, Any] = {
    # colosseum-merif-2023, reproducibility/batch/merif_batch_job.json: traffic nodes reversed.
    "BatchName": "merif_batch_job",
    "Duration": 300,
    "NodeData": [
        {
            "ImageName": "scope-merif",
            "ModemConfig": "merif_radio_config.conf",
            "RFNode_ID": number,
            "TrafficNode_ID": 8 - number,
            "isGateway": True,
            "node_type": "competitor",
        }
        for number in range(1, 8)
    ],
    "RFScenario": 1009,
    "TrafficScenario": 10090,
}


@pytest.mark.parametrize("example", [EXAMPLE, LOOPING, TUTORIAL])
def test_published_jobs_are_taken_and_written_back_unchanged(
    example: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(example), "utf-8")
    job = load_job(path, num_nodes=len(example["NodeData"]))
    assert json.loads(write_job(job, tmp_path / "again.json").read_text("utf-8")) == example


def test_the_length_of_a_reservation_is_the_published_one() -> None:
    job = job_from_json({**EXAMPLE, "Duration": 600})
    assert job.reservation_s == 28 * 60  # "a 600 second duration (28 minute total reservation)"


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,29}[A-Za-z0-9])?", fullmatch=True)
CONFIGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", fullmatch=True)
BATCH_NAMES = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9._ -]{0,198}[A-Za-z0-9_])?", fullmatch=True)
NUMBERS = st.integers(1, 10**9)


@st.composite
def jobs(draw: st.DrawFn) -> BatchJob:
    num_nodes = draw(st.integers(1, 12))
    order = draw(st.permutations(range(1, num_nodes + 1)))
    traffic = draw(st.permutations(range(1, num_nodes + 1)))
    return BatchJob(
        name=draw(BATCH_NAMES),
        duration_s=draw(NUMBERS),
        rf_scenario=draw(NUMBERS),
        traffic_scenario=draw(NUMBERS),
        nodes=tuple(
            NodeEntry(
                rf_node=node,
                image=draw(NAMES),
                modem_config=draw(CONFIGS),
                traffic_node=other,
                is_gateway=draw(st.booleans()),
                node_type=draw(st.sampled_from(["competitor", "bot"])),
            )
            for node, other in zip(order, traffic, strict=True)
        ),
        loopinfo=draw(st.none() | st.builds(Loopinfo, num_loops=NUMBERS, enabled=st.booleans())),
    )


@given(jobs())
def test_a_job_comes_back_from_its_file(job: BatchJob) -> None:
    found = json.loads(json.dumps(job.to_json()))
    assert job_from_json(found, num_nodes=len(job.nodes)) == job
    jsonschema.Draft202012Validator(BATCH_JOB_SCHEMA).validate(found)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything inside a JSON value."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(st.data())
def test_what_the_schema_refuses_is_refused_in_one_line_and_the_rest_taken(
    data: st.DataObject,
) -> None:
    """Any part of a job, replaced by any JSON value: ours and the schema's validator agree."""
    changed = copy.deepcopy(LOOPING)
    path = data.draw(st.sampled_from(places(changed)))
    value = data.draw(JSON_VALUES)
    if path:
        holder = changed
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
    else:
        changed = value
    # Where the schema is looser, on purpose: 300.0 is an integer to it, and it knows no numbering.
    whole = not any(isinstance(leaf, float) for leaf in leaves(changed))
    is_valid = jsonschema.Draft202012Validator(BATCH_JOB_SCHEMA).is_valid(changed)
    refusal = ""
    try:
        check_job(changed, where="job.json")
    except ConfigError as error:
        refusal = str(error)
    if refusal:
        numbered = path and path[-1] in ("RFNode_ID", "TrafficNode_ID")
        assert refusal.startswith("job.json: ")
        assert "\n" not in refusal
        assert len(refusal) < 400
        assert not is_valid or not whole or numbered
    else:
        assert is_valid
        assert whole


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def changed_node(**changes: Any) -> dict[str, Any]:
    nodes = copy.deepcopy(EXAMPLE["NodeData"])
    nodes[1] |= changes
    return {**EXAMPLE, "NodeData": nodes}


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ([], "job: must be an object, got \\[\\]"),
        ({**EXAMPLE, "Duraton": 1}, 'unknown key "Duraton"; did you mean Duration'),
        ({**EXAMPLE, "zzz": 1}, 'unknown key "zzz"; known: BatchName'),
        (
            {k: v for k, v in EXAMPLE.items() if k != "Duration"},
            "Duration is missing; it is a whole",
        ),
        (
            {**EXAMPLE, "Duration": 0},
            "Duration must be a whole number of seconds, at least 1, got 0",
        ),
        ({**EXAMPLE, "Duration": 300.0}, "Duration must be a whole .* got 300.0"),
        ({**EXAMPLE, "Duration": True}, "Duration must be a whole .* got true"),
        ({**EXAMPLE, "Duration": "300"}, 'Duration must be .* got "300"'),
        ({**EXAMPLE, "RFScenario": "1009"}, 'RFScenario must be a whole number.*got "1009"'),
        ({**EXAMPLE, "RFScenario": -1}, "RFScenario must be a whole number.*got -1"),
        ({**EXAMPLE, "TrafficScenario": None}, "TrafficScenario must be .* got null"),
        ({**EXAMPLE, "BatchName": ""}, 'BatchName must be 1 to 200 .* got ""'),
        ({**EXAMPLE, "BatchName": "../x"}, 'BatchName must be .* got "../x"'),
        ({**EXAMPLE, "BatchName": "-rf"}, 'BatchName must be .* got "-rf"'),
        ({**EXAMPLE, "BatchName": "a\n"}, "BatchName must be .* got"),
        ({**EXAMPLE, "BatchName": "a" * 201}, "BatchName must be 1 to 200"),
        ({**EXAMPLE, "NodeData": []}, "NodeData must be a list of at least one node, got \\[\\]"),
        ({**EXAMPLE, "NodeData": {}}, "NodeData must be a list of at least one node, got {}"),
        ({**EXAMPLE, "NodeData": [1]}, "NodeData 1: must be an object, got 1"),
        ({**EXAMPLE, "Loopinfo": []}, "Loopinfo: must be an object, got \\[\\]"),
        ({**EXAMPLE, "Loopinfo": {"Enabled": "True"}}, "Loopinfo: NumOfLoops is missing"),
        (
            {**EXAMPLE, "Loopinfo": {"Enabled": "true", "NumOfLoops": 2}},
            'Loopinfo: Enabled must be "True" or "False", got "true"',
        ),
        (
            {**EXAMPLE, "Loopinfo": {"Enabled": "True", "NumOfLoops": 0}},
            "Loopinfo: NumOfLoops must be a whole number, at least 1, got 0",
        ),
        (
            changed_node(RFNode_ID=1),
            "NodeData 2: RFNode_ID must number the 4 nodes .* got 1, which",
        ),
        (changed_node(RFNode_ID=5), "NodeData 2: RFNode_ID must number the 4 nodes .* got 5"),
        (changed_node(RFNode_ID=0), "NodeData 2: RFNode_ID must be a whole number, at least 1"),
        (changed_node(TrafficNode_ID=4), "TrafficNode_ID must number .* which NodeData 2 has"),
        (changed_node(TrafficNode_ID=9), "NodeData 2: TrafficNode_ID must number .* got 9"),
        (changed_node(ImageName="my_image"), 'ImageName must be 1 to 31 letters.*got "my_image"'),
        (changed_node(ImageName="image.tar.gz"), "ImageName must be 1 to 31"),
        (changed_node(ImageName="a" * 32), "ImageName must be 1 to 31"),
        (changed_node(ImageName="-image"), "ImageName must be 1 to 31"),
        (changed_node(ImageName="ima\u0261e"), "ImageName must be 1 to 31"),
        (changed_node(ModemConfig="../radio.conf"), "ModemConfig must be the name of a file"),
        (changed_node(ModemConfig=""), "ModemConfig must be the name of a file"),
        (changed_node(isGateway="true"), 'isGateway must be true or false, got "true"'),
        (changed_node(node_type="Bot"), 'node_type must be "competitor" or "bot", got "Bot"'),
        (changed_node(srn=3), 'NodeData 2: unknown key "srn"'),
    ],
)
def test_every_broken_rule_is_named(job: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_job(job, where="job")


def test_all_nodes_of_the_scenario_must_be_there() -> None:
    with pytest.raises(ConfigError, match="NodeData must hold all 5 nodes of the scenario, got 4"):
        check_job(EXAMPLE, num_nodes=5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"BatchName": "a", "BatchName": "b"}', "key 'BatchName' is there twice"),
        (b'{"Duration": NaN}', "NaN is no JSON number"),
        (b" " * (16 * 1024**2 + 1), "larger than 16 MiB"),
    ],
)
def test_what_is_no_job_file_is_refused_in_one_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "job.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_job(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"job.json: cannot be written"):
        write_job(job_from_json(EXAMPLE), tmp_path / "missing" / "job.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["a", "A1-b2", "x" * 31, "x" * 32, "x" * 30 + "-", "-x", "x-", "a_b", "a.b", "", "a\n",
     "\u00e9", "a b"],
)  # fmt: skip
def test_schema_and_package_take_the_same_names_of_images(name: str) -> None:
    node = BATCH_JOB_SCHEMA["properties"]["NodeData"]["items"]
    rule = node["properties"]["ImageName"]
    try:
        taken = image_name(Path(f"{name}.tar.gz")) == name
    except ConfigError:
        taken = False
    assert jsonschema.Draft202012Validator(rule).is_valid(name) is taken


def test_the_schema_in_docs_is_the_one_in_use() -> None:
    jsonschema.Draft202012Validator.check_schema(BATCH_JOB_SCHEMA)
    docs = Path(__file__).parents[2] / "docs" / "batch-job.schema.json"
    assert json.loads(docs.read_text("utf-8")) == BATCH_JOB_SCHEMA
