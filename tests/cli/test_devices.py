"""`phyemu devices`."""

import json

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu import radio
from phyemu.errors import RadioError
from phyemu.radio import UsrpDevice

B210 = UsrpDevice("type=b200,serial=F4KE", {"type": "b200", "serial": "F4KE"})


def test_usrps_and_worlds_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(radio, "find_usrps", lambda args: [B210])
    result = CliRunner().invoke(main, ["devices"])
    assert result.exit_code == 0, result.output
    assert "--usrp 'type=b200,serial=F4KE'  type=b200 serial=F4KE" in result.stdout
    assert "--emulated office-nlos-world" in result.stdout
    answer = json.loads(CliRunner().invoke(main, ["devices", "--json"]).stdout)
    assert answer["usrps"] == [{"args": B210.args, "type": "b200", "serial": "F4KE"}]
    assert answer["usrp_problem"] is None


def test_without_uhd_the_worlds_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(args: str) -> list[UsrpDevice]:
        raise RadioError("UHD's Python API is not installed; install it with: apt-get")

    monkeypatch.setattr(radio, "find_usrps", missing)
    result = CliRunner().invoke(main, ["devices"])
    assert result.exit_code == 0, result.output
    assert "no USRP: UHD's Python API is not installed; install it with" in result.stdout
    assert "office-los-world" in result.stdout
    answer = json.loads(CliRunner().invoke(main, ["devices", "--json"]).stdout)
    assert "not installed" in answer["usrp_problem"]
    assert "office-los-world" in answer["worlds"]
