"""The files that make a root file system a node: the Radio API scripts, their client, the unit."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from phyemu.library import shipped_shelf

__all__ = ["UNIT_LINKS", "deployed_files", "install_node_files"]

SCRIPTS = (
    "control",
    "scenario_discontinuity",
    "start",
    "statistics",
    "status",
    "stop",
    "update_environment",
    "update_outcomes",
)
UNIT_LINKS: Mapping[str, str] = MappingProxyType(
    {
        "etc/systemd/system/multi-user.target.wants/phyemu-node.service": (
            "/etc/systemd/system/phyemu-node.service"
        )
    }
)
"""Symbolic links that start the daemon at boot: path below the root, and where it points."""


def deployed_files() -> dict[str, tuple[bytes, int]]:
    """Return content and mode of each file, by its path below the root.

    Beside them an image needs `opt/phyemu/bin/python`, which runs Python with phyemu, and
    `root/radio_api/radio.conf` where no job brings one.
    """
    shelf = shipped_shelf("colosseum")
    found = {
        f"root/radio_api/{name}.sh": ((shelf / "radio_api" / f"{name}.sh").read_bytes(), 0o755)
        for name in SCRIPTS
    }
    client = Path(__file__).with_name("control_client.py")
    found["opt/phyemu/bin/control_client.py"] = (client.read_bytes(), 0o644)
    unit = shelf / "phyemu-node.service"
    found["etc/systemd/system/phyemu-node.service"] = (unit.read_bytes(), 0o644)
    return found


def install_node_files(root: Path) -> None:
    """Write the files below a folder, which is a node's root then (`$PHYEMU_NODE_ROOT`)."""
    for name, (content, mode) in deployed_files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
