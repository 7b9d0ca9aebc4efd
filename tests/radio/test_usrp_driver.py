"""Finding and loading UHD's Python API."""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from phyemu.errors import RadioError
from phyemu.radio import find_usrps, usrp_driver
from phyemu.radio.usrp_config import default_lo_offset_hz, with_device_defaults
from phyemu.radio.usrp_driver import driver_folders, driver_version, load_driver


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide an installed UHD; return the folder that stands for the system's packages."""
    monkeypatch.delitem(sys.modules, "uhd", raising=False)
    monkeypatch.setattr(usrp_driver, "driver_folders", lambda: [tmp_path / "absent", tmp_path])
    monkeypatch.setattr(usrp_driver.importlib.util, "find_spec", lambda name: None)
    return tmp_path


@pytest.mark.usefixtures("no_driver")
def test_without_uhd_one_line_says_what_to_install() -> None:
    with pytest.raises(RadioError, match=r"not installed.*apt-get install python3-uhd"):
        load_driver()
    with pytest.raises(RadioError, match="not installed"):
        find_usrps()


def test_the_driver_is_found_in_the_systems_folder_and_nothing_else_is(no_driver: Path) -> None:
    (no_driver / "uhd").mkdir()
    (no_driver / "uhd" / "__init__.py").write_text("from . import types\nANSWER = 42\n")
    (no_driver / "uhd" / "types.py").write_text("")
    before = list(sys.path)
    try:
        assert load_driver().ANSWER == 42
        assert load_driver() is sys.modules["uhd"]
    finally:
        for name in ("uhd", "uhd.types"):
            sys.modules.pop(name, None)
    assert sys.path == before


def test_a_driver_for_another_python_is_refused_and_leaves_no_trace(no_driver: Path) -> None:
    (no_driver / "uhd").mkdir()
    (no_driver / "uhd" / "__init__.py").write_text("raise ImportError('no libpyuhd')\n")
    with pytest.raises(RadioError, match=r"does not load in Python 3\.\d+ \(no libpyuhd\)"):
        load_driver()
    assert "uhd" not in sys.modules


def test_debians_folder_is_among_those_searched() -> None:
    assert Path("/usr/lib/python3/dist-packages") in driver_folders()


@pytest.mark.skipif(np.__version__.startswith("1."), reason="NumPy 1 gives its table to everyone")
def test_numpys_table_is_lent_only_while_the_driver_loads() -> None:
    shim = vars(importlib.import_module("numpy.core._multiarray_umath"))
    assert "_ARRAY_API" not in shim
    with usrp_driver._numpy_table_for_old_extensions():
        assert "_ARRAY_API" in shim
    assert "_ARRAY_API" not in shim


def test_devices_are_listed_with_what_opens_them(fake_uhd: ModuleType) -> None:
    devices = find_usrps("type=b200", uhd=fake_uhd.FakeUhd())
    assert [device.args for device in devices] == ["type=b200,serial=F4KE"]
    assert devices[0].fields["product"] == "B210"
    assert find_usrps(uhd=fake_uhd.FakeUhd(devices=0)) == []


def test_an_embedded_device_is_opened_at_its_management_address() -> None:
    fields = {"type": "e3xx", "mgmt_addr": "10.0.0.7", "serial": "31F0", "product": "e320"}
    found = [SimpleNamespace(to_dict=lambda: fields)]
    (device,) = find_usrps(uhd=SimpleNamespace(find=lambda args: found))
    assert device.args == "type=e3xx,addr=10.0.0.7,serial=31F0"


def test_malformed_arguments_are_refused() -> None:
    def find(args: str) -> list[object]:
        raise RuntimeError("invalid args string: " + args)

    with pytest.raises(RadioError, match="invalid args string: ,,="):
        find_usrps(",,=", uhd=SimpleNamespace(find=find))


def test_a_driver_that_tells_no_version_is_asked_by_its_tool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "uhd_config_info"
    tool.write_text("#!/bin/sh\necho 'UHD 4.9.0.0-test'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert driver_version(SimpleNamespace()) == "4.9.0.0-test"
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert driver_version(SimpleNamespace()) == "unknown"
    assert driver_version(SimpleNamespace(get_version_string=lambda: "4.6")) == "4.6"


@pytest.mark.parametrize(
    ("given", "kind", "args"),
    [
        ("", "b200", "num_recv_frames=512,num_send_frames=512"),
        ("num_send_frames=9,num_recv_frames=8", "b200", "num_send_frames=9,num_recv_frames=8"),
        ("addr=192.168.40.2", "x300", "addr=192.168.40.2"),
    ],
)
def test_a_device_type_gets_what_it_needs_and_keeps_what_was_given(
    given: str, kind: str, args: str
) -> None:
    assert with_device_defaults(given, kind) == args


@pytest.mark.parametrize(
    ("board", "front_end", "rate", "transmit", "offset"),
    [
        ("X310", "UBX-160 RX", 20e6, False, 42e6),
        ("X310", "UBX-160 TX", 20e6, True, -42e6),
        # 42 MHz and half of 100 MHz lie outside the 80 MHz that its filter passes.
        ("X310", "UBX-160 RX", 100e6, False, 0.0),
        ("X310", "TwinRX", 20e6, False, 0.0),
        ("B210", "FE-RX1", 20e6, False, 0.0),
    ],
)
def test_the_lo_offset_suits_the_device(
    board: str, front_end: str, rate: float, transmit: bool, offset: float
) -> None:
    assert default_lo_offset_hz(board, front_end, rate, transmit=transmit) == offset
