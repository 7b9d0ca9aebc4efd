"""Against powercap trees as the kernel documents them (Documentation/power/powercap)."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.errors import MeterError
from phyemu.metering import rapl
from phyemu.metering.rapl import RaplMeter

RANGE_UJ = 262_143_328_850  # of a package; 65_712_999_613 of its memory


class Domain:
    """The files of a power zone."""

    def __init__(self, root: Path, folder: str, name: str, range_uj: int = RANGE_UJ) -> None:
        self.folder = root / folder
        self.folder.mkdir(parents=True)
        (self.folder / "name").write_text(f"{name}\n")
        (self.folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        (self.folder / "enabled").write_text("1\n")
        self.range_uj = range_uj
        self.count(1_000)

    def count(self, energy_uj: int) -> None:
        (self.folder / "energy_uj").write_text(f"{energy_uj % self.range_uj}\n")


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, Domain]:
    """Return the zones of a laptop of Intel with two packages."""
    zones = {
        "package-0": "intel-rapl:0",
        "core": "intel-rapl:0:0",
        "uncore": "intel-rapl:0:1",
        "dram": "intel-rapl:0:2",
        "package-1": "intel-rapl:1",
        "psys": "intel-rapl:2",
    }
    found = {name: Domain(tmp_path, folder, name) for name, folder in zones.items()}
    (tmp_path / "intel-rapl").mkdir()
    # The same package once more, by memory-mapped registers: counted once.
    Domain(tmp_path, "intel-rapl-mmio:0", "package-0")
    return found


def test_packages_and_memory_are_summed_and_nothing_twice(
    tmp_path: Path, tree: dict[str, Domain]
) -> None:
    meter = RaplMeter(tmp_path)
    assert meter.name == "RAPL (package-0, dram, package-1)"
    assert not meter.modelled
    with meter.measure() as energy:
        for number, domain in enumerate(tree.values()):
            domain.count(1_000 + 10**number)
    # package-0 counted 1 uJ, dram 1 mJ, package-1 10 mJ.
    assert energy.energy_j == pytest.approx(1e-6 * (1 + 10**3 + 10**4))


@given(start=st.integers(0, RANGE_UJ - 1), used=st.integers(0, RANGE_UJ - 1))
def test_a_counter_that_starts_anew_is_followed(
    tmp_path_factory: pytest.TempPathFactory, start: int, used: int
) -> None:
    root = tmp_path_factory.mktemp("powercap")
    package = Domain(root, "intel-rapl:0", "package-0")
    package.count(start)
    with RaplMeter(root).measure() as energy:
        package.count(start + used)
    assert energy.energy_j == pytest.approx(1e-6 * used, rel=1e-9)


def test_a_counter_may_start_anew_more_than_once_in_a_long_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Domain(tmp_path, "intel-rapl:0", "package-0", range_uj=1_000_000)
    monkeypatch.setattr(rapl, "_INTERVAL_S", 0.0)
    meter = RaplMeter(tmp_path)
    seen: list[int] = []
    news = threading.Condition()
    read = rapl._Domain.read_uj

    def read_and_tell(domain: rapl._Domain) -> int:
        value = read(domain)
        with news:
            seen.append(value)
            news.notify_all()
        return value

    monkeypatch.setattr(rapl._Domain, "read_uj", read_and_tell)
    with meter.measure() as energy:
        for total in range(400_000, 3_200_001, 400_000):
            # Renamed into place, so that no reading meets half a file.
            beside = package.folder / "next"
            beside.write_text(f"{total % 1_000_000}\n")
            beside.replace(package.folder / "energy_uj")
            with news:
                assert news.wait_for(lambda now=total % 1_000_000: seen[-1] == now, timeout=30)
    assert energy.energy_j == pytest.approx(3.2 - 0.001)


def test_a_counter_for_root_alone_is_refused_with_the_remedy(
    tmp_path: Path, tree: dict[str, Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_text = Path.read_text

    def refuse(path: Path, *args: str, **kwargs: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(MeterError, match=r"CVE-2020-8694.*sudo chmod a\+r .*intel-rapl:\*/energy"):
        RaplMeter(tmp_path)


def test_a_machine_without_counters_is_told_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="no processor package counts its energy"):
        RaplMeter(tmp_path)
    with pytest.raises(MeterError, match="no virtual machine"):
        RaplMeter(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "12 34", "-5", "a lot", "1e6", "9" * 21])
def test_a_counter_that_holds_no_number_is_refused(
    tmp_path: Path, tree: dict[str, Domain], content: str
) -> None:
    (tree["dram"].folder / "energy_uj").write_text(content)
    with pytest.raises(MeterError, match=r"intel-rapl:0:2/energy_uj: holds no number"):
        RaplMeter(tmp_path)


def test_a_counter_that_vanishes_in_the_block_is_an_error(
    tmp_path: Path, tree: dict[str, Domain]
) -> None:
    meter = RaplMeter(tmp_path)
    with pytest.raises(MeterError, match="energy_uj: cannot be read"):
        with meter.measure():
            (tree["package-0"].folder / "energy_uj").unlink()


def test_a_range_of_nothing_is_refused(tmp_path: Path) -> None:
    Domain(tmp_path, "intel-rapl:0", "package-0").folder.joinpath("max_energy_range_uj").write_text(
        "0"
    )
    with pytest.raises(MeterError, match="must be positive, got 0"):
        RaplMeter(tmp_path)
