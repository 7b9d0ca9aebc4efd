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
