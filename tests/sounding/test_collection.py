"""Many recordings: the same result wherever they are sounded, and one that fails stops no other."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from phyemu.errors import ConfigError, StoreError
from phyemu.iq import write_recording
from phyemu.sounding import (
    SoundedFile,
    SoundingJob,
    choose_scheduler,
    cluster,
    load_calibration,
    load_soundings,
    output_names,
    sound_all,
)
from phyemu.sounding.cluster import Failure, run_jobs
from phyemu.waveform.sounder import SounderFormat
from phyemu.waveform.transmission import write_sounder

SOUNDER = SounderFormat(sample_rate_hz=20e6, length=64, gap_samples=200)


def _collection(folder: Path) -> list[Path]:
    """Return three recordings; there is nothing to find in the second."""
    quiet = 1e-3 * np.random.default_rng(0).standard_normal((3000, 2)) @ [1, 1j]
    return [
        write_sounder(folder / "a.sigmf", SOUNDER, num_bursts=4, amplitude=0.5),
        write_recording(folder / "b.sigmf", quiet.astype(np.complex64), sample_rate_hz=20e6),
        write_sounder(folder / "c.sigmf", SOUNDER, num_bursts=7, amplitude=0.25),
    ]


def _exit_the_process(_: int) -> int:
    import os

    os._exit(1)


def test_a_bad_recording_stops_no_other(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int, str]] = []

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "sound recordings":
            seen.append((stage, done, total, note))

    jobs = [SoundingJob(recording=path) for path in _collection(tmp_path)]
    first, bad, last = (result for _, result in sound_all(jobs, progress=progress))
    assert [first.soundings()[0].num_frames, last.soundings()[0].num_frames] == [4, 7]
    assert bad.content is None
    assert bad.error is not None
    assert "b.sigmf: no probe found" in bad.error
    assert "\n" not in bad.error
    with pytest.raises(StoreError, match="no probe found"):
        bad.soundings()
    assert [item[1:] for item in seen] == [
        (0, 3, ""),
        (1, 3, "a.sigmf"),
        (2, 3, "b.sigmf"),
        (3, 3, "c.sigmf"),
    ]


@pytest.mark.slow
def test_a_cluster_of_two_gives_what_one_process_gives(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    import dask.config

    jobs = [
        SoundingJob(recording=path, provenance={"command": "test"})
        for path in _collection(tmp_path)
    ]
    serial = dict(sound_all(jobs))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster._client("local:2", len(jobs)) as client,
    ):
        address = client.scheduler.address
        assert address.startswith("tcp://127.0.0.1:")
        assert len(client.scheduler_info()["workers"]) == 2
        spread = dict(sound_all(jobs, scheduler=address))
        # A worker that dies takes its own job with it and no other.
        outcomes = dict(run_jobs(_exit_the_process, [0], scheduler=address))
    assert sorted(spread) == [0, 1, 2]
    for index in spread:
        assert spread[index].content == serial[index].content
        assert spread[index].error == serial[index].error
    assert isinstance(outcomes[0], Failure)
    assert "the worker failed: KilledWorker" in outcomes[0].reason


def test_a_scheduler_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("many", "local:0", "tcp://", "http://host:1", "local:x"):
        with pytest.raises(ConfigError, match="scheduler"):
            list(run_jobs(abs, [1], scheduler=name))
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'phyemu\[dask\]'"):
        list(run_jobs(abs, [1], scheduler="local"))
    # One after the other needs no Dask.
    assert list(run_jobs(abs, [-1, 2], scheduler="serial")) == [(0, 1), (1, 2)]
    assert choose_scheduler([Path("a"), Path("b")]) == "serial"


def test_no_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "_CONNECT_TIMEOUT_S", 0.2)
    # Port 9 of this machine: nobody listens.
    with pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:9: no answer within"):
        list(run_jobs(abs, [1], scheduler="tcp://127.0.0.1:9"))


def test_processes_are_chosen_for_large_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phyemu.sounding.collection.can_use_dask", lambda: True)
    monkeypatch.setattr("phyemu.sounding.collection.num_cores", lambda: 2)
    paths = [tmp_path / "a.sigmf-meta", tmp_path / "b.sigmf-meta"]
    for path in paths:
        with path.with_suffix(".sigmf-data").open("wb") as data:
            data.truncate(101 << 20)  # sparse: it takes no room
    assert choose_scheduler(paths) == "local"
    assert choose_scheduler(paths[:1]) == "serial"
    paths[1].with_suffix(".sigmf-data").unlink()
    assert choose_scheduler(paths) == "serial"


def test_the_bytes_of_a_result_are_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no HDF5 file"):
        SoundedFile(recording=Path("x.sigmf"), content=b"no HDF5").soundings()
    result = SoundedFile(recording=Path("x.sigmf"), content=b"content")
    path = result.save(tmp_path / "new" / "x.h5")
    assert path.read_bytes() == b"content"
    with pytest.raises(ConfigError, match="--force"):
        result.save(path)
    assert result.save(path, force=True) == path
    assert [item.name for item in path.parent.iterdir()] == ["x.h5"]


def test_recordings_of_one_name_are_refused() -> None:
    assert output_names([Path("a.sigmf"), Path("d/b.sigmf-meta")]) == ["a.h5", "b.h5"]
    with pytest.raises(ConfigError, match=r"would be called a\.h5"):
        output_names([Path("a.sigmf"), Path("d/a.sigmf-meta")])


def test_a_calibration_comes_from_a_recording_or_its_soundings(tmp_path: Path) -> None:
    recording = _collection(tmp_path)[0]
    (result,) = (item for _, item in sound_all([SoundingJob(recording=recording)]))
    stored = result.save(tmp_path / "a.h5")
    calibrations = [load_calibration(path) for path in (recording, stored)]
    np.testing.assert_array_equal(calibrations[0].response, calibrations[1].response)
    job = SoundingJob(recording=recording, calibration=calibrations[0])
    (seen,) = (item for _, item in sound_all([job]))
    path = seen.save(tmp_path / "calibrated.h5")
    with h5py.File(path) as file:
        assert '"calibration": {"name": "a.sigmf", "recording_sha512": "' in str(
            file.attrs["provenance"]
        )
    np.testing.assert_allclose(np.abs(load_soundings(path)[0].transfer), 0.5, rtol=1e-3)
