"""Fixtures of the radio tests: the fake driver, and UHD's own device simulator."""

import fcntl
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from phyemu.iq import Recording, open_recording

# The simulator is run by Debian's Python, whose packages pytest's does not have.
collect_ignore = ["uhd_simulator"]

_SIMULATOR = Path(__file__).with_name("uhd_simulator")
_DEBIAN_PYTHON = "/usr/bin/python3"
_PACKAGES = (
    "uhd-host python3-uhd python3-gevent python3-pyudev python3-pyroute2 python3-netaddr "
    "python3-six python3-systemd python3-msgpack"
)
_START_S = 20.0


def _load(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"radio_tests_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fake_uhd() -> ModuleType:
    """Return the module that defines the fake driver and its scripted faults."""
    return _load("fake_uhd")


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Recording]]:
    """Return a function that opens a recording, which is closed after the test."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(open_recording(path))


@pytest.fixture(scope="session")
def simulator_packages() -> None:
    """Skip where UHD and its simulator are not installed."""
    code = "import gevent, msgpack, pyroute2, pyudev, netaddr, systemd, uhd, importlib.util as u\n"
    code += "assert u.find_spec('usrp_mpm')"
    try:
        done = subprocess.run([_DEBIAN_PYTHON, "-c", code], capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"no {_DEBIAN_PYTHON}: UHD's simulator comes with Debian's Python packages")
    if done.returncode:
        pytest.skip(f"UHD's simulator needs Debian's packages: apt-get install {_PACKAGES}")


@contextmanager
def _running(folder: Path, source: Mapping[str, str], sink: Mapping[str, str]) -> Iterator[None]:
    sections = {
        "hardware": {"preset": "E320", "serial_num": "PHYEMU0"},
        "sample.source": {"import_path": str(_SIMULATOR / "samples.py")} | dict(source),
        "sample.sink": {"import_path": str(_SIMULATOR / "samples.py")} | dict(sink),
    }
    lines = [
        line
        for name, values in sections.items()
        for line in (f"[{name}]", *(f"{key}={value}" for key, value in values.items()))
    ]
    config, log = folder / "simulator.ini", folder / "simulator.log"
    config.write_text("\n".join(lines))
    # The simulator's ports are fixed: one at a time, also among parallel test runs.
    lock_path = Path(tempfile.gettempdir()) / "phyemu-uhd-simulator.lock"
    with lock_path.open("w") as lock, log.open("w") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [_DEBIAN_PYTHON, str(_SIMULATOR / "daemon.py"), str(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + _START_S
            while "simulator is ready" not in log.read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"UHD's simulator does not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def simulator() -> Callable[[Path, Mapping[str, str], Mapping[str, str]], AbstractContextManager]:
    """Return what runs the simulator for as long as its context lasts."""
    return _running


@pytest.fixture
def uhd_simulator(
    simulator_packages: None, tmp_path: Path
) -> Iterator[Callable[[Mapping[str, str], Mapping[str, str]], str]]:
    """Return a function that starts the simulator and gives the arguments that open it.

    It takes the keys of the sample source and of the sink: `class`, one of `samples.py`, and what
    its constructor takes.
    """
    with ExitStack() as stack:

        def start(source: Mapping[str, str], sink: Mapping[str, str]) -> str:
            stack.enter_context(_running(tmp_path, source, sink))
            return "addr=127.0.0.1"

        yield start
