"""Whole rehearsals with scripted workers: every verdict, and nothing that runs on."""

import errno
import fcntl
import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.batch import (
    BatchJob,
    Loopinfo,
    NodeEntry,
    RehearsalResult,
    RehearsalSettings,
    parse_rehearsal_event,
    rehearse_job,
    rehearsed_node,
    set_up_rehearsal,
    write_job,
)
from phyemu.batch.air import AirSettings, AirStatistics
from phyemu.batch.node_log import read_node_log
from phyemu.batch.results_folder import find_results
from phyemu.errors import ConfigError, TransportError
from phyemu.node import RadioConf, Role, write_radio_conf
from phyemu.node.radio_conf import JobSection, RadioSection, RestartSection

pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

SCENARIO = "urban-40db"
WORKER = Path(__file__).with_name("scripted_worker.py")
QUICK = RehearsalSettings(scenario=SCENARIO, duration_s=0.3, clean_up_s=10.0)
PARTIAL = ".RESERVATION-rehearsal-trial.partial"
LOGS = "rehearsal-{image}-srn{node}-RESrehearsal"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every node run the scripted worker."""
    monkeypatch.setenv("PHYEMU_NODE_WORKER", str(WORKER))


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a job of two nodes, whose workers behave as told."""

    def write(*behaviours: str, max_restarts: int = 1, loops: int = 1) -> Path:
        folder = tmp_path / "batch"
        (folder / "config").mkdir(parents=True)
        for number, behaviour in enumerate(behaviours, 1):
            write_radio_conf(
                RadioConf(
                    role=Role.IDLE if behaviour == "idle" else Role.RECEIVE,
                    job=JobSection(name=behaviour, node=number),
                    radio=RadioSection(sample_rate_hz=1e5),
                    restart=RestartSection(max_restarts=max_restarts, delay_s=0.1),
                ),
                folder / "config" / f"node-{number}.conf",
            )
        job = BatchJob(
            name="trial",
            duration_s=60,
            rf_scenario=77,
            traffic_scenario=1,
            nodes=tuple(
                NodeEntry(
                    rf_node=number,
                    image="phyemu-node",
                    modem_config=f"node-{number}.conf",
                    traffic_node=number,
                )
                for number in range(1, len(behaviours) + 1)
            ),
            loopinfo=Loopinfo(num_loops=loops) if loops > 1 else None,
        )
        return write_job(job, folder / "trial.json")

    return write


class Clock:
    """An air without samples, whose scenario runs by the clock: no node here has a radio."""

    def __init__(self, settings: AirSettings) -> None:
        nodes = [str(node) for node in settings.receivers]
        self.ports = {"send": {}, "receive": dict(zip(nodes, (4001, 4002), strict=False))}
        self._began_s = 0.0

    def start(self) -> None:
        self._began_s = time.monotonic()

    def statistics(self) -> AirStatistics:
        passed_s = time.monotonic() - self._began_s
        return AirStatistics(
            position_s=passed_s,
            elapsed_s=passed_s,
            sent={},
            taken={},
            unheard={},
            lost={"1": 500},
            hung={"2": 1},
        )

    end = statistics

    def __enter__(self) -> "Clock":
        return self

    def __exit__(self, *_: object) -> None: ...


def rehearse(
    job: Path, output: Path, settings: RehearsalSettings = QUICK, **options: Any
) -> RehearsalResult:
    setup = set_up_rehearsal(job, settings)
    return rehearse_job(setup, settings, output, open_air=Clock, **options)


def runs_no_more(process: int) -> bool:
    # What is left of a process that its parent has not yet asked for runs no more.
    status = Path(f"/proc/{process}/status")
    return not status.exists() or "zombie" in status.read_text()


def told(result: RehearsalResult, node: int, task: int = 1) -> list[str]:
    """Return the commands that the worker of a node was given."""
    folder = result.folder / LOGS.format(image="phyemu-node", node=node) / f"task-{task:04d}"
    lines = (folder / "told.jsonl").read_text().splitlines()
    return [json.loads(line)["command"] for line in lines]


def test_a_job_whose_nodes_behave_passes_and_is_laid_out_as_colosseum_does(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    environment = tmp_path / "environment.json"
    environment.write_text('[{"scenario_center_frequency": 1100000000}]')
    settings = replace(
        QUICK, events=(parse_rehearsal_event(f"100ms:update_environment={environment}"),)
    )
    result = rehearse(batch("behaves", "idle"), tmp_path / "results", settings)
    assert result.passed, result.lines()
    assert [node.end_state for node in result.nodes] == ["FINISHED", "FINISHED"]
    assert [node.restarts for node in result.nodes] == [0, 0]
    assert all(node.ready_s is not None for node in result.nodes)
    assert told(result, 1) == ["configure", "start", "environment", "statistics", "stop"]

    # Colosseum's order, and every script within its time.
    scripts = [
        (entry.fields["script"], entry.node) for entry in result.timeline if entry.what == "script"
    ]
    assert [name for name, node in scripts if node == 1] == [
        "start",
        "update_environment",
        "statistics",
        "stop",
    ]
    assert sorted(scripts) == sorted((name, 3 - node) for name, node in scripts if node)
    (loop,) = result.loops
    assert 0.3 <= loop.at_stop.position_s <= loop.at_end.position_s

    # What `collect` reads is what it reads of Colosseum.
    (reservation,) = find_results(tmp_path / "results")
    assert (reservation.name, reservation.job) == ("rehearsal-trial", "trial")
    assert reservation.expected == (1, 2)
    assert [(node.node, node.srn) for node in reservation.nodes] == [(1, 1), (2, 2)]
    log = read_node_log(reservation.nodes[0].path)
    # The last state is on the disk, however soon the container ended.
    assert log.state == "FINISHED"
    (task,) = log.tasks
    assert task.center_frequency_hz == 1e9  # colosseum_config.ini, from the scenario

    written = json.loads((result.folder / "rehearsal.json").read_text())
    assert written["passed"] is True
    assert [node["passed"] for node in written["nodes"]] == [True, True]
    assert str(tmp_path) not in json.dumps(written)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [result.folder.name]

    with pytest.raises(ConfigError, match="--force"):
        rehearse(tmp_path / "batch" / "trial.json", tmp_path / "results")


def test_each_radio_gets_the_sockets_of_its_node(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    result = rehearse(batch("behaves", "behaves"), tmp_path / "results")
    for node, port in ((1, 4001), (2, 4002)):
        folder = result.folder / LOGS.format(image="phyemu-node", node=node) / "task-0001"
        assert json.loads((folder / "radio.json").read_text()) == {
            # Who only listens has nowhere to send to.
            "send": "zmq+push://127.0.0.1:9?connect",
            "receive": f"zmq+pull://127.0.0.1:{port}",
            "sample_rate_hz": 1e5,
        }
    # What the air could not deliver is told, too.
    lost, hung = (node.remarks for node in result.nodes)
    assert "lost 500 samples in loop 1: its radio took none for 30 s" in lost
    assert any("silent within a burst in loop 1: 1 times" in text for text in hung)


def test_a_crash_is_restarted_and_an_error_fails(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    settings = replace(QUICK, duration_s=2.0)
    result = rehearse(batch("crashes once", "refuses"), tmp_path / "results", settings)
    crashed, refused = result.nodes
    assert crashed.passed, crashed.failures
    assert (crashed.restarts, crashed.end_state) == (1, "FINISHED")
    assert not refused.passed
    assert refused.ready_s is None
    assert any("not READY" in text for text in refused.failures)
    assert not result.passed
    assert any("the radio refuses" in text for text in refused.failures)


def test_a_node_that_was_in_error_says_why(batch: Callable[..., Path], tmp_path: Path) -> None:
    settings = replace(QUICK, duration_s=1.0)
    job = batch("dies at work", "idle", max_restarts=0)
    dead, idle = rehearse(job, tmp_path / "results", settings).nodes
    assert idle.passed
    assert dead.ready_s is not None
    # Told to stop, it finishes all the same.
    assert dead.end_state == "FINISHED"
    (failure,) = dead.failures
    assert failure.startswith("was in ERROR: ")
    assert "the antenna fell off" in failure


def test_a_node_that_is_late_and_one_that_ignores_stop_fail_and_are_killed(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    settings = replace(QUICK, boot_limit_s=2.0, start_limit_s=1.0, clean_up_s=1.0)
    result = rehearse(batch("never ready", "ignores stop"), tmp_path / "results", settings)
    late, deaf = result.nodes
    assert late.ready_s is None
    assert "was BOOTING and not READY" in late.failures[0]
    assert any("BOOTING and not ACTIVE 1 s after start.sh" in text for text in late.remarks)
    assert deaf.failures == ("was killed unfinished, while STOPPING",)
    assert any("scripted_worker.py" in text for text in deaf.remarks)
    killed = [entry for entry in result.timeline if entry.what == "killed"]
    assert len(killed) == 2
    # Two minutes are two minutes, whatever a node does.
    assert killed[0].time_s < 30


def test_a_script_that_takes_too_long_is_named(
    batch: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = batch("behaves", "idle")
    image = tmp_path / "phyemu-node.tar.gz"
    with tarfile.open(image, "w:gz") as archive:
        for name, text, mode in (
            ("rootfs/root/radio_api/statistics.sh", "#!/bin/sh\nsleep 4\n", 0o755),
            ("rootfs/root/phyemu/tx.bin", "content", 0o644),
            ("rootfs/etc/passwd", "not ours", 0o644),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), mode
            archive.addfile(member, io.BytesIO(text.encode()))
    monkeypatch.setattr(rehearsed_node, "SCRIPT_LIMIT_S", 3.5)
    result = rehearse(job, tmp_path / "results", replace(QUICK, content=(image,)))
    assert not result.passed
    for node in result.nodes:
        assert any(text.startswith("statistics.sh took") for text in node.failures)
        assert node.slowest_script == "statistics.sh"


def test_the_scenario_begins_when_all_nodes_are_active(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    # The scenario is shorter than the second node takes to become active.
    job = batch("behaves", "is slow to start")
    result = rehearse(job, tmp_path / "results", replace(QUICK, duration_s=0.1))
    assert result.passed, result.lines()
    what = [
        entry.fields["state"] if entry.what in ("state", "air") else ""
        for entry in result.timeline
        if entry.node in (None, 2)
    ]
    assert what.index("ACTIVE") < what.index("started")
    assert told(result, 2) == ["configure", "start", "statistics", "stop"]


def test_a_child_that_keeps_the_output_of_a_script_holds_nobody_up(
    batch: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsed_node, "_SCRIPT_KILLED_S", 2.0)
    node = rehearsed_node.RehearsedNode(1, tmp_path / "root", {})
    script = node.layout.radio_api / "statistics.sh"
    script.write_text("#!/bin/sh\necho said\nsetsid sleep 600 &\necho $! > $PHYEMU_NODE_ROOT/pid\n")
    call = node.call("statistics")
    assert (call.code, call.output) == (None, "said")
    assert "it had ended, but what it started kept its output open" in call.problem
    assert runs_no_more(int((tmp_path / "root" / "pid").read_text()))
    assert node.kill() == {}


class Failing(Clock):
    """An air that fails while the scenario runs."""

    def statistics(self) -> AirStatistics:
        raise TransportError("the air is gone")


def test_logs_are_kept_where_the_air_fails_on_the_way(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    output = tmp_path / "results"
    setup = set_up_rehearsal(batch("behaves", "idle"), QUICK)
    with pytest.raises(
        TransportError, match=r"the air is gone; what the nodes wrote is in "
    ) as told:
        rehearse_job(setup, QUICK, output, open_air=Failing)
    assert not output.exists()
    (kept,) = (tmp_path / "results-failed").iterdir()
    assert str(told.value).endswith(str(kept))
    for node in (1, 2):
        assert read_node_log(kept / "roots" / f"node-{node}" / "logs").state
    # It stands in nobody's way, and is no result.
    assert rehearse(tmp_path / "batch" / "trial.json", output).passed
    assert [found.name for found in find_results(output)] == ["rehearsal-trial"]
    assert kept.is_dir()


def test_two_rehearsals_do_not_share_an_output(batch: Callable[..., Path], tmp_path: Path) -> None:
    job, output = batch("behaves", "idle"), tmp_path / "results"
    refused: list[str] = []

    class Second(Clock):
        def start(self) -> None:
            with pytest.raises(ConfigError) as caught:
                rehearse(job, output)
            refused.append(str(caught.value))
            super().start()

    setup = set_up_rehearsal(job, QUICK)
    assert rehearse_job(setup, QUICK, output, open_air=Second).passed
    assert refused == [
        f"{output}: another rehearsal writes there; give another output, or wait for it"
    ]


def test_a_file_system_without_locks_is_no_obstacle(
    batch: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: int, operation: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert rehearse(batch("behaves", "idle"), tmp_path / "results").passed


def test_results_of_all_jobs_are_looked_for_before_the_first_is_played(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    first, output = batch("behaves", "idle"), tmp_path / "results"
    again = first.with_name("again.json")
    again.write_text(first.read_text())
    second = first.with_name("second.json")
    second.write_text(first.read_text().replace('"trial"', '"second"'))
    common = ["-o", str(output), "--scenario", SCENARIO, "--quiet"]
    (output / "RESERVATION-rehearsal-second").mkdir(parents=True)
    for other, message in ((second, "rehearsal-second: exists"), (again, "would both write to")):
        done = CliRunner().invoke(main, ["colosseum", "rehearse", str(first), str(other), *common])
        assert done.exit_code == 1
        assert message in done.stderr
        assert [path.name for path in output.iterdir()] == ["RESERVATION-rehearsal-second"]


def test_every_loop_has_its_start_and_stop(batch: Callable[..., Path], tmp_path: Path) -> None:
    result = rehearse(batch("behaves", "idle", loops=2), tmp_path / "results")
    assert result.passed, result.lines()
    assert len(result.loops) == 2
    assert told(result, 1, 1)[-1] == "stop"
    assert told(result, 1, 2)[:2] == ["configure", "start"]
    starts = [entry for entry in result.timeline if entry.fields.get("script") == "start"]
    assert [entry.node for entry in starts].count(1) == 2


def test_ctrl_c_leaves_nothing_behind(batch: Callable[..., Path], tmp_path: Path) -> None:
    job = batch("behaves", "ignores stop")
    output = tmp_path / "results"
    root = output / PARTIAL / "roots" / "node-2"
    processes: list[int] = []

    def interrupt() -> None:
        status, noted = root / "logs" / "status.json", root / "run" / "phyemu" / "worker.json"
        while not (status.exists() and "ACTIVE" in status.read_text()):
            time.sleep(0.02)
        processes.append(int((root / "run" / "phyemu" / "node.pid").read_text()))
        processes.append(json.loads(noted.read_text())["pid"])
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        rehearse(job, output, replace(QUICK, duration_s=60.0))
    thread.join()
    assert not output.exists()
    assert all(map(runs_no_more, processes))


def test_a_daemon_that_dies_is_started_again_as_by_its_unit(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    job = batch("behaves", "idle")
    output = tmp_path / "results"
    root = output / PARTIAL / "roots" / "node-2"

    def kill() -> None:
        pid, status = root / "run" / "phyemu" / "node.pid", root / "logs" / "status.json"
        while not (status.exists() and "READY" in status.read_text()):
            time.sleep(0.02)
        os.kill(int(pid.read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    result = rehearse(job, output, replace(QUICK, duration_s=2.0))
    thread.join()
    assert result.nodes[1].end_state == "FINISHED"
    log = read_node_log(result.folder / LOGS.format(image="phyemu-node", node=2))
    assert "daemon-died" in [event.name for event in log.events]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5s", "write TIME:SCRIPT"),
        ("later:statistics", "write TIME:SCRIPT"),
        ("5s:start", "write TIME:SCRIPT"),
        ("5s:update_environment", "update_environment=FILE"),
        ("5s:statistics=file", "write 5s: and one of"),
        ("5s:update_outcomes=nothing.json", "nothing.json: no such file"),
    ],
)
def test_events_that_make_no_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_rehearsal_event(text)


def test_what_a_rehearsal_lacks_is_told_before_it_begins(
    batch: Callable[..., Path], tmp_path: Path
) -> None:
    job = batch("behaves", "idle")
    # Colosseum's scenario 77 is none that phyemu ships, and there is no plan.
    with pytest.raises(ConfigError, match=r"RFScenario 77.*--scenario"):
        set_up_rehearsal(job, RehearsalSettings())
    with pytest.raises(ConfigError, match="all 5 nodes"):
        set_up_rehearsal(job, replace(QUICK, scenario="90001"))
    late = parse_rehearsal_event("5s:statistics")
    with pytest.raises(ConfigError, match=r"statistics at 5 s: the scenario runs for 0\.3 s"):
        set_up_rehearsal(job, replace(QUICK, events=(late,)))
    with pytest.raises(ConfigError, match="does not start over within"):
        set_up_rehearsal(job, replace(QUICK, discontinuity=True))
    with pytest.raises(ConfigError, match="boot_limit_s"):
        replace(QUICK, boot_limit_s=0.0)
    (job.parent / "config" / "node-2.conf").unlink()
    with pytest.raises(ConfigError, match=r"ModemConfig node-2\.conf is not in"):
        set_up_rehearsal(job, QUICK)


def test_radios_of_different_rates_share_no_air(batch: Callable[..., Path], tmp_path: Path) -> None:
    job = batch("behaves", "behaves")
    conf = RadioConf(role=Role.RECEIVE, radio=RadioSection(sample_rate_hz=2e5))
    write_radio_conf(conf, job.parent / "config" / "node-2.conf")
    with pytest.raises(ConfigError, match=r"node 1 0\.1 MHz, node 2 0\.2 MHz"):
        set_up_rehearsal(job, QUICK)
    assert set_up_rehearsal(job, replace(QUICK, sample_rate_hz=3e5)).air.sample_rate_hz == 3e5


def test_discontinuities_come_where_the_scenario_starts_over(batch: Callable[..., Path]) -> None:
    # urban-40db is 10 s long.
    settings = replace(QUICK, duration_s=30.0, discontinuity=True)
    events = set_up_rehearsal(batch("behaves", "idle"), settings).events
    assert [(event.time_s, event.script) for event in events] == [
        (10.0, "scenario_discontinuity"),
        (15.0, "statistics"),
        (20.0, "scenario_discontinuity"),
    ]


def test_discontinuities_without_end_are_refused(batch: Callable[..., Path]) -> None:
    job = batch(*["idle"] * 4, "behaves")
    # One step of a millisecond that is held: it starts over, and nobody could tell.
    static = replace(QUICK, scenario="90003", duration_s=60.0, discontinuity=True)
    with pytest.raises(ConfigError, match="scenario 90003 never changes"):
        set_up_rehearsal(job, static)
    long = replace(QUICK, scenario="urban-40db-5", duration_s=3600.0, discontinuity=True)
    with pytest.raises(ConfigError, match="starts over 3599 times within 3600 s, at most 1000"):
        set_up_rehearsal(job, long)


def test_the_command_s_exit_code_is_the_verdict(
    batch: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phyemu.batch.rehearse_job", partial(rehearse_job, open_air=Clock))
    job = str(batch("behaves", "refuses", max_restarts=0))
    common = ["--scenario", SCENARIO, "--duration", "0.2", "--quiet"]
    done = CliRunner().invoke(
        main, ["colosseum", "rehearse", job, "-o", str(tmp_path / "results"), *common]
    )
    assert done.exit_code == 1
    assert "node 1 (receive, phyemu-node): passed" in done.stdout
    assert "node 2 (receive, phyemu-node): FAILED, never READY" in done.stdout
    assert "failure: was ERROR and not READY" in done.stdout
    # The same again finds results, and says what to do in one line.
    again = ["colosseum", "rehearse", job, "-o", str(tmp_path / "results"), "--json", *common]
    done = CliRunner().invoke(main, again)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "--force" in done.stderr
    done = CliRunner().invoke(main, [*again, "--force"])
    assert done.exit_code == 1
    (told,) = json.loads(done.stdout)["jobs"]
    assert [node["passed"] for node in told["nodes"]] == [True, False]
    assert CliRunner().invoke(main, ["colosseum", "rehearse", "-o", "x"]).exit_code == 2
