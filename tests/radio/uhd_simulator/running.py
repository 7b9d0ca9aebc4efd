"""UHD's device simulator as a process of its own: started, given samples, stopped.

The simulator's ports are fixed, so one runs at a time on a machine: a lock keeps the rest waiting,
also other test runs and the benchmarks.
"""

import fcntl
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent
DEBIAN_PYTHON = "/usr/bin/python3"
PACKAGES = (
    "uhd-host python3-uhd python3-gevent python3-pyudev python3-pyroute2 python3-netaddr "
    "python3-six python3-systemd python3-msgpack"
)
DISCOVERY_PORT = 49600
# Discovery, control, samples.
PORTS = (
    (socket.SOCK_DGRAM, DISCOVERY_PORT),
    (socket.SOCK_STREAM, 49601),
    (socket.SOCK_DGRAM, 49153),
)
START_S = 30.0
LOCK_S = 600.0


class SimulatorError(RuntimeError):
    """The simulator does not start."""


def missing_packages() -> str:
    """Return why the simulator cannot run here; empty if it can."""
    code = "import gevent, msgpack, pyroute2, pyudev, netaddr, systemd, uhd, importlib.util as u\n"
    code += "assert u.find_spec('usrp_mpm')"
    try:
        done = subprocess.run([DEBIAN_PYTHON, "-c", code], capture_output=True, timeout=60)
    except FileNotFoundError:
        return f"no {DEBIAN_PYTHON}: UHD's simulator comes with Debian's Python packages"
    return f"UHD's simulator needs: apt-get install {PACKAGES}" if done.returncode else ""


LOOP = ({"class": "LoopSource"}, {"class": "LoopSink"})


class Simulator:
    """A running simulator: an E320 with the serial number PHYEMU0."""

    args = "addr=127.0.0.1"

    def __init__(self, folder: Path) -> None:
        """Prepare the simulator's files in a folder of its own."""
        self.folder = folder
        self._wiring, self._log = folder / "wiring.json", folder / "simulator.log"
        self._config = folder / "simulator.ini"
        samples = {"import_path": str(FOLDER / "samples.py"), "wiring": str(self._wiring)}
        sections = {
            "hardware": {"preset": "E320", "serial_num": "PHYEMU0"},
            "sample.source": {"class": "wired_source"} | samples,
            "sample.sink": {"class": "wired_sink"} | samples,
        }
        self._config.write_text(
            "\n".join(
                line
                for name, values in sections.items()
                for line in (f"[{name}]", *(f"{key}={value}" for key, value in values.items()))
            )
        )
        self._number = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.wire(*LOOP)

    def wire(self, source: Mapping[str, str], sink: Mapping[str, str]) -> str:
        """Connect what the next streams receive and send; return the arguments of the device.

        Args:
            source: The class of `samples.py` to receive from, and what its constructor takes.
            sink: The same for what is sent.
        """
        self._number += 1
        wiring = {"number": self._number, "source": dict(source), "sink": dict(sink)}
        written = self._wiring.with_suffix(".new")
        written.write_text(json.dumps(wiring))
        written.replace(self._wiring)
        return self.args

    def log(self) -> str:
        """Return what the simulator wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        taken = [port for kind, port in PORTS if not _is_free(kind, port)]
        if taken:
            raise SimulatorError(
                f"UHD's simulator needs the ports {taken}, which another program has: "
                "end it (another simulator?)"
            )
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [DEBIAN_PYTHON, str(FOLDER / "daemon.py"), str(self._config)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_S
        while not ("simulator is ready" in self.log() and _is_found()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                log_end = self.log()[-2000:]
                self.kill()
                raise SimulatorError(f"UHD's simulator does not start: {log_end}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Let the device vanish, as when its power fails."""
        if self.process is not None:
            self.process.kill()  # its own processes follow it
            self.process.wait()
        deadline = time.monotonic() + 10
        while not all(_is_free(kind, port) for kind, port in PORTS):
            if time.monotonic() > deadline:
                raise SimulatorError("the simulator was killed, but its ports stay taken")
            time.sleep(0.02)


def _is_found() -> bool:
    # Its discovery is a process that begins after it says that it is ready, and what UHD asks
    # before that process has its port is lost.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(("127.0.0.1", DISCOVERY_PORT))
            probe.send(b"MPM-DISC")
            return probe.recv(9000).startswith(b"USRP-MPM")
        except OSError:  # nobody has the port yet, or no answer in time
            return False


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed ones linger
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


@contextmanager
def running_simulator(
    folder: Path, source: Mapping[str, str] = LOOP[0], sink: Mapping[str, str] = LOOP[1]
) -> Iterator[Simulator]:
    """Start a simulator when nobody else's runs, wired as told, and stop it in the end."""
    with _alone():
        simulator = Simulator(folder)
        simulator.wire(source, sink)
        try:
            simulator.start()
            yield simulator
        finally:
            simulator.kill()


@contextmanager
def _alone() -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / "phyemu-uhd-simulator.lock"
    with path.open("a+") as lock:
        deadline = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SimulatorError(
                        f"another run has held UHD's simulator for {LOCK_S:g} s ({path})"
                    ) from None
                time.sleep(0.1)
        yield
