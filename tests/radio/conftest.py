"""Fixtures of the radio tests: the fake driver, and UHD's own device simulator."""

import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from phyemu.errors import RadioError
from phyemu.iq import Recording, open_recording
from phyemu.radio.usrp_driver import load_driver

# The simulator is run by Debian's Python, whose packages pytest's does not have.
collect_ignore = ["uhd_simulator"]


def _load(name: str) -> ModuleType:
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"radio_tests_{name.replace('/', '_')}", path)
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
def simulator_packages() -> ModuleType:
    """Return the module that runs UHD's simulator; skip where UHD is not installed."""
    module = _load("uhd_simulator/running")
    missing = module.missing_packages()
    if missing:
        pytest.skip(missing)
    try:
        load_driver()
    except RadioError as error:  # built for Debian's Python, which may be another than this one
        pytest.skip(str(error))
    return module


@pytest.fixture(scope="session")
def simulator(simulator_packages: ModuleType) -> Callable[..., AbstractContextManager[Any]]:
    """Return what runs a simulator in a folder, wired, for as long as its context lasts."""
    run: Callable[..., AbstractContextManager[Any]] = simulator_packages.running_simulator
    return run


@pytest.fixture(scope="module")
def shared_simulator(
    simulator: Callable[..., AbstractContextManager[Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """Return a simulator that runs as long as the tests of a module do."""
    with simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def simulated_usrp(shared_simulator: Any) -> Iterator[Any]:
    """Return the module's simulator; what it wrote during a test that fails is shown."""
    if shared_simulator.process.poll() is not None:
        shared_simulator.start()  # a test has killed it
    before = len(shared_simulator.log())
    yield shared_simulator
    # A refused radio holds the device until its error is gone; UHD waits 20 s for a dead one.
    gc.collect()
    sys.stderr.write(shared_simulator.log()[before:])


@pytest.fixture
def uhd_simulator(simulated_usrp: Any) -> Callable[[Mapping[str, str], Mapping[str, str]], str]:
    """Return a function that wires the simulator and gives the arguments that open it.

    It takes the keys of the sample source and of the sink: `class`, one of `samples.py`, and what
    its constructor takes.
    """
    wire: Callable[[Mapping[str, str], Mapping[str, str]], str] = simulated_usrp.wire
    return wire
