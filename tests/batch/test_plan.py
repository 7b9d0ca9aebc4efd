"""Plans come back as they were written; what contradicts itself, or leads out, is refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.batch import (
    Plan,
    PlanKind,
    PlannedFile,
    PlannedImage,
    PlannedJob,
    PlannedNode,
    load_plan,
    planned_files,
    write_plan,
)
from phyemu.errors import ConfigError

PLAN = Plan(
    kind=PlanKind.SOUND,
    jobs=(
        PlannedJob(
            name="sound-90001-tx1",
            file="sound-90001-tx1.json",
            scenario="90001",
            rf_scenario=90001,
            transmitters=(1,),
            receivers=(2,),
            nodes=tuple(
                PlannedNode(node=node, role=role, config=f"config/{node}.conf", image="sounder")
                for node, role in ((1, "transmit"), (2, "sound"), (3, "idle"))
            ),
        ),
    ),
    images=(
        PlannedImage(
            name="sounder",
            content="content/sounder",
            files=(PlannedFile(path="tx.sigmf", sha256="0" * 64, num_bytes=7),),
        ),
    ),
    pass_s=0.25,
    team="my-team",
)


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(PLAN)))
    return {"format": "phyemu-batch-plan", "version": 1, **found}


def test_a_plan_comes_back_from_its_file_and_its_folder(tmp_path: Path) -> None:
    path = write_plan(PLAN, tmp_path)
    assert load_plan(path) == load_plan(tmp_path) == PLAN


@given(
    st.none() | st.integers(1, 10**6),
    st.none() | st.floats(0, 1e6),
    st.none() | st.from_regex(r"[a-z][a-z-]{0,9}", fullmatch=True),
    st.sampled_from(PlanKind),
)
def test_what_is_optional_comes_back_too(
    tmp_path_factory: pytest.TempPathFactory,
    num_images: int | None,
    pass_s: float | None,
    team: str | None,
    kind: PlanKind,
) -> None:
    plan = Plan(
        kind=kind,
        jobs=PLAN.jobs,
        images=PLAN.images,
        num_images=num_images,
        pass_s=pass_s,
        team=team,
    )
    assert load_plan(write_plan(plan, tmp_path_factory.mktemp("plan"))) == plan


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "other", "is no plan"),
        (("version",), 2, "is no plan"),
        (("kind",), "listen", "kind must be one of sound, capture, phydnn"),
        (("jobs",), [], "at least one job"),
        (("jobs", 0, "scenario"), "../90001.json", "scenario must be a path below the folder"),
        (("jobs", 0, "file"), "/etc/passwd", "file must be a path below the folder"),
        (("jobs", 0, "nodes", 1, "config"), "a/../../b", "config must be a path below the folder"),
        (("jobs", 0, "nodes", 1, "node"), 3, r"nodes must be 1 to 3 in order, got \[1, 3, 3\]"),
        (("jobs", 0, "receivers"), [4], "receivers must be of the nodes 1 to 3, got 4"),
        (("jobs", 0, "receivers"), ["2"], "receivers"),
        (("jobs", 0, "nodes", 1, "image"), "other", "image 'other' is not among images"),
        (("images", 0, "name"), "other", "image 'other' is used by no job"),
        (("images", 0, "content"), "..", "content must be a path below the folder"),
        (("images", 0, "files", 0, "path"), "", "path must be a path below the folder"),
        (("images", 0, "files", 0, "sha256"), "0" * 63, "sha256 must be 64"),
        (("images", 0, "files", 0, "num_bytes"), -1, "num_bytes must be at least 0"),
        (("surprise",), 1, "unknown key 'surprise'"),
    ],
)
def test_what_contradicts_itself_is_refused(
    path: tuple[Any, ...], value: Any, message: str, tmp_path: Path
) -> None:
    found: Any = table()
    found = {key: item for key, item in found.items() if item is not None}
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    (tmp_path / "plan.json").write_text(json.dumps(found), "utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_plan(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_job_and_an_image_are_there_once() -> None:
    with pytest.raises(ConfigError, match="jobs: 'sound-90001-tx1' is there twice"):
        Plan(kind=PlanKind.SOUND, jobs=PLAN.jobs * 2, images=PLAN.images)
    with pytest.raises(ConfigError, match="images: 'sounder' is there twice"):
        Plan(kind=PlanKind.SOUND, jobs=PLAN.jobs, images=PLAN.images * 2)


def test_a_job_is_found_by_its_name() -> None:
    assert PLAN.job("sound-90001-tx1") is PLAN.jobs[0]
    with pytest.raises(ConfigError, match="no job 'other', but sound-90001-tx1"):
        PLAN.job("other")


def test_a_scenario_is_shipped_or_lies_in_the_batch(tmp_path: Path) -> None:
    assert PLAN.jobs[0].scenario_path(tmp_path).name == "90001.json"
    own = PlannedJob(**{**_fields(PLAN.jobs[0]), "scenario": "scenarios/office.json"})
    assert own.scenario_path(tmp_path) == tmp_path / "scenarios" / "office.json"


def _fields(job: PlannedJob) -> dict[str, Any]:
    return {name: getattr(job, name) for name in PlannedJob.__dataclass_fields__}


def test_content_is_files_and_folders_only(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.bin").write_bytes(b"abc")
    # SHA-256 of "abc", as FIPS 180-2 gives it.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert planned_files(tmp_path) == (PlannedFile(path="a/b.bin", sha256=digest, num_bytes=3),)
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="link: content is made of files and folders only"):
        planned_files(tmp_path)
