import configparser
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phyemu.node.control_client import COMMANDS, STALE_S
from phyemu.node.daemon import NodeDaemon
from phyemu.node.deadlines import Deadlines
from phyemu.node.deployment import UNIT_LINKS, deployed_files, install_node_files
from phyemu.node.events import Command
from phyemu.node.radio_conf import RestartSection


def test_every_script_of_the_api_is_deployed_and_may_be_run(tmp_path: Path) -> None:
    install_node_files(tmp_path)
    for command in Command:
        script = tmp_path / "root" / "radio_api" / f"{command}.sh"
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/bin/sh\n")
    assert set(COMMANDS) == set(Command)
    for name, (content, mode) in deployed_files().items():
        assert (tmp_path / name).read_bytes() == content
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_the_unit_is_started_at_boot_restarts_and_gives_a_stop_its_time() -> None:
    (target,) = UNIT_LINKS.values()
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(deployed_files()[target.removeprefix("/")][0].decode())
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["KillMode"] == "mixed"
    assert 90 < int(unit["Service"]["TimeoutStopSec"]) < 120
    program = unit["Service"]["ExecStart"].split()
    assert program == ["/opt/phyemu/bin/python", "-m", "phyemu.node.daemon"]


def test_the_unit_gives_a_daemon_that_lives_the_time_to_say_so() -> None:
    (target,) = UNIT_LINKS.values()
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(deployed_files()[target.removeprefix("/")][0].decode())
    assert unit["Service"]["Type"] == "notify"
    heartbeat_s = inspect.signature(NodeDaemon).parameters["heartbeat_s"].default
    assert int(unit["Service"]["WatchdogSec"]) >= 3 * heartbeat_s
    assert STALE_S >= 3 * heartbeat_s
    assert float(unit["Service"]["TimeoutStopSec"]) > Deadlines().abandon_s


def test_a_worker_that_hangs_at_boot_leaves_time_for_another_before_colosseum_looks() -> None:
    limits, restart = Deadlines(), RestartSection()
    assert restart.max_restarts >= 1
    # The first hangs, is asked to end, is killed; the second is ready at the last moment.
    hangs_s = limits.ready_s + 2 * limits.failed_s + restart.delay_s
    assert hangs_s + limits.ready_s < 600.0


@pytest.mark.parametrize("module", ["phyemu.node", "phyemu.node.daemon", "phyemu.node.deployment"])
def test_the_daemon_is_up_before_numpy_could_be(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "print(*{'numpy', 'torch', 'h5py', 'click', 'jsonschema'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
