"""The plan of a batch with one sounding job, as `phyemu colosseum batch` leaves it."""

import shutil
from pathlib import Path

from phyemu.batch import (
    Plan,
    PlanKind,
    PlannedImage,
    PlannedJob,
    PlannedNode,
    planned_files,
    write_plan,
)


def planned(folder: Path, sounded_air: Path, kind: PlanKind = PlanKind.SOUND) -> Path:
    """Write the plan of a batch with one sounding job, and what its transmitter sends."""
    content = folder / "content" / "img"
    content.mkdir(parents=True)
    shutil.copy(sounded_air / "tx.sigmf", content / "tx.sigmf")
    (folder / "config").mkdir()
    roles = ["transmit", "sound", "capture", "idle", "idle"]
    for node, role in enumerate(roles, start=1):
        (folder / "config" / f"{node}.conf").write_text(f'role = "{role}"\n')
    job = PlannedJob(
        name="sound-90003",
        file="sound-90003.json",
        scenario="90003",
        rf_scenario=90003,
        transmitters=(1,),
        receivers=(2, 3),
        nodes=tuple(
            PlannedNode(node=node, role=role, config=f"config/{node}.conf", image="img")
            for node, role in enumerate(roles, start=1)
        ),
    )
    image = PlannedImage(name="img", content="content/img", files=planned_files(content))
    return write_plan(Plan(kind=kind, jobs=(job,), images=(image,)), folder)
