import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from phyemu.node.control_client import Unreachable, ask
from phyemu.node.layout import NodeLayout


def test_the_daemon_runs_in_the_foreground_until_sigterm(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    layout.radio_api.mkdir(parents=True)
    layout.radio_conf.write_text('role = "idle"\n')
    command = [Path(sys.executable).with_name("phyemu"), "colosseum", "node", "--root", tmp_path]
    with subprocess.Popen(command, env={**os.environ, "PHYEMU_NODE_ROOT": ""}) as daemon:
        try:
            state = ""
            while state != "READY":
                assert daemon.poll() is None
                try:
                    answer = ask(layout.socket, "status", time.monotonic() + 10.0)
                    state = str(answer["STATUS"])
                except Unreachable:
                    time.sleep(0.01)
            assert ask(layout.socket, "start", time.monotonic() + 10.0)["ok"]
        finally:
            daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30.0) == 0
    assert '"daemon-ended"' in layout.node_log.read_text()


def test_a_root_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    done = subprocess.run(
        [Path(sys.executable).with_name("phyemu"), "colosseum", "node", "--root", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"phyemu: {tmp_path}/run/phyemu: cannot be written (Not a directory)\n"
