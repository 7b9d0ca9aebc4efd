"""Soundings come back from HDF5 as they went in, and damaged files are refused."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.errors import ConfigError, SignalError, StoreError
from phyemu.sounding import Estimate, FrontEndEstimate, Sounding, load_soundings, save_soundings
from phyemu.wifi import WifiTable


def _sounding(transmitter: int) -> Sounding:
    rng = np.random.default_rng(transmitter)
    shape = (5, 9)
    gains = rng.standard_normal((5, 3)) + 1j * rng.standard_normal((5, 3))
    return Sounding(
        probe="wifi",
        sample_rate_hz=20e6,
        bandwidth_hz=9e6,
        center_frequency_hz=None if transmitter else 2.4e9,
        transmitter=transmitter,
        sample_start=np.arange(5) * 100,
        time_s=np.arange(5) * 5e-6,
        frequencies_hz=np.arange(-4, 5) * 1e6,
        transfer=(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(
            np.complex64
        ),
        noise_variance=rng.random(shape),
        cfo_hz=rng.standard_normal(5),
        sfo_ppm=np.full(5, np.nan),
        cn0_dbhz=rng.standard_normal(5),
        received_power_dbfs=rng.standard_normal(5),
        noise_floor_dbfs=rng.standard_normal(5),
        confidence=rng.random(5),
        front_end=FrontEndEstimate(iq_gain_db=Estimate(value=0.1, std=0.02)),
        paths=ImpulseResponse(
            torch.from_numpy(gains.astype(np.complex64)),
            torch.tensor([0.0, 1e-7, 3e-7], dtype=torch.float64),
            1e-3,
        ),
        recording_name="a.sigmf",
        recording_sha512="ab" * 64,
    )


def test_links_come_back_as_they_were(tmp_path: Path) -> None:
    before = [_sounding(0), _sounding(1)]
    path = save_soundings(before, tmp_path / "cir.h5", provenance={"command": "phyemu sound"})
    after = load_soundings(path)
    assert len(after) == 2
    for old, new in zip(before, after, strict=True):
        for field in dataclasses.fields(Sounding):
            a, b = getattr(old, field.name), getattr(new, field.name)
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b)
            elif field.name == "paths":
                assert torch.equal(a.gains, b.gains)
                assert torch.equal(a.delays_s, b.delays_s)
                assert a.interval_s == b.interval_s
            elif field.name == "front_end":
                assert a.iq_gain_db == b.iq_gain_db
                assert not b.linewidth_hz.is_known
            elif field.name != "provenance":
                assert a == b, field.name
        assert new.provenance["command"] == "phyemu sound"
        assert new.provenance["recording_sha512"] == "ab" * 64


def _wifi_sounding() -> Sounding:
    table = WifiTable(
        format=np.array([0, 1, 1, 4, 0]),
        rate_mbps=np.array([24.0, 13.0, np.nan, np.nan, 6.0]),
        mcs=np.array([-1, 1, 15, -1, -1]),
        length=np.array([14, 138, 1360, -1, 40]),
        frame_control=np.array([0xD4, 0x88, -1, -1, 0x80]),
        transmitter_address=np.array([-1, 0x02000000000A, -1, -1, 0x02000000000A]),
        receiver_address=np.array([0xFFFFFFFFFFFF, 1, -1, -1, -1]),
        implied_sender=np.array([5, -1, -1, 6, -1]),
        fcs_ok=np.array([1, 1, -1, -1, 0]),
    )
    return dataclasses.replace(_sounding(0), wifi=table, transmitter_address="02:00:00:00:00:0a")


def test_what_wifi_frames_say_comes_back(tmp_path: Path) -> None:
    before = _wifi_sounding()
    (after,) = load_soundings(save_soundings([before], tmp_path / "cir.h5"))
    assert after.transmitter_address == "02:00:00:00:00:0a"
    assert after.wifi is not None
    for field in dataclasses.fields(WifiTable):
        np.testing.assert_array_equal(
            getattr(after.wifi, field.name), getattr(before.wifi, field.name)
        )
    assert after.select(np.array([1, 2])).wifi is not None
    assert after.is_of(0)
    assert after.is_of("02:00:00:00:00:0A")
    assert not after.is_of("02:00:00:00:00:0b")


def test_a_file_of_an_earlier_version_has_no_addresses(tmp_path: Path) -> None:
    path = save_soundings([_wifi_sounding()], tmp_path / "cir.h5")
    with h5py.File(path, "r+") as file:
        del file["links/0/wifi"]
        del file["links/0"].attrs["transmitter_address"]
    (old,) = load_soundings(path)
    assert (old.wifi, old.transmitter_address) == (None, None)


@pytest.mark.parametrize(
    ("address", "message"), [("nonsense", "is no MAC address"), ("1:2:3:4:5:6", "aa:bb:cc")]
)
def test_a_damaged_address_is_refused(tmp_path: Path, address: str, message: str) -> None:
    path = save_soundings([_wifi_sounding()], tmp_path / "cir.h5")
    with h5py.File(path, "r+") as file:
        file["links/0"].attrs["transmitter_address"] = address
    with pytest.raises(StoreError, match=message):
        load_soundings(path)


def test_a_format_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = save_soundings([_wifi_sounding()], tmp_path / "cir.h5")
    with h5py.File(path, "r+") as file:
        file["links/0/wifi/format"][0] = 77
    with pytest.raises(StoreError, match=r"links/0: WifiTable.format must be 0..4"):
        load_soundings(path)


def test_h5py_alone_reads_arrays_with_their_units(tmp_path: Path) -> None:
    path = save_soundings([_sounding(0)], tmp_path / "cir.h5")
    with h5py.File(path) as file:
        assert file.attrs["phyemu_kind"] == "soundings"
        assert file["links/0/cfo_hz"].attrs["unit"] == "Hz"
        assert file["links/0/paths/gains"].shape == (5, 3)


def test_what_is_missing_or_contradicts_is_named(tmp_path: Path) -> None:
    path = save_soundings([_sounding(0)], tmp_path / "cir.h5")
    with h5py.File(path, "a") as file:
        del file["links/0/cfo_hz"]
        file["links/0/cfo_hz"] = np.zeros(3)
    with pytest.raises(StoreError, match="cfo_hz has shape"):
        load_soundings(path)
    with h5py.File(path, "a") as file:
        del file["links/0/cfo_hz"]
    with pytest.raises(StoreError, match="cfo_hz is missing"):
        load_soundings(path)
    other = tmp_path / "text.h5"
    other.write_text("no HDF5")
    with pytest.raises(StoreError, match="no HDF5 file"):
        load_soundings(other)


def test_nothing_is_not_saved_and_nothing_overwritten(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match="no sounding"):
        save_soundings([], tmp_path / "cir.h5")
    save_soundings([_sounding(0)], tmp_path / "cir.h5")
    with pytest.raises(ConfigError, match="exists already"):
        save_soundings([_sounding(0)], tmp_path / "cir.h5")
    save_soundings([_sounding(1)], tmp_path / "cir.h5", force=True)
