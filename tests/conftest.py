"""Fixtures that every test may use."""

import importlib.util
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import hypothesis
import pytest
import torch

if TYPE_CHECKING:
    from tests.untrained_chain import UntrainedChain

# A busy machine is no fault of the code, and a gate answers the same twice. Who looks for faults
# wants other examples each time, and more of them.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1500)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

# In the background of a shell Ctrl-C is ignored, and would be in every process that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded torch generator on the CPU."""
    return torch.Generator().manual_seed(20260101)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Return each device in turn; CUDA is skipped where there is none."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device(request.param)


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real data; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data not found at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def untrained_chain(tmp_path_factory: pytest.TempPathFactory) -> "UntrainedChain":
    """Return a network on three devices in a run folder, made in a moment."""
    from tests.untrained_chain import export_untrained_chain

    return export_untrained_chain(tmp_path_factory.mktemp("runs") / "chain")


@pytest.fixture(scope="session")
def wifi_transmitter() -> ModuleType:
    """Return the module that makes 802.11 frames from the standard's equations."""
    path = Path(__file__).parent / "wifi" / "transmitter.py"
    spec = importlib.util.spec_from_file_location("wifi_tests_transmitter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which a gate refuses that tests skip."""
    parser.addoption(
        "--must-run",
        action="append",
        default=[],
        metavar="MARKER",
        help="Fail unless tests with this marker ran, every one that was selected.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch the tests that must run, in the process that gathers the results of all."""
    markers = config.getoption("--must-run")
    if markers and not hasattr(config, "workerinput"):
        config.pluginmanager.register(MustRun(markers))


class MustRun:
    """Fails the run where tests of some markers were skipped, or where there was none."""

    def __init__(self, markers: list[str]) -> None:
        """Watch the tests with these markers."""
        self.ran: Counter[str] = Counter(dict.fromkeys(markers, 0))
        self.skipped: dict[str, list[str]] = {marker: [] for marker in markers}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ran, or note one that was skipped."""
        for marker in self.ran:
            if marker not in report.keywords:
                continue
            if report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
                self.skipped[marker].append(f"{report.nodeid} ({reason})")
            elif report.when == "call":
                self.ran[marker] += 1

    @property
    def failed(self) -> bool:
        """Return whether tests that must run did not."""
        return any(self.skipped.values()) or not all(self.ran.values())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the run fail."""
        if self.failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many ran, and which did not."""
        for marker, count in self.ran.items():
            terminalreporter.write_line(f"--must-run={marker}: {count} tests ran")
            for skipped in self.skipped[marker]:
                terminalreporter.write_line(f"--must-run={marker}: skipped {skipped}", red=True)
