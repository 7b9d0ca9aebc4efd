"""What the doctor sees."""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from phyemu import metering
from phyemu.errors import MeterError, RadioError
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
    expected |= {
        "energy",
        "ZeroMQ",
        "CPU governor",
        "priority",
        "net.core.rmem_max",
        "net.core.wmem_max",
    }
    assert set(findings) - {"USB"} == expected
    assert all(finding.state for finding in findings.values())
    assert findings["torch"].level is Level.OK


def test_a_meter_of_energy_is_named_or_why_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: dict[str, str] = {}

    def open_meter(name: str) -> SimpleNamespace:
        if name not in answers:
            raise MeterError(f"no {name}; do this")
        return SimpleNamespace(name=answers[name])

    monkeypatch.setattr(metering, "meter_names", lambda: ["nvml", "rapl"])
    monkeypatch.setattr(metering, "open_meter", open_meter)
    assert diagnosis._energy() == Finding(
        "energy",
        Level.NOTE,
        "no meter; energies are those of stated powers",
        "nvml: no nvml; do this; rapl: no rapl; do this",
    )
    answers["rapl"] = "RAPL (package-0)"
    assert diagnosis._energy() == Finding("energy", Level.OK, "RAPL (package-0)")


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


@pytest.mark.parametrize(
    ("vendor", "speed", "levels"),
    [
        ("2500", "5000", [Level.OK]),
        ("3923", "480", [Level.PROBLEM]),
        ("1d6b", "480", []),
        ("2500", "", []),
    ],
)
def test_a_usrp_on_usb_2_is_a_problem(
    tmp_path: Path, vendor: str, speed: str, levels: list[Level]
) -> None:
    device = tmp_path / "2-1"
    device.mkdir()
    (device / "idVendor").write_text(f"{vendor}\n")
    (device / "speed").write_text(f"{speed}\n")
    (tmp_path / "2-1:1.0").mkdir()
    found = diagnosis._usb_speeds(tmp_path)
    assert [finding.level for finding in found] == levels
    assert all(f"2-1 runs at {speed} Mbit/s" in finding.state for finding in found)


@pytest.mark.parametrize(
    ("limit", "user", "level"), [(0, 1000, Level.NOTE), (99, 1000, Level.OK), (0, 0, Level.OK)]
)
def test_a_user_without_real_time_priority_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, limit: int, user: int, level: Level
) -> None:
    monkeypatch.setattr(diagnosis.resource, "getrlimit", lambda kind: (limit, limit))
    monkeypatch.setattr(diagnosis.os, "geteuid", lambda: user)
    found = diagnosis._real_time()
    assert found.level is level
    assert ("usermod" in found.remedy) == (level is Level.NOTE)


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
