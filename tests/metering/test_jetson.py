"""Against a stand-in for jtop as jetson-stats documents it (version 4 and later)."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from phyemu.errors import MeterError
from phyemu.metering import jetson
from phyemu.metering.jetson import JetsonMeter


class JtopError(Exception):
    """jtop.JtopException."""


class FakeJtop:
    """A connection to the service; `ok` waits for its next word."""

    powers_mw: list[int]
    open = 0
    refused = ""

    def __init__(self, interval: float) -> None:
        assert interval > 0
        self._told = itertools.chain(self.powers_mw, itertools.repeat(self.powers_mw[-1]))
        self.power: Any = None

    def start(self) -> None:
        if self.refused:
            raise JtopError(self.refused)
        type(self).open += 1

    def close(self) -> None:
        type(self).open -= 1

    def ok(self) -> bool:
        now = next(self._told)
        if now < 0:
            raise JtopError("Lost connection with jtop server")
        self.power = {
            "rail": {"VDD_SOC": {"power": 1310, "avg": 1310}},
            "tot": {"volt": 4968, "curr": 920, "power": now, "avg": now, "name": "VDD_IN"},
        }
        return now > 0


def service(*powers_mw: int, refused: str = "") -> type[FakeJtop]:
    """Return a class of connections to a service that tells these powers, the last for ever."""
    return type(
        "Service", (FakeJtop,), {"powers_mw": list(powers_mw), "open": 0, "refused": refused}
    )


def test_the_power_of_the_board_is_integrated() -> None:
    jtop = service(7400)
    meter = JetsonMeter(jtop, JtopError)
    assert not meter.modelled
    with meter.measure() as energy:
        pass
    assert energy.power_w == pytest.approx(7.4)
    assert jtop.open == 0


@pytest.mark.parametrize(
    ("powers", "message"),
    [((7400, -1), "Lost connection with jtop server"), ((7400, 0), "its service ended")],
)
def test_a_service_that_ends_in_the_block_is_an_error(
    powers: tuple[int, ...], message: str
) -> None:
    jtop = service(*powers)
    meter = JetsonMeter(jtop, JtopError)
    with pytest.raises(MeterError, match=message):
        with meter.measure():
            pass
    assert jtop.open == 0


def test_a_service_that_is_not_there_is_told_in_one_line() -> None:
    refused = "The jtop.service is not active. Please run:\nsudo jtop --install-service"
    with pytest.raises(MeterError, match=r"run: sudo jtop --install-service"):
        JetsonMeter(service(7400, refused=refused), JtopError)


def test_a_board_without_powers_is_refused() -> None:
    class Silent(service(7400)):  # type: ignore[misc]
        def ok(self) -> bool:
            self.power = {}
            return True

    with pytest.raises(MeterError, match="version 4 or later"):
        JetsonMeter(Silent, JtopError)


def test_without_the_extra_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(jetson, "import_module", missing)
    with pytest.raises(MeterError, match="pip3 install jetson-stats"):
        jetson.open_meter()


def test_the_installed_library_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(jtop=service(7400), JtopException=JtopError)
    monkeypatch.setattr(jetson, "import_module", lambda _: module)
    assert jetson.open_meter().name == "jetson-stats (whole board)"
