"""The HDF5 store: what goes in comes out, plain h5py reads it, hostile files get one line."""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from phyemu.channel import (
    Awgn,
    AwgnRange,
    ChannelModel,
    Distribution,
    EmpiricalChannel,
    FadingFamily,
    FrontEnd,
    ImpulseResponse,
    LargeScaleDrift,
    MeasuredChannel,
    Mixture,
    NoiseLevel,
    Playback,
    load_model,
    load_responses,
    save_model,
    save_responses,
    tdl,
    world,
)
from phyemu.errors import ConfigError, StoreError

FITTED = EmpiricalChannel(
    name="fitted",
    delays_s=(0.0, 42e-9),
    powers=(0.75, 0.25),
    k_factor=(math.inf, 0.0),
    doppler_hz=(0.0, 5.0),
    cn0_dbhz=Distribution.of([80.0, 82.0, 85.0]),
    front_end=FrontEnd(cfo_hz=Distribution.normal(1e3, 5.0), bits=12, clip_level=0.5),
    specular_phase_rad=(0.0, 1.0),
    correlation=((1.0 + 0j, 0.5j), (-0.5j, 1.0 + 0j)),
    family=(FadingFamily.RICIAN, FadingFamily.NAKAGAMI),
    shape=(0.0, 2.5),
    drift=LargeScaleDrift(std_db=1.5, correlation_s=4.0),
    block_s=2e-3,
    sample_rate_hz=20e6,
    bandwidth_hz=16e6,
    center_frequency_hz=2.4e9,
    uncertainty={
        "k_factor": ((100.0, math.inf), (0.0, 0.2)),
        "cn0_dbhz": ((81.5, 83.1),),
    },
    provenance={"recordings": [{"name": "a.sigmf", "sha512": "00"}], "seed": 3},
)


def responses() -> ImpulseResponse:
    gains = torch.randn(7, 2, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    return ImpulseResponse(gains, torch.tensor([0.0, 5e-8], dtype=torch.float64), 1e-3)


@pytest.mark.parametrize(
    "model",
    [
        Awgn(7.5),
        Awgn(math.inf),
        AwgnRange(-3.25, 20.0),
        tdl("D", rms_delay_spread_s=1e-7, snr_db=9.0, doppler_hz=12.0),
        FITTED,
        dataclasses.replace(FITTED, family=(), shape=(), drift=None, uncertainty={}),
        dataclasses.replace(FITTED, block_s=None, correlation=(), center_frequency_hz=None),
        world("conference-nlos").model,
    ],
)
def test_models_come_back_equal(model: ChannelModel, tmp_path: Path) -> None:
    assert load_model(save_model(model, tmp_path / "model.h5")) == model


def test_a_measured_channel_comes_back_with_its_responses(tmp_path: Path) -> None:
    model = MeasuredChannel(
        name="record",
        responses=responses(),
        noise=NoiseLevel.of_snr_db(12.0),
        playback=Playback.RESAMPLED,
        provenance={"command": "phyemu fit"},
    )
    loaded = load_model(save_model(model, tmp_path / "model.h5"))
    assert isinstance(loaded, MeasuredChannel)
    assert torch.equal(loaded.responses.gains, model.responses.gains)
    assert (loaded.playback, loaded.noise, loaded.provenance) == (
        model.playback,
        model.noise,
        model.provenance,
    )


def test_responses_come_back_equal(tmp_path: Path) -> None:
    loaded = load_responses(save_responses(responses(), tmp_path / "cir.h5"))
    assert torch.equal(loaded.gains, responses().gains)
    assert torch.equal(loaded.delays_s, responses().delays_s)
    assert loaded.interval_s == 1e-3


def test_plain_h5py_reads_values_and_units(tmp_path: Path) -> None:
    save_model(FITTED, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        assert file.attrs["phyemu_kind"] == "channel-model"
        assert file.attrs["schema_version"] == 2
        assert file["paths/delays_s"].attrs["unit"] == "s"
        np.testing.assert_array_equal(file["paths/delays_s"][()], [0.0, 42e-9])
        assert file["paths/family"].asstr()[()].tolist() == ["rician", "nakagami"]
        np.testing.assert_array_equal(file["uncertainty/cn0_dbhz"][()], [[81.5, 83.1]])
        assert file["uncertainty/cn0_dbhz"].attrs["unit"] == "dB Hz"
        assert file["noise/cn0_dbhz"].attrs["unit"] == "dB Hz"
        assert file["front_end/cfo_hz"].attrs["mean"] == 1e3


def test_files_of_the_first_schema_are_read(tmp_path: Path) -> None:
    old = dataclasses.replace(FITTED, family=(), shape=(), drift=None, uncertainty={})
    path = save_model(old, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 1
    assert load_model(path) == old


def test_existing_files_stay_without_force(tmp_path: Path) -> None:
    path = save_model(Awgn(1.0), tmp_path / "model.h5")
    with pytest.raises(ConfigError, match="--force"):
        save_model(Awgn(2.0), path)
    save_model(Awgn(2.0), path, force=True)
    assert load_model(path) == Awgn(2.0)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no JSON"):
        save_model(Awgn(1.0), tmp_path / "model.h5", provenance={"when": object()})
    with pytest.raises(ConfigError, match="cannot be stored"):
        save_model(Mixture((Awgn(1.0),)), tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


def drop_powers(file: h5py.File) -> None:
    del file["paths/powers"]


def nan_delay(file: h5py.File) -> None:
    file["paths/delays_s"][0] = math.nan


def wrong_length(file: h5py.File) -> None:
    del file["paths/k_factor"]
    file["paths/k_factor"] = np.zeros(5)


def text_powers(file: h5py.File) -> None:
    del file["paths/powers"]
    file["paths/powers"] = np.array([b"a", b"b"])


def enormous(file: h5py.File) -> None:
    del file["paths/delays_s"]
    file.create_dataset("paths/delays_s", shape=(1 << 40,), dtype="f8", chunks=(1024,))


def external_link(file: h5py.File) -> None:
    del file["paths/powers"]
    file["paths/powers"] = h5py.ExternalLink("other.h5", "/x")


def external_storage(file: h5py.File) -> None:
    del file["paths/powers"]
    file.create_dataset("paths/powers", shape=(2,), dtype="f8", external=[("other.bin", 0, 16)])


def circular_link(file: h5py.File) -> None:
    del file["paths/powers"]
    file["paths/powers"] = h5py.SoftLink("/paths/powers")


def group_for_dataset(file: h5py.File) -> None:
    del file["paths/powers"]
    file.create_group("paths/powers")


def power_of_two(file: h5py.File) -> None:
    file["paths/powers"][...] = 1.0


def newer_schema(file: h5py.File) -> None:
    file.attrs["schema_version"] = 99


def other_kind(file: h5py.File) -> None:
    file.attrs["phyemu_kind"] = "sounding"


def no_kind(file: h5py.File) -> None:
    del file.attrs["phyemu_kind"]


def unknown_model(file: h5py.File) -> None:
    file.attrs["model"] = "Wormhole"


def bad_spectrum(file: h5py.File) -> None:
    file["paths"].attrs["spectrum"] = "round"


def unknown_family(file: h5py.File) -> None:
    del file["paths/family"]
    file["paths/family"] = np.array([b"rician", b"weibull"])


def family_of_numbers(file: h5py.File) -> None:
    del file["paths/family"]
    file["paths/family"] = np.zeros(2)


def shapeless(file: h5py.File) -> None:
    del file["paths/shape"]


def uncertain_of_one(file: h5py.File) -> None:
    del file["uncertainty/k_factor"]
    file["uncertainty/k_factor"] = np.zeros((1, 2))


def driftless(file: h5py.File) -> None:
    file["drift"].attrs["correlation_s"] = 0.0


def nan_mean(file: h5py.File) -> None:
    file["noise/cn0_dbhz"].attrs["mean"] = math.nan


def array_attribute(file: h5py.File) -> None:
    file["front_end"].attrs["bits"] = np.zeros(3)


def bad_provenance(file: h5py.File) -> None:
    file.attrs["provenance"] = "{"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_powers, "paths/powers is missing"),
        (nan_delay, "paths/delays_s holds NaN"),
        (wrong_length, r"paths/k_factor has shape \(5,\), wanted \(2\)"),
        (text_powers, "paths/powers holds .*, wanted float"),
        (enormous, "paths/delays_s claims"),
        (external_link, "paths/powers is a link"),
        (external_storage, "paths/powers keeps its data in another file"),
        (circular_link, "paths/powers"),
        (group_for_dataset, "paths/powers is no dataset"),
        (power_of_two, "sum to one"),
        (newer_schema, "schema_version is 99"),
        (other_kind, "phyemu_kind is 'sounding'"),
        (no_kind, "phyemu_kind is missing"),
        (unknown_model, "Wormhole"),
        (bad_spectrum, "paths/spectrum"),
        (unknown_family, "paths/family holds 'weibull'; known: rician"),
        (family_of_numbers, "paths/family is no dataset of text"),
        (shapeless, "path 1 fades nakagami and needs a shape"),
        (uncertain_of_one, "uncertainty of k_factor needs 2 pairs"),
        (driftless, "correlation_s must be positive"),
        (nan_mean, "noise/cn0_dbhz/mean is NaN"),
        (array_attribute, "front_end/bits is no number"),
        (bad_provenance, "provenance is no JSON"),
    ],
)
def test_a_wrong_file_gets_one_line_that_names_what(
    damage: Callable[[h5py.File], None], message: str, tmp_path: Path
) -> None:
    path = save_model(FITTED, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(StoreError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert "model.h5" in str(caught.value)


def test_what_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"hello")
    with pytest.raises(StoreError, match="no HDF5"):
        load_model(path)
    with pytest.raises(StoreError, match="no such file"):
        load_model(tmp_path / "absent.h5")
    whole = save_model(FITTED, path, force=True).read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(StoreError):
            load_model(path)
    with pytest.raises(StoreError, match="wanted 'responses'"):
        load_responses(save_model(Awgn(1.0), tmp_path / "awgn.h5"))


def test_flipped_bytes_never_escape_as_foreign_errors(tmp_path: Path) -> None:
    whole = bytearray(save_model(FITTED, tmp_path / "model.h5").read_bytes())
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.h5"
    for _ in range(60):
        damaged = whole.copy()
        for place in rng.integers(0, len(whole), 12):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        # Some bytes do not matter; any error but ours would end the test.
        with contextlib.suppress(StoreError):
            load_model(path)
