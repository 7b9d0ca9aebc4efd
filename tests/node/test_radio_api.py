"""The Radio API as Colosseum sees it: real scripts, a real daemon, workers that misbehave."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phyemu.node.control_client import COMMANDS, ask
from tests.node.scripted_node import ScriptedNode, kill, lives, wait_until

DAEMON = Path(__file__).with_name("impatient_daemon.py")


def started(node: ScriptedNode) -> None:
    assert node.call("start").code == 0
    node.wait_for("ACTIVE")


def test_a_job_from_boot_to_the_end(node: ScriptedNode) -> None:
    node.layout.colosseum_config.write_text(
        "[RF]\ncenter_frequency = 2000000000\nrf_bandwidth = 20000000\n"
    )
    assert node.status() == {"STATUS": "OFF", "INFO": "no daemon runs; start.sh starts it"}
    started(node)

    node.layout.environment.write_text('[{"scenario_center_frequency": 3000000000}]')
    for _ in range(2):  # the second changes nothing
        assert node.call("update_environment").code == 0
    node.layout.environment.write_text('[{"scenario_center')
    broken = node.call("update_environment")
    assert broken.code == 1
    assert "cannot be read as JSON" in broken.err
    assert broken.err.count("\n") == 1
    node.layout.outcomes.write_text("[]")
    assert node.call("update_outcomes").code == 0
    assert node.heard(1)[-1]["command"] == "environment"
    assert node.call("scenario_discontinuity").code == 0
    assert node.call("statistics").code == 0
    node.wait_for_event("worker", said="statistics")
    assert json.loads(node.call("statistics").out) == {"STATUS": "ACTIVE", "frames": 7, "lost": 1}

    assert node.call("stop").code == 0
    assert node.wait_for("FINISHED")["INFO"] == "finished"
    told = node.heard(1)
    assert [line["command"] for line in told] == [
        *("configure", "start", "environment", "discontinuity", "statistics", "statistics", "stop")
    ]
    assert told[0]["environment"] == {"center_frequency_hz": 2e9, "rf_bandwidth_hz": 20e6}
    assert told[0]["radio_conf"]["role"] == "capture"
    assert told[2] == {
        "command": "environment",
        "center_frequency_hz": 3e9,
        "rf_bandwidth_hz": 20e6,
    }
    node.wait_for_event("state", state="FINISHED")
    assert node.states() == ["BOOTING", "READY", "ACTIVE", "STOPPING", "FINISHED"]
    assert sorted(path.name for path in node.layout.inputs.iterdir()) == [
        "0001-radio.conf",
        "0002-colosseum_config.ini",
        "0003-environment.json",
        "0004-environment.json",
        "0005-mandated_outcomes.json",
    ]
    assert json.loads(node.layout.status.read_text())["state"] == "FINISHED"
    task = json.loads((node.layout.task(1) / "task.json").read_text())
    assert (task["role"], task["center_frequency_hz"]) == ("capture", 2e9)

    started(node)  # a new task
    assert node.layout.task(2).is_dir()
    kill(node.pid(), signal.SIGTERM)  # the container is shut down: it finishes first
    wait_until(lambda: not node.layout.pid.exists(), "the end of the daemon")
    assert node.events()[-1]["event"] == "daemon-ended"
    assert node.events()[-1]["state"] == "FINISHED"
    assert node.heard(2)[-1] == {"command": "stop"}
    assert node.status()["STATUS"] == "OFF"


@pytest.mark.parametrize(
    "shell", [("dash",), ("busybox", "sh"), ("bash", "--posix")], ids=lambda shell: shell[0]
)
def test_every_script_answers_without_a_daemon_in_every_shell(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    node = ScriptedNode(tmp_path / "a folder with spaces", shell=shell)
    try:
        node.configure(role="idle")
        assert node.status()["STATUS"] == "OFF"
        called = {done.command: done for done in node.call_all()}
        assert set(called) == set(COMMANDS)
        assert [name for name, done in called.items() if done.code] == ["update_outcomes"]
        node.call("stop")
        node.wait_for("FINISHED")
    finally:
        node.close()


def test_a_stop_before_anything_began_finishes(node: ScriptedNode) -> None:
    assert node.call("stop").code == 0
    assert node.wait_for("FINISHED")["INFO"].startswith("stop was asked for before")
    assert not node.layout.task(1).exists()
    started(node)


def test_a_node_without_phyemu_says_so(node: ScriptedNode) -> None:
    shutil.rmtree(node.root / "opt")
    assert node.status()["STATUS"] == "ERROR"
    done = node.call("start")
    assert done.code == 1
    assert "phyemu is not installed" in done.err
    assert done.err.count("\n") == 1


def test_bad_settings_are_an_error_until_they_are_mended(node: ScriptedNode) -> None:
    node.layout.radio_conf.write_text('role = "captur"\n')
    node.call("start")
    status = node.wait_for("ERROR")
    assert "role must be one of transmit, capture" in status["INFO"]
    node.configure()
    started(node)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("crash-at-boot", "the worker ended by itself (exit code 3)"),
        ("error-at-boot", "no USRP was found"),
        ("crash-at-start", "the worker was ended by SIGKILL"),
        ("hang-at-boot", "not ready within"),
        ("hang-at-start", "not active within 3 s of its start"),
        ("closes-output", "closed its output"),
        ("ends-by-itself", "the worker ended by itself (exit code 0)"),
    ],
)
def test_a_worker_that_fails_is_restarted_once_and_then_is_an_error(
    mode: str, reason: str, node: ScriptedNode
) -> None:
    slow = mode.startswith("hang") or mode == "closes-output"
    node.configure("good" if slow else mode, mode)
    node.call("start")
    if slow:  # one that hangs is enough
        node.wait_for("ACTIVE")
        kill(node.worker_pid(), signal.SIGKILL)
    status = node.wait_for("ERROR")
    assert reason in status["INFO"]
    assert status["INFO"].endswith("(after 1 restarts)")
    assert node.layout.task(2).is_dir()
    assert not node.layout.task(3).exists()
    node.configure("good")
    started(node)  # and a start tries again


def test_an_active_worker_that_falls_silent_is_told_of(node: ScriptedNode) -> None:
    started(node)
    kill(node.worker_pid(), signal.SIGSTOP)
    wait_until(lambda: "has said nothing for" in node.status()["INFO"], "its silence")
    assert node.state() == "ACTIVE"
    kill(node.worker_pid(), signal.SIGCONT)
    node.call("statistics")
    wait_until(lambda: "has said nothing for" not in node.status()["INFO"], "its voice")


def test_what_a_worker_writes_beside_the_protocol_is_noted_and_no_more(node: ScriptedNode) -> None:
    node.configure("garbage")
    started(node)
    node.call("stop")
    node.wait_for("FINISHED")
    node.wait_for_event("state", state="FINISHED")
    garbage = [line for line in node.events() if line.get("said") == "garbage"]
    assert len(garbage) == 8
    assert all(len(json.dumps(line)) < 2000 for line in garbage)


@pytest.mark.parametrize("mode", ["ignores-stop", "leaves-child"])
def test_a_stop_ends_whatever_there_is(mode: str, node: ScriptedNode) -> None:
    node.configure(mode)
    started(node)
    group = node.worker_pid()
    node.call("stop")
    node.wait_for("FINISHED")
    wait_until(lambda: not _group_lives(group), "the end of the worker's processes")
    node.wait_for_event("state", state="FINISHED")
    signals = [line["signal"] for line in node.events() if line["event"] == "signalled"]
    assert signals == (["SIGTERM", "SIGKILL"] if mode == "ignores-stop" else [])


def _group_lives(group: int) -> bool:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def test_scripts_answer_for_a_daemon_that_hangs_and_it_hears_them_later(
    node: ScriptedNode,
) -> None:
    started(node)
    kill(node.pid(), signal.SIGSTOP)
    try:
        called = {done.command: done for done in node.call_all("status", "stop", "statistics")}
        assert json.loads(called["status"].out)["STATUS"] == "ACTIVE"
        assert "the daemon does not answer" in json.loads(called["status"].out)["INFO"]
        assert called["stop"].code == called["statistics"].code == 1
        assert called["stop"].err == "stop.sh: the daemon does not answer (timed out)\n"
    finally:
        kill(node.pid(), signal.SIGCONT)
    node.wait_for("FINISHED")


def test_a_daemon_that_hangs_for_long_is_an_error(node: ScriptedNode) -> None:
    started(node)
    kill(node.pid(), signal.SIGSTOP)
    try:
        state = json.loads(node.layout.state.read_text())
        node.layout.state.write_text(json.dumps({**state, "monotonic": state["monotonic"] - 60}))
        status = node.status()
    finally:
        kill(node.pid(), signal.SIGCONT)
    assert status["STATUS"] == "ERROR"
    assert status["INFO"].startswith("the daemon hangs for 6")
    assert "the last state was ACTIVE" in status["INFO"]


def test_a_daemon_that_died_is_told_and_its_task_is_taken_up(node: ScriptedNode) -> None:
    started(node)
    worker = node.worker_pid()
    kill(node.pid(), signal.SIGKILL)
    wait_until(lambda: node.status()["STATUS"] == "ERROR", "the end of the daemon")
    assert node.status()["INFO"].startswith("the daemon died; the last state was ACTIVE")
    wait_until(lambda: not lives(worker), "the worker's end: the end of its input is a stop")
    assert (node.layout.task(1) / "summary.json").exists()
    node.call("update_environment")  # any script starts it again; so does systemd
    node.wait_for("ACTIVE")
    assert "died in state ACTIVE" in node.wait_for_event("daemon-died")["info"]
    assert node.heard(2)[1] == {"command": "start"}


def test_the_worker_of_a_daemon_that_died_leaves_the_radio_first(node: ScriptedNode) -> None:
    node.configure("lingers", "good")
    started(node)
    worker = node.worker_pid()
    kill(node.pid(), signal.SIGKILL)
    wait_until(lambda: node.status()["STATUS"] == "ERROR", "the end of the daemon")
    assert lives(worker)
    node.call("start")
    node.wait_for("ACTIVE")
    assert not lives(worker)
    assert f"(pid {worker}) was ended by SIGTERM" in node.wait_for_event("leftover")["info"]


def test_a_daemon_that_died_while_it_stopped_has_finished(node: ScriptedNode) -> None:
    node.configure("ignores-stop")
    started(node)
    pid = node.pid()
    assert ask(node.layout.socket, "stop", time.monotonic() + 5.0)["ok"]
    kill(pid, signal.SIGKILL)  # the worker ignores its stop for two seconds
    wait_until(lambda: node.status()["STATUS"] == "ERROR", "the end of the daemon")
    node.call("statistics")
    assert "died in state STOPPING" in node.wait_for("FINISHED")["INFO"]


def test_a_second_daemon_leaves_the_first_alone(node: ScriptedNode) -> None:
    started(node)
    second = subprocess.run(
        [sys.executable, DAEMON],
        env={**os.environ, "PHYEMU_NODE_ROOT": str(node.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"the daemon runs already (pid {node.pid()})" in second.stderr
    assert second.stderr.count("\n") == 1
    assert node.state() == "ACTIVE"


def test_a_full_disk_stops_nothing_and_is_told(node: ScriptedNode) -> None:
    node.layout.logs.mkdir()
    node.layout.node_log.symlink_to("/dev/full")
    started(node)
    wait_until(lambda: "No space left" in node.status()["INFO"], "the disk being full")
    assert "events not written" in node.status()["INFO"]
    node.layout.node_log.unlink()
    node.call("stop")
    node.wait_for("FINISHED")
    wait_until(lambda: "FINISHED" in node.states(), "the log")
    assert "No space left" not in node.status()["INFO"]  # but what is lost stays told
    assert "events not written" in node.status()["INFO"]


def test_a_task_that_finds_no_room_says_so(node: ScriptedNode) -> None:
    node.layout.logs.write_text("no folder")
    node.call("start")
    assert "the worker cannot be started" in node.wait_for("ERROR")["INFO"]


@pytest.fixture
def hostile(node: ScriptedNode) -> Iterator[list[socket.socket]]:
    started(node)
    sockets = []
    for _ in range(100):  # more than are served at a time
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(node.layout.socket))
        caller.settimeout(10.0)
        sockets.append(caller)
    yield sockets
    for caller in sockets:
        caller.close()


def test_hostile_callers_keep_nobody_from_an_answer(
    hostile: list[socket.socket], node: ScriptedNode
) -> None:
    assert node.status()["STATUS"] == "ACTIVE"  # while a hundred say nothing


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"x" * 10_000, "at most 4096 bytes"),
        (b'{"command": "sta', "no whole line within 1 s"),
        (b'{"command": "explode"}\n', "not one of the commands start, stop"),
        (b"[" * 4000 + b"\n", "not one of the commands"),
        (b"\xff\n", "not one of the commands"),
        (b"[]\n", "not one of the commands"),
    ],
)
def test_what_is_no_request_is_refused(request_: bytes, reason: str, node: ScriptedNode) -> None:
    node.configure(role="idle")
    started(node)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(node.layout.socket))
        caller.settimeout(10.0)
        caller.sendall(request_)
        answer = json.loads(caller.makefile().readline())
    assert answer["ok"] is False
    assert reason in answer["text"]
    assert node.state() == "ACTIVE"


def test_a_root_longer_than_a_socket_address(tmp_path: Path) -> None:
    node = ScriptedNode(tmp_path / ("long" * 20) / ("longer" * 15))
    assert len(str(node.layout.socket)) > 200
    try:
        node.configure(role="idle")
        assert node.call("start").code == 0
        node.wait_for("ACTIVE")
    finally:
        node.close()


def test_systemd_hears_that_the_daemon_is_up(node: ScriptedNode, tmp_path: Path) -> None:
    node.configure(role="idle")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30.0)
        daemon = subprocess.Popen(
            [sys.executable, DAEMON],
            env={
                **os.environ,
                "PHYEMU_NODE_ROOT": str(node.root),
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
            },
        )
        try:
            assert systemd.recv(100) == b"READY=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            assert node.wait_for("READY")["INFO"] == "the worker is ready"
        finally:
            daemon.terminate()
            assert daemon.wait(30.0) == 0


@pytest.mark.parametrize("seed", range(2))
def test_every_script_answers_in_any_order(seed: int, node: ScriptedNode) -> None:
    draw = random.Random(seed)
    modes = ["good", "crash-at-boot", "error-at-boot", "crash-at-start", "garbage", "leaves-child"]
    node.configure(*(draw.choice(modes) for _ in range(20)))
    seen = set()
    for _ in range(8):
        happens = draw.randrange(8)
        if happens == 0 and node.layout.pid.exists():
            kill(node.pid(), signal.SIGKILL)
        elif happens == 1:
            node.layout.environment.write_text(draw.choice(["", "[{}]", "[", "{}", '"x"']))
        for done in node.call_all(*draw.sample(COMMANDS, draw.randint(1, 2))):
            if done.command == "status":
                seen.add(json.loads(done.out)["STATUS"])
            assert done.out.count("\n") + done.err.count("\n") == 1
    node.call("stop")
    node.wait_for("FINISHED")
    assert seen
