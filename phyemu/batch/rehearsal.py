"""A whole batch job on one machine, as Colosseum plays it: `rehearse_job`.

Boot, READY check, start.sh on all nodes, the scenario with its updates, stop.sh, two minutes of
clean-up at most, and then the end of everything that still runs. Each node is a folder with the
files of its image and the daemon of the real node in it; the air between them is the emulator's
twin. Times of the scenario are the air's, which is slower than real time where the machine is; what
Colosseum measures with its clock (boot, scripts, clean-up) is measured with the clock here, too.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from phyemu.batch.air import AirSettings, AirStatistics
from phyemu.batch.air_process import AirProcess, RehearsalAir
from phyemu.batch.rehearsal_content import install_content
from phyemu.batch.rehearsal_record import RehearsalRecord
from phyemu.batch.rehearsal_result import RehearsalResult, RehearsedLoop
from phyemu.batch.rehearsal_setup import RehearsalEvent, RehearsalSettings, RehearsalSetup
from phyemu.batch.rehearsed_node import RehearsedNode, ScriptCall
from phyemu.errors import ConfigError, TransportError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.whole_file import write_whole

__all__ = ["check_output", "rehearse_job"]

_POLL_S = 0.05
# status.sh is asked this often while something is awaited, and while the scenario runs [s].
_STATUS_S = 0.5
_STATUS_RUNNING_S = 5.0
# A node's last lines are on the disk so long after it has said how it ended [s].
_SETTLE_S = 5.0
_ENDED = ("FINISHED", "ERROR", "OFF")
# What a node that nothing listens to, or that may not transmit, is given as its other end.
_NOWHERE = 9


def check_output(setups: Sequence[RehearsalSetup], output: Path, *, force: bool = False) -> None:
    """Refuse results that are there, or that two jobs would write to one place.

    Raises:
        ConfigError: The results of one of the jobs exist, or two jobs have one name.
    """
    places: dict[Path, Path] = {}
    for setup in setups:
        folder = _results_folder(setup, output)
        if folder in places:
            raise ConfigError(
                f"{places[folder]} and {setup.job_file} would both write to {folder}; rehearse "
                "them one by one, with outputs of their own"
            )
        places[folder] = setup.job_file
        if folder.exists() and not force:
            raise ConfigError(f"{folder}: exists; give another output, or --force")


def rehearse_job(
    setup: RehearsalSetup,
    settings: RehearsalSettings,
    output: Path,
    *,
    force: bool = False,
    progress: ProgressCallback = no_progress,
    open_air: Callable[[AirSettings], RehearsalAir] = AirProcess,
) -> RehearsalResult:
    """Play a job, and return how every node did.

    The results lie in `output/RESERVATION-rehearsal-NAME` as Colosseum leaves them in the team's
    storage, with `rehearsal.json` beside them. However it ends, nothing that was started here runs
    on; after Ctrl-C nothing is written either. Where the air fails on the way, what the nodes wrote
    until then is kept beside `output`, and the error says where.

    Args:
        setup: The job and what it needs.
        settings: How it is rehearsed.
        output: Where the results go; it is made.
        force: Replace results that are there.
        progress: Called with the stage, and seconds of it that have passed.
        open_air: Opens what is between the radios.

    Raises:
        ConfigError: The results exist, another rehearsal writes to `output`, or the content of an
            image is damaged.
        TransportError: The air failed, or pyzmq is missing.
        OSError: A folder cannot be written.
    """
    check_output([setup], output, force=force)
    folder = _results_folder(setup, output)
    with _alone_in(output):
        # The roots lie beside the results, so that logs of any size are moved and not copied.
        partial = output.absolute() / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        booted = False
        try:
            with open_air(setup.air) as air:
                rehearsal = _Rehearsal(setup, settings, air, partial / "roots", progress)
                booted = True
                rehearsal.play()
            result = rehearsal.result(folder)
            _lay_out(setup, rehearsal.nodes, result, partial)
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
        except (TransportError, OSError) as error:
            if not booted:
                raise
            # Not in `output`: it is no result that somebody should collect.
            kept = output.absolute().with_name(f"{output.absolute().name}-failed") / folder.name
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            shutil.move(partial, kept)
            raise TransportError(f"{error}; what the nodes wrote is in {kept}") from error
        finally:
            # It has another name by now where something of it is kept.
            shutil.rmtree(partial, ignore_errors=True)
    return result


def _results_folder(setup: RehearsalSetup, output: Path) -> Path:
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", setup.job.name)
    return output / f"RESERVATION-rehearsal-{name}"


@contextmanager
def _alone_in(output: Path) -> Iterator[None]:
    """Make a folder and be the only rehearsal in it; another would delete this one's nodes."""
    output.mkdir(parents=True, exist_ok=True)
    folder = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{output}: another rehearsal writes there; give another output, or wait for it"
            ) from error
        except OSError:
            pass  # Network file systems may lock no folders.
        yield
    finally:
        os.close(folder)
        # Only a folder to which nothing was written goes.
        with suppress(OSError):
            output.rmdir()


class _Rehearsal:
    """A rehearsal under way."""

    def __init__(
        self,
        setup: RehearsalSetup,
        settings: RehearsalSettings,
        air: RehearsalAir,
        roots: Path,
        progress: ProgressCallback,
    ) -> None:
        self._setup = setup
        self._settings = settings
        self._air = air
        self._progress = progress
        numbers = [node.rf_node for node in setup.job.nodes]
        self._record = RehearsalRecord(numbers)
        self._loops: list[RehearsedLoop] = []
        self.nodes = [
            RehearsedNode(number, roots / f"node-{number}", self._variables(number))
            for number in numbers
        ]
        self._pool = ThreadPoolExecutor(len(numbers), thread_name_prefix="phyemu-rehearse")

    def _variables(self, number: int) -> dict[str, str]:
        ports = self._air.ports
        send = ports["send"].get(str(number), _NOWHERE)
        receive = ports["receive"].get(str(number), _NOWHERE)
        radio = {
            "send": f"zmq+push://127.0.0.1:{send}?connect",
            "receive": f"zmq+pull://127.0.0.1:{receive}",
            "sample_rate_hz": self._setup.air.sample_rate_hz,
        }
        return {"PHYEMU_NODE_RADIO": json.dumps(radio)}

    def play(self) -> None:
        """Play all of it; however it ends, every process of the nodes is gone then."""
        try:
            self._boot()
            for loop in range(1, self._setup.job.num_loops + 1):
                self._play_loop(loop)
            self._settle()
        finally:
            with _uninterrupted():
                self._pool.shutdown(wait=False, cancel_futures=True)
                for node in self.nodes:
                    self._record.killed(node, node.kill())
                self._pool.shutdown()
                for node in self.nodes:
                    # What a script started that was under way.
                    node.kill()

    def _boot(self) -> None:
        images = {node.rf_node: node.image for node in self._setup.job.nodes}
        for node in self.nodes:
            image = images[node.number]
            if (source := self._setup.content.get(image)) is not None:
                install_content(source, node.layout.root, self._setup.planned.get(image))
            shutil.copyfile(self._setup.confs[node.number], node.layout.radio_conf)
            node.layout.colosseum_config.write_text(self._colosseum_config(), encoding="utf-8")
        self._record.began_s = time.monotonic()
        for node in self.nodes:
            self._record.note("boot", node)
            node.boot()
        self._await(("READY", "ERROR", "FINISHED"), self._settings.boot_limit_s, "boot")
        for node in self.nodes:
            self._record.checked_ready(node)

    def _colosseum_config(self) -> str:
        scenario = self._setup.scenario
        return (
            f"[RF]\ncenter_frequency = {scenario.center_frequency_hz:.0f}\n"
            f"rf_bandwidth = {scenario.bandwidth_hz:.0f}\n\n"
            # Nobody is there; the section is what a node finds at Colosseum.
            "[COLLABORATION]\ncollab_server_ip = 127.0.0.1\ncollab_server_port = 5556\n"
            "collab_client_port = 5557\ncollab_peer_port = 5558\n"
        )

    def _play_loop(self, loop: int) -> None:
        record = self._record
        if loop > 1:
            self._check_ready_again(loop)
        self._call_all("start")
        # However long a machine takes to begin, the scenario is for those who have.
        limit_s = self._settings.start_limit_s
        self._await(("ACTIVE", *_ENDED), limit_s, "start")
        for node in self.nodes:
            state = record.states[node.number]
            if state not in ("ACTIVE", *_ENDED):
                record.remark(
                    node,
                    f"was {state or 'silent'} and not ACTIVE {limit_s:g} s after start.sh of loop "
                    f"{loop}, when the scenario began",
                )
        self._air.start()
        record.scenario_s = 0.0
        record.note("air", loop=loop, state="started")
        at_stop = self._run_scenario()
        self._call_all("stop")
        self._await(_ENDED, self._settings.clean_up_s, "clean-up")
        record.scenario_s = None
        at_end = self._air.end()
        record.note("air", loop=loop, state="ended")
        record.played(loop, at_end, self._setup.air.patience_s)
        self._loops.append(RehearsedLoop(at_stop=at_stop, at_end=at_end))

    def _settle(self) -> None:
        """Give nodes that have ended the moment that their last lines take to the disk.

        At Colosseum they have what is left of the two minutes.
        """
        deadline = time.monotonic() + _SETTLE_S
        states = self._record.states
        while any(
            states[node.number] in _ENDED and node.written_state() != states[node.number]
            for node in self.nodes
        ):
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)

    def _check_ready_again(self, loop: int) -> None:
        """Note who is not READY for another loop, as Colosseum wants it."""
        self._ask_states()
        for node in self.nodes:
            state = self._record.states[node.number]
            self._record.note("ready-check", node, state=state)
            if state == "FINISHED":
                self._record.remark(
                    node, f"was FINISHED before loop {loop}; Colosseum's documentation wants READY"
                )
            elif state != "READY":
                self._record.fail(node, f"was {state or 'silent'} and not READY for loop {loop}")

    def _run_scenario(self) -> AirStatistics:
        duration_s = self._setup.duration_s
        events = list(self._setup.events)
        asked_s = time.monotonic()
        while True:
            now = self._air.statistics()
            position_s = self._record.scenario_s = 0.0 if now is None else now.position_s
            self._progress(
                "scenario",
                round(min(position_s, duration_s)),
                round(duration_s),
                "" if now is None else f"real time x {now.real_time_ratio:.2f}",
            )
            while events and events[0].time_s <= position_s:
                self._happen(events.pop(0))
            if now is not None and position_s >= duration_s:
                return now
            if time.monotonic() - asked_s > _STATUS_RUNNING_S:
                self._ask_states()
                asked_s = time.monotonic()
            time.sleep(_POLL_S)

    def _happen(self, event: RehearsalEvent) -> None:
        if event.input is not None:
            for node in self.nodes:
                shutil.copyfile(event.input, node.layout.radio_api / event.input_name)
        self._call_all(event.script)

    def _await(self, states: tuple[str, ...], limit_s: float, stage: str) -> None:
        """Ask for the states until all nodes are in one of these, or the time is over."""
        began_s = time.monotonic()
        while True:
            self._ask_states()
            passed_s = time.monotonic() - began_s
            there = self._record.states.values()
            self._progress(stage, round(passed_s), round(limit_s), " ".join(there))
            if passed_s >= limit_s or all(state in states for state in there):
                return
            time.sleep(min(_STATUS_S, limit_s - passed_s))

    def _ask_states(self) -> None:
        for node in self.nodes:
            if node.tend():
                self._record.note("daemon-restarted", node)
        for node, call in self._call_all("status"):
            self._record.in_state(node, *call.state())

    def _call_all(self, script: str) -> list[tuple[RehearsedNode, ScriptCall]]:
        """Call a script on all nodes at once."""

        def call(node: RehearsedNode) -> ScriptCall:
            done = node.call(script)
            self._record.called(node, done)
            return done

        return list(zip(self.nodes, self._pool.map(call, self.nodes), strict=True))

    def result(self, folder: Path) -> RehearsalResult:
        """Return what was found; `folder` is where the results are to lie."""
        setup = self._setup
        return RehearsalResult(
            job=setup.job.name,
            scenario=setup.scenario.name,
            sample_rate_hz=setup.air.sample_rate_hz,
            duration_s=setup.duration_s,
            loops=tuple(self._loops),
            nodes=tuple(
                self._record.verdict(
                    node,
                    role=str(setup.roles[node.number]),
                    image=entry.image,
                    num_loops=setup.job.num_loops,
                )
                for node, entry in zip(self.nodes, setup.job.nodes, strict=True)
            ),
            timeline=tuple(self._record.timeline),
            folder=folder,
        )


def _lay_out(
    setup: RehearsalSetup, nodes: list[RehearsedNode], result: RehearsalResult, folder: Path
) -> None:
    """Arrange a folder as Colosseum leaves one in the team's storage; it holds the roots."""
    inputs = folder / "Inputs"
    inputs.mkdir()
    shutil.copyfile(setup.job_file, inputs / "batch_input.json")
    srns = {str(node.number): node.number for node in nodes}
    write_whole(
        inputs / "match_conf.json", json.dumps({"node_to_srn_mapping": srns}, indent=2) + "\n"
    )
    for node, entry in zip(nodes, setup.job.nodes, strict=True):
        name = f"rehearsal-{entry.image}-srn{node.number}-RESrehearsal"
        node.layout.logs.rename(folder / name)
    result.write(folder / "rehearsal.json")
    shutil.rmtree(folder / "roots")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let nothing interrupt; whoever asked for the end gets it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
