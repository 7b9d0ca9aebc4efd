"""Against trees as both drivers of JetPack lay them out."""

from pathlib import Path

import pytest

from phyemu.errors import MeterError
from phyemu.metering.ina3221 import Ina3221Meter


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def orin_nano(root: Path) -> Path:
    """Write the monitor of an Orin Nano as of JetPack 5 and 6, and return its folder."""
    write(root / "1-0040", name="ina3221")
    folder = root / "1-0040" / "hwmon" / "hwmon1"
    rails = {1: ("VDD_IN", 4968, 920), 2: ("VDD_CPU_GPU_CV", 4968, 112), 3: ("VDD_SOC", 4960, 264)}
    for number, (label, millivolts, milliamperes) in rails.items():
        write(
            folder,
            **{
                f"in{number}_label": label,
                f"in{number}_input": millivolts,
                f"curr{number}_input": milliamperes,
            },
        )
    write(folder, in7_label="sum of shunt voltages", in7_input=48)
    write(root / "1-0050", name="24c02")
    return folder


def test_an_orin_nano_is_read_at_its_input(tmp_path: Path) -> None:
    orin_nano(tmp_path)
    meter = Ina3221Meter(tmp_path)
    assert meter.name == "INA3221 (VDD_IN)"
    assert not meter.modelled
    with meter.measure() as energy:
        pass
    assert energy.power_w == pytest.approx(4.968 * 0.920)


def test_the_power_may_change_in_the_block(tmp_path: Path) -> None:
    folder = orin_nano(tmp_path)
    with Ina3221Meter(tmp_path).measure() as energy:
        (folder / "curr1_input").write_text("2760\n")
    assert 4.968 * 0.920 < energy.power_w <= 4.968 * 2.760


def test_the_driver_of_jetpack_4_is_read_too(tmp_path: Path) -> None:
    write(tmp_path / "6-0040", name="ina3221x")
    write(
        tmp_path / "6-0040" / "iio:device0",
        rail_name_0="POM_5V_IN",
        in_power0_input=2250,
        rail_name_1="POM_5V_GPU",
        in_power1_input=40,
    )
    meter = Ina3221Meter(tmp_path)
    with meter.measure() as energy:
        pass
    assert energy.power_w == pytest.approx(2.25)
    assert meter.name == "INA3221 (POM_5V_IN)"


def test_rails_of_a_board_without_a_common_one_are_summed(tmp_path: Path) -> None:
    for address, rails in (
        ("1-0040", ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")),
        ("1-0041", ("NC", "VDDQ_VDD2_1V8AO", "NC")),
    ):
        write(tmp_path / address, name="ina3221")
        for number, label in enumerate(rails, start=1):
            write(
                tmp_path / address / "hwmon" / "hwmon0",
                **{
                    f"in{number}_label": label,
                    f"in{number}_input": 5000,
                    f"curr{number}_input": 100,
                },
            )
    meter = Ina3221Meter(tmp_path)
    with meter.measure() as energy:
        pass
    assert energy.power_w == pytest.approx(4 * 0.5)
    assert "NC" not in meter.name


def test_a_machine_without_a_monitor_is_told_so(tmp_path: Path) -> None:
    write(tmp_path / "0-0050", name="24c02")
    with pytest.raises(MeterError, match="no INA3221 power monitor; Jetson boards have one"):
        Ina3221Meter(tmp_path)


def test_a_file_that_holds_no_number_is_refused(tmp_path: Path) -> None:
    folder = orin_nano(tmp_path)
    (folder / "curr1_input").write_text("\n")
    with pytest.raises(MeterError, match="curr1_input: holds no number"):
        Ina3221Meter(tmp_path)


def test_a_monitor_that_vanishes_in_the_block_is_an_error(tmp_path: Path) -> None:
    folder = orin_nano(tmp_path)
    meter = Ina3221Meter(tmp_path)
    with pytest.raises(MeterError, match="in1_input: cannot be read"):
        with meter.measure():
            (folder / "in1_input").unlink()


def test_files_that_may_not_be_read_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orin_nano(tmp_path)

    def refuse(path: Path, *_: str, **__: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(MeterError, match=r"may not be read; sudo chmod a\+r"):
        Ina3221Meter(tmp_path)
