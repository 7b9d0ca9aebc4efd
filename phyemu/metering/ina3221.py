"""Power of a Jetson board by its INA3221 monitors, as the kernel shows them below /sys.

Two drivers exist. From JetPack 5 on, a monitor is a hwmon device: `in<n>_label` names a rail,
`in<n>_input` is its voltage [mV], `curr<n>_input` its current [mA]. JetPack 4 has an industrial I/O
device: `rail_name_<n>`, and `in_power<n>_input` [mW]. The rail of the whole board is `VDD_IN`
(TX2, Xavier NX, Orin NX and Nano) or `POM_5V_IN` (Nano); boards of the AGX family have none, and
their rails are summed.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from phyemu.errors import MeterError

from .energy import Energy
from .sampling import measure_power

__all__ = ["Ina3221Meter", "open_meter"]

_ROOT = Path("/sys/bus/i2c/devices")
_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
_INTERVAL_S = 0.01


@dataclass(frozen=True, slots=True)
class _Rail:
    """A rail: its power is the product of what the files hold, times `scale` [W]."""

    name: str
    files: tuple[Path, ...]
    scale: float

    def read_w(self) -> float:
        power = self.scale
        for path in self.files:
            power *= _integer(path)
        return power


class Ina3221Meter:
    """Energy of a Jetson board, from powers read every 10 ms.

    Args:
        root: Folder of the I2C devices.

    Raises:
        MeterError: There is no monitor, or it may not be read.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        rails = {rail.name: rail for rail in _rails(root)}
        whole = [rails[name] for name in _WHOLE_BOARD if name in rails]
        self._rails = whole[:1] or list(rails.values())
        if not self._rails:
            raise MeterError(f"{root}: no INA3221 power monitor; Jetson boards have one")
        self._read_w()

    @property
    def name(self) -> str:
        """INA3221 and its rails."""
        return f"INA3221 ({', '.join(rail.name for rail in self._rails)})"

    @property
    def modelled(self) -> bool:
        """False."""
        return False

    @property
    def resolution_s(self) -> float:
        """How often the power is read [s]."""
        return _INTERVAL_S

    def measure(self) -> AbstractContextManager[Energy]:
        """Measure the block of a `with`.

        Raises:
            MeterError: A rail cannot be read.
        """
        return measure_power(self._read_w, interval_s=_INTERVAL_S)

    def _read_w(self) -> float:
        return sum(rail.read_w() for rail in self._rails)


def open_meter() -> Ina3221Meter:
    """Return the meter of this machine.

    Raises:
        MeterError: There is none, or it may not be read.
    """
    return Ina3221Meter()


def _rails(root: Path) -> Iterator[_Rail]:
    for device in sorted(root.glob("*-00*")):
        name = device / "name"
        if name.is_file() and "ina3221" in _text(name):
            for folder in sorted(device.glob("hwmon/hwmon*")):
                yield from _hwmon_rails(folder)
            for folder in sorted(device.glob("iio:device*")):
                yield from _iio_rails(folder)


def _hwmon_rails(folder: Path) -> Iterator[_Rail]:
    for label in sorted(folder.glob("in*_label")):
        number = label.name.removeprefix("in").removesuffix("_label")
        name = _text(label)
        # NC: not connected. The driver shows the sum of shunt voltages as one more rail, which has
        # no current of its own.
        if name != "NC" and (folder / f"curr{number}_input").is_file():
            yield _Rail(
                name, (folder / f"in{number}_input", folder / f"curr{number}_input"), scale=1e-6
            )


def _iio_rails(folder: Path) -> Iterator[_Rail]:
    for label in sorted(folder.glob("rail_name_*")):
        number = label.name.removeprefix("rail_name_")
        yield _Rail(_text(label), (folder / f"in_power{number}_input",), scale=1e-3)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", errors="replace").strip()
    except PermissionError as exc:
        raise MeterError(f"{path}: may not be read; sudo chmod a+r {path}") from exc
    except OSError as exc:
        raise MeterError(f"{path}: cannot be read ({exc.strerror})") from exc


def _integer(path: Path) -> int:
    text = _text(path)
    if not re.fullmatch(r"-?\d{1,12}", text):
        raise MeterError(f"{path}: holds no number but {text[:40]!r}")
    return int(text)
