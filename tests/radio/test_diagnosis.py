"""What the doctor sees."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from phyemu.errors import RadioError
from phyemu.radio import diagnosis
from phyemu.radio.diagnosis import Finding, Level, diagnose


def no_driver() -> ModuleType:
    raise RadioError("UHD's Python API is not installed; install it with: apt-get")


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    monkeypatch.setattr(diagnosis, "load_driver", no_driver)
    return {finding.subject: finding for finding in diagnose(tmp_path)}


def test_everything_that_matters_is_looked_at(findings: dict[str, Finding]) -> None:
    expected = {"Python", "numpy", "torch", "numba", "sigmf", "h5py", "CUDA", "UHD", "disk"}
    expected |= {"ZeroMQ", "CPU governor", "net.core.rmem_max", "net.core.wmem_max"}
    assert set(findings) == expected
    assert all(finding.state for finding in findings.values())
    assert findings["torch"].level is Level.OK


def test_a_missing_driver_is_a_note_with_its_remedy(findings: dict[str, Finding]) -> None:
    assert findings["UHD"] == Finding(
        "UHD", Level.NOTE, "UHD's Python API is not installed", "install it with: apt-get"
    )


def test_without_pyzmq_there_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    found = diagnosis._zeromq()
    assert found.level is Level.NOTE
    assert found.remedy.endswith("pip install 'phyemu[live]'")


def test_the_disk_is_measured_and_left_as_it_was(
    findings: dict[str, Finding], tmp_path: Path
) -> None:
    assert "MB/s" in findings["disk"].state
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    found = diagnosis._disk(tmp_path / "absent")
    assert found.level is Level.PROBLEM
    assert "No such file" in found.state


def test_a_package_that_does_not_load_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(importlib, "import_module", fail)
    found = diagnosis._package("torch")
    assert found.level is Level.PROBLEM
    assert found.remedy == "install it: python -m pip install torch"


def test_devices_that_answer_are_listed(
    monkeypatch: pytest.MonkeyPatch, fake_uhd: ModuleType
) -> None:
    monkeypatch.setattr(diagnosis, "load_driver", fake_uhd.FakeUhd)
    driver, device = diagnosis._usrps()
    assert (driver.level, driver.state) == (Level.OK, "4.3.0.0-fake")
    assert (device.level, device.state) == (Level.OK, "type=b200,serial=F4KE")
    monkeypatch.setattr(diagnosis, "load_driver", lambda: fake_uhd.FakeUhd(devices=0))
    assert diagnosis._usrps()[1].state == "none answers"


def test_a_finding_is_json(findings: dict[str, Finding]) -> None:
    assert findings["CUDA"].to_dict()["level"] in {"ok", "note", "problem"}
