"""Energy of Intel's and AMD's processors: RAPL, by the kernel's powercap files.

Each package counts microjoules in `energy_uj`, from zero again beyond `max_energy_range_uj`; Linux
documents both in Documentation/power/powercap. Counted are the packages, and memory (`dram`) where
it is a domain of its own, which a package does not contain; `core` and `uncore` are parts of the
package, and `psys` contains it.

A thread reads the counters at least every ten seconds, so that no turn of one is missed: the
counter of a package lasts for 65 kJ or more, which is minutes at the powers that exist.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from phyemu.errors import MeterError

from .energy import Energy
from .sampling import sampled

__all__ = ["RaplMeter", "open_meter"]

_ROOT = Path("/sys/class/powercap")
_INTERVAL_S = 10.0


@dataclass(frozen=True, slots=True)
class _Domain:
    name: str
    folder: Path
    range_uj: int

    def read_uj(self) -> int:
        return _integer(self.folder / "energy_uj")


class RaplMeter:
    """Energy of all processor packages, and of their memory where it is counted apart.

    Args:
        root: Folder of the powercap files.

    Raises:
        MeterError: There is no package, or its counter may not be read.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self._domains = list(_domains(root))
        if not any(domain.name.startswith("package") for domain in self._domains):
            raise MeterError(
                f"{root}: no processor package counts its energy (intel-rapl:*); RAPL needs a "
                "processor of Intel or AMD, no virtual machine, and `modprobe intel_rapl_msr`"
            )
        for domain in self._domains:
            domain.read_uj()

    @property
    def name(self) -> str:
        """RAPL and its domains."""
        return f"RAPL ({', '.join(domain.name for domain in self._domains)})"

    @property
    def modelled(self) -> bool:
        """False."""
        return False

    @property
    def resolution_s(self) -> float:
        """The counters change about every millisecond."""
        return 1e-3

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        """Measure the block of a `with`.

        Raises:
            MeterError: A counter cannot be read.
        """
        energy = Energy()
        readings: list[tuple[int, ...]] = []

        def read() -> float:
            readings.append(tuple(domain.read_uj() for domain in self._domains))
            return float(len(readings))

        with sampled(read, interval_s=_INTERVAL_S) as samples:
            yield energy
        counted_uj = sum(
            (then - first) % domain.range_uj
            for before, after in pairwise(readings)
            for domain, first, then in zip(self._domains, before, after, strict=True)
        )
        energy.finish(energy_j=1e-6 * counted_uj, duration_s=samples.duration_s)


def open_meter() -> RaplMeter:
    """Return the meter of this machine.

    Raises:
        MeterError: There is none, or it may not be read.
    """
    return RaplMeter()


def _domains(root: Path) -> Iterator[_Domain]:
    for folder in sorted(root.glob("intel-rapl:*")):
        name = _text(folder / "name")
        is_package = re.fullmatch(r"intel-rapl:\d+", folder.name) and name.startswith("package")
        if is_package or name == "dram":
            range_uj = _integer(folder / "max_energy_range_uj")
            if range_uj <= 0:
                raise MeterError(f"{folder}/max_energy_range_uj: must be positive, got {range_uj}")
            yield _Domain(name, folder, range_uj)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", errors="replace").strip()
    except PermissionError as exc:
        raise MeterError(
            f"{path}: only root may read it since Linux 5.10 (CVE-2020-8694); "
            f"sudo chmod a+r {path.parent.parent}/intel-rapl:*/energy_uj"
        ) from exc
    except OSError as exc:
        raise MeterError(f"{path}: cannot be read ({exc.strerror})") from exc


def _integer(path: Path) -> int:
    text = _text(path)
    if not re.fullmatch(r"\d{1,20}", text):
        raise MeterError(f"{path}: holds no number but {text[:40]!r}")
    return int(text)
