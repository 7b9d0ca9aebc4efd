"""`pytest --must-run MARKER`, by which `.ci/run` refuses that what it installed for is skipped."""

from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Any:
    """Return the watcher of tests marked `usrp`."""
    plugins = request.config.pluginmanager.get_plugins()
    (conftest,) = (plugin for plugin in plugins if hasattr(plugin, "MustRun"))
    return conftest.MustRun(["usrp"])


def report(when: str, *, skipped: bool = False, marker: str = "usrp") -> SimpleNamespace:
    return SimpleNamespace(
        keywords={marker: 1},
        when=when,
        skipped=skipped,
        longrepr=("file", 1, "Skipped: no UHD"),
        nodeid="test_it",
    )


def exit_status(watch: Any) -> int:
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    watch.pytest_sessionfinish(session)
    return int(session.exitstatus)


def test_tests_that_ran_satisfy_it(watch: Any) -> None:
    for when in ("setup", "call", "teardown"):
        watch.pytest_runtest_logreport(report(when))
    watch.pytest_runtest_logreport(report("setup", skipped=True, marker="gpu"))
    assert exit_status(watch) == 0
    assert watch.ran == {"usrp": 1}


def test_a_skipped_test_fails_the_run_with_its_reason(watch: Any) -> None:
    watch.pytest_runtest_logreport(report("call"))
    watch.pytest_runtest_logreport(report("setup", skipped=True))
    assert exit_status(watch) == 1
    assert watch.skipped == {"usrp": ["test_it (Skipped: no UHD)"]}


def test_no_test_at_all_fails_the_run(watch: Any) -> None:
    watch.pytest_runtest_logreport(report("call", marker="gpu"))
    assert exit_status(watch) == 1
