"""Writing recordings: what is written is read back; what fails leaves nothing behind."""

import errno
import hashlib
import io
import os
import resource
import shutil
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import RecordingError
from phyemu.iq import (
    Annotation,
    CaptureSegment,
    RecordingWriter,
    flusher,
    open_recording,
    partial,
    repair_recording,
    unfinished,
    write_recording,
)
from phyemu.iq.journal import read_journal

DATATYPES = [
    "ci8", "cu8", "ci16_le", "ci16_be", "cu16_le", "cu16_be", "ci32_le", "ci32_be", "cu32_le",
    "cf32_le", "cf32_be", "cf64_le", "cf64_be",
]  # fmt: skip
# Largest error of a stored component below full scale: half a step, or none.
HALF_STEP = {"8": 2.0**-8, "16": 2.0**-16, "32": 2.0**-25}


def error_bound(datatype: str) -> float:
    return 0.0 if datatype[1] == "f" else HALF_STEP[datatype[2:].partition("_")[0]]


@pytest.mark.parametrize("name", ["rec", "rec.sigmf", "rec.sigmf-meta", "rec.sigmf-data", "a.b"])
def test_the_suffix_says_pair_or_archive(tmp_path: Path, noise: np.ndarray, name: str) -> None:
    written = write_recording(tmp_path / name, noise, sample_rate_hz=1e6)
    base = name.removesuffix("-meta").removesuffix("-data").removesuffix(".sigmf")
    names = {f"{base}.sigmf-meta", f"{base}.sigmf-data"}
    if name == "rec.sigmf":
        names = {name}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert written.name in names
    with open_recording(tmp_path / name, verify=True) as recording:
        assert recording.path == written
        assert recording.num_samples == noise.size


@settings(max_examples=40)
@given(
    datatype=st.sampled_from(DATATYPES),
    num_channels=st.integers(1, 3),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(sum),
    archive=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_in_pieces_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    datatype: str,
    num_channels: int,
    sizes: list[int],
    archive: bool,
    seed: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / ("hypothesis.sigmf" if archive else "hypothesis")
    rng = np.random.default_rng(seed)
    parts = rng.uniform(-0.99, 0.99, (2, num_channels, sum(sizes)))
    iq = (parts[0] + 1j * parts[1]).astype(np.complex64)
    with RecordingWriter(
        path, sample_rate_hz=1e6, datatype=datatype, num_channels=num_channels, force=True
    ) as writer:
        for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
            piece = iq[:, start : start + size]
            writer.write(piece[0] if num_channels == 1 and seed % 2 else piece)
    assert (writer.num_samples, writer.num_clipped) == (sum(sizes), 0)
    with open_recording(path, verify=True) as recording:
        assert recording.datatype == datatype
        error = recording.read_channels() - iq
    bound = error_bound(datatype)
    assert max(np.abs(error.real).max(), np.abs(error.imag).max()) <= bound


def test_segments_annotations_and_fields_are_read_back(tmp_path: Path, noise: np.ndarray) -> None:
    notes = [
        Annotation(sample_start=900, label="later", fields={"phyemu:frame_index": 1}),
        Annotation(sample_start=10, sample_count=1490, comment="reaches into what comes"),
    ]
    with RecordingWriter(
        tmp_path / "rec",
        sample_rate_hz=20e6,
        center_frequency_hz=2.4e9,
        description="a room",
        global_fields={"phyemu:seed": 7},
    ) as writer:
        for note in notes:
            writer.annotate(note)
        writer.write(noise)
        writer.start_segment(global_index=1200, fields={"phyemu:gap": "overflow"})
        writer.write(noise[:500])
        writer.set_global("core:hw", "USRP B210")
    with open_recording(writer.path) as recording:
        assert recording.annotations == (notes[1], notes[0])
        assert recording.captures == (
            CaptureSegment(sample_start=0, center_frequency_hz=2.4e9),
            CaptureSegment(sample_start=1000, global_index=1200, fields={"phyemu:gap": "overflow"}),
        )
        assert recording.global_fields["core:description"] == "a room"
        assert recording.global_fields["core:hw"] == "USRP B210"
        assert recording.global_fields["phyemu:seed"] == 7


def test_a_segment_without_samples_is_replaced(tmp_path: Path, noise: np.ndarray) -> None:
    with RecordingWriter(tmp_path / "r", sample_rate_hz=1e6, center_frequency_hz=5e9) as writer:
        writer.start_segment(global_index=4, datetime="2026-01-01T00:00:00Z")
        writer.start_segment(global_index=5)
        writer.write(noise)
    with open_recording(writer.path) as recording:
        assert recording.captures == (
            CaptureSegment(
                sample_start=0,
                global_index=5,
                center_frequency_hz=5e9,
                datetime="2026-01-01T00:00:00Z",
            ),
        )


def test_the_same_samples_give_the_same_bytes(tmp_path: Path, noise: np.ndarray) -> None:
    contents = []
    for folder in ("a", "b"):
        path = write_recording(tmp_path / folder / "rec.sigmf", noise, sample_rate_hz=1e6)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


def test_double_precision_and_strided_samples_are_written(tmp_path: Path) -> None:
    iq = np.linspace(-0.5, 0.5, 80_000) * (1 - 1j)
    path = write_recording(tmp_path / "r", iq[::2], sample_rate_hz=1e6, datatype="cf32_le")
    with open_recording(path) as recording:
        assert np.array_equal(recording.read(), iq[::2].astype(np.complex64))


def test_clipped_samples_saturate_and_are_counted(tmp_path: Path) -> None:
    iq = np.array([[2, 0.5j, -1], [0.1, 1 - 3j, 5j]], np.complex64)
    with RecordingWriter(tmp_path / "r", sample_rate_hz=1e6, datatype="ci8", num_channels=2) as w:
        w.write(iq)
        w.write(iq)
    assert w.num_clipped == 6
    top = 127 / 128
    with open_recording(w.path) as recording:
        expected = [[top, 0.5j, -1], [13 / 128, top - 1j, top * 1j]]
        assert np.array_equal(recording.read_channels(0, 3), np.array(expected, np.complex64))


def test_a_block_is_never_copied_whole(tmp_path: Path) -> None:
    import tracemalloc

    iq = np.zeros(1 << 22, np.complex64)
    with RecordingWriter(tmp_path / "r.sigmf", sample_rate_hz=1e6) as writer:
        tracemalloc.start()
        writer.write(iq)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # A chunk of 2^15 samples needs 8 bytes each for the scaled values and 4 for the stored ones.
    assert peak < 20 << 15


@pytest.mark.parametrize("datatype", ["ci16_le", "cf32_le"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1j * -np.inf])
def test_bad_samples_are_refused_by_index_and_none_is_written(
    tmp_path: Path, noise: np.ndarray, datatype: str, bad: complex
) -> None:
    iq = np.tile(noise, 50)
    iq[40_123] = bad
    with RecordingWriter(tmp_path / "r", sample_rate_hz=1e6, datatype=datatype) as writer:
        writer.write(noise)
        with pytest.raises(RecordingError, match="sample 41123 is NaN, infinite"):
            writer.write(iq)
        writer.write(noise)
    with open_recording(writer.path, verify=True) as recording:
        assert recording.num_samples == 2000


def fail_while_writing(writer: RecordingWriter, iq: np.ndarray, error: type[BaseException]) -> None:
    with writer:
        writer.write(iq)
        data = writer.path.name.replace("-meta", "-data")
        there = {path.name for path in writer.path.parent.iterdir()} - {writer.path.name, data}
        assert there == {f"{data}.partial", f"{data}.journal"}
        raise error


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_exception_leaves_nothing_behind(
    tmp_path: Path, noise: np.ndarray, name: str, error: type[BaseException]
) -> None:
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=1e6)
    with pytest.raises(error):
        fail_while_writing(writer, noise, error)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RecordingError, match="was given up"):
        writer.close()
    with pytest.raises(RecordingError, match="is closed"):
        writer.write(noise)


def test_abort_keeps_a_recording_that_is_closed(tmp_path: Path, noise: np.ndarray) -> None:
    writer = RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)
    writer.write(noise)
    path = writer.close()
    writer.abort()
    assert writer.close() == path
    open_recording(path, verify=True).close()


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_force_replaces_and_without_it_what_is_there_stays(
    tmp_path: Path, noise: np.ndarray, name: str
) -> None:
    path = write_recording(tmp_path / name, noise, sample_rate_hz=1e6)
    before = path.read_bytes()
    with pytest.raises(RecordingError, match=r"exists already; .*--force"):
        write_recording(tmp_path / name, noise, sample_rate_hz=2e6)
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=2e6, force=True)
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(writer, noise, ZeroDivisionError)
    assert path.read_bytes() == before
    open_recording(path, verify=True).close()
    write_recording(tmp_path / name, noise[:10], sample_rate_hz=2e6, force=True)
    with open_recording(path, verify=True) as recording:
        assert (recording.num_samples, recording.sample_rate_hz) == (10, 2e6)


def test_a_data_file_without_metadata_is_not_overwritten(tmp_path: Path, noise: np.ndarray) -> None:
    (tmp_path / "rec.sigmf-data").write_bytes(b"precious")
    with pytest.raises(RecordingError, match=r"rec.sigmf-data: exists already"):
        RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)


class FullDisk(io.FileIO):
    """A file on a disk with little room: writes what fits, then refuses."""

    room = 150_000

    def write(self, data: Any) -> int:
        fits = min(len(memoryview(data)), self.room - self.tell())
        if fits <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(memoryview(data)[:fits])


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_a_full_disk_keeps_whole_samples_and_the_recording_can_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(unfinished, "FileIO", FullDisk)
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=1e6)
    iq = (np.arange(100_000) % 1000 / 2**15).astype(np.complex64)
    with pytest.raises(RecordingError, match=r"cannot be written .*No space left.*make room"):
        writer.write(iq)
    assert writer.num_samples == 1 << 15
    monkeypatch.undo()
    writer.close()
    with open_recording(writer.path, verify=True) as recording:
        assert np.array_equal(recording.read(), iq[: 1 << 15])


def write_endlessly(writer: RecordingWriter, iq: np.ndarray) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        writer.write(iq)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount on this machine")
    if done.returncode:
        pytest.skip(f"a file system can only be mounted as root: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
@pytest.mark.parametrize("num_notes", [0, 6000])
def test_a_disk_that_is_really_full_has_room_for_the_end(
    small_disk: Path, name: str, num_notes: int
) -> None:
    iq = (np.arange(1 << 15) % 1000 / 2**15).astype(np.complex64)
    writer = RecordingWriter(small_disk / name, sample_rate_hz=1e6)
    for start in range(num_notes):  # more metadata than is always kept free for them
        writer.annotate(Annotation(sample_start=start, sample_count=1, label="frame"))

    def write_on() -> None:
        while True:
            writer.start_segment(global_index=2 * writer.num_samples)
            writer.write(iq)

    with pytest.raises(RecordingError, match="No space left"):
        write_on()
    kept = writer.num_samples
    assert kept > 1_000_000
    assert kept % iq.size == 0
    writer.close()
    assert shutil.disk_usage(small_disk).used < 8 << 20
    with open_recording(writer.path, verify=True) as recording:
        assert recording.num_samples == kept
        assert len(recording.annotations) == num_notes
        assert len(recording.captures) == kept // iq.size
        np.testing.assert_array_equal(recording.read(kept - iq.size), iq)


@pytest.mark.parametrize("num_notes", [0, 6000])
@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_what_was_killed_on_a_full_disk_is_repaired_there(
    small_disk: Path, name: str, num_notes: int
) -> None:
    writer = RecordingWriter(small_disk / name, sample_rate_hz=1e6)
    for start in range(num_notes):
        writer.annotate(Annotation(sample_start=start, sample_count=1, label="frame"))
    with pytest.raises(RecordingError, match="No space left"):
        write_endlessly(writer, np.zeros(1 << 15, np.complex64))
    writer.leave()
    done = repair_recording(small_disk / name)
    assert done.num_samples == writer.num_samples
    with open_recording(done.path, verify=True) as recording:
        assert len(recording.annotations) == num_notes


def test_a_file_that_may_not_grow_is_finished_once_it_may(
    tmp_path: Path, noise: np.ndarray
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = RecordingWriter(tmp_path / "rec.sigmf", sample_rate_hz=1e6)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        with pytest.raises(RecordingError, match=r"cannot be written .File too large"):
            write_endlessly(writer, np.zeros(1 << 15, np.complex64))
        for size in (1 << k for k in range(15, -1, -1)):  # up to the last byte that fits
            with suppress(RecordingError):
                writer.write(np.zeros(size, np.complex64))
        with pytest.raises(RecordingError, match=r"cannot be finished .*inspect --repair"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    done = repair_recording(tmp_path / "rec.sigmf")
    assert done.num_samples == writer.num_samples
    assert abs(4 * done.num_samples + 8192 - (1 << 20)) < 4


class FailingDisk(io.FileIO):
    """A file whose disk takes half of the third write, and then nothing any more."""

    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        if self.writes < 3:
            return super().write(data)
        if self.writes == 3:
            return super().write(memoryview(data)[:1001])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def truncate(self, size: int | None = None) -> int:
        if 3 < self.writes < 99:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().truncate(size)


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_an_error_in_the_middle_keeps_what_was_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(unfinished, "FileIO", FailingDisk)
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=1e6)
    with pytest.raises(RecordingError, match="Input/output error"):
        write_endlessly(writer, np.full(1 << 15, 0.5, np.complex64))
    kept = writer.num_samples
    assert kept == (2 << 15 if name == "rec" else 1 << 15)  # the front of an archive is a write
    monkeypatch.setattr(FailingDisk, "truncate", io.FileIO.truncate)
    writer.close()
    with open_recording(writer.path, verify=True) as recording:
        np.testing.assert_array_equal(recording.read(), np.full(kept, 0.5, np.complex64))


def test_a_disk_that_cannot_be_flushed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: np.ndarray
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(partial, "_SHORT_S", 0.0)
    monkeypatch.setattr(os, "fdatasync", fail)
    writer = RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)
    with pytest.raises(RecordingError, match="Input/output error"):
        write_endlessly(writer, noise)
    with pytest.raises(RecordingError, match=r"cannot be finished \(Input/output error\)"):
        writer.close()
    monkeypatch.undo()
    assert repair_recording(tmp_path / "rec").num_samples == writer.num_samples


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_a_flush_that_fails_once_after_the_last_sample_is_reported_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: np.ndarray, name: str
) -> None:
    fdatasync = os.fdatasync
    armed, failed = threading.Event(), threading.Event()

    def fail_once(descriptor: int) -> None:
        if armed.is_set() and not failed.is_set():
            failed.set()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fdatasync(descriptor)

    monkeypatch.setattr(partial, "_SHORT_S", 0.0)
    monkeypatch.setattr(flusher, "_INTERVAL_S", 0.001)
    monkeypatch.setattr(os, "fdatasync", fail_once)
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=1e6)
    writer.write(noise)
    armed.set()
    assert failed.wait(60)
    with pytest.raises(RecordingError, match=r"cannot be finished \(Input/output error.*--repair"):
        writer.close()
    assert len(list(tmp_path.glob("*.partial")) + list(tmp_path.glob("*.journal"))) == 2
    assert repair_recording(tmp_path / name).num_samples == noise.size


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_flushed_ends_no_recording_but_a_failing_disk_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: np.ndarray, call: str, number: int
) -> None:
    actual = getattr(os, call)
    refused = threading.Event()

    def refuse(target: Any, *arguments: Any) -> Any:
        if Path(target).is_dir() if call == "open" else stat.S_ISDIR(os.fstat(target).st_mode):
            refused.set()
            raise OSError(number, os.strerror(number))
        return actual(target, *arguments)

    monkeypatch.setattr(partial, "_SHORT_S", 0.0)
    monkeypatch.setattr(os, call, refuse)
    writer = RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)
    writer.write(noise)
    assert refused.wait(60)
    if number == errno.EIO:
        with pytest.raises(RecordingError, match="Input/output error"):
            writer.close()
        return
    writer.write(noise)
    with open_recording(writer.close(), verify=True) as recording:
        assert recording.num_samples == 2 * noise.size


def test_what_is_on_the_disk_is_noted_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: np.ndarray
) -> None:
    monkeypatch.setattr(partial, "_SHORT_S", 0.0)
    writer = RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)
    writer.write(noise)
    writer.annotate(Annotation(sample_start=0))
    journal = tmp_path / "rec.sigmf-data.journal"
    deadline = time.monotonic() + 20
    while read_journal(journal).durable < noise.size and time.monotonic() < deadline:
        time.sleep(0.01)
    content = read_journal(journal)
    assert content.durable == noise.size
    assert content.recording is not None
    assert content.recording["pid"] == os.getpid()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_a_disk_that_fails_at_the_end_keeps_the_samples_and_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: np.ndarray, name: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = write_recording(tmp_path / name, noise, sample_rate_hz=1e6)
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=2e6, force=True)
    writer.write(noise[:10])
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RecordingError, match=r"cannot be finished \(No space.*inspect --repair"):
        writer.close()
    monkeypatch.undo()
    with open_recording(path, verify=True) as recording:  # what was there is still whole
        assert recording.num_samples == noise.size
    repair_recording(path, force=True)
    with open_recording(path, verify=True) as recording:
        assert (recording.num_samples, recording.sample_rate_hz) == (10, 2e6)


def test_a_pair_whose_metadata_cannot_get_its_name_can_be_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: np.ndarray
) -> None:
    replace = Path.replace

    def only_data(self: Path, target: Path) -> Path:
        if target.suffix == ".sigmf-meta":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(self, target)

    writer = RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)
    writer.write(noise)
    monkeypatch.setattr(Path, "replace", only_data)
    with pytest.raises(RecordingError, match="cannot be finished"):
        writer.close()
    monkeypatch.undo()
    with pytest.raises(RecordingError, match="interrupted while it was written"):
        open_recording(tmp_path / "rec")
    repair_recording(tmp_path / "rec")
    with open_recording(tmp_path / "rec", verify=True) as recording:
        assert recording.num_samples == noise.size
    assert len(list(tmp_path.iterdir())) == 2


def test_the_data_come_first_in_an_archive_and_are_hashed_as_stored(
    tmp_path: Path, noise: np.ndarray
) -> None:
    path = write_recording(tmp_path / "rec.sigmf", noise, sample_rate_hz=1e6)
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["rec/rec.sigmf-data", "rec/rec.sigmf-meta"]
        data = archive.extractfile("rec/rec.sigmf-data")
        assert data is not None
        digest = hashlib.sha512(data.read()).hexdigest()
    with open_recording(path) as recording:
        assert recording.sha512 == digest


def test_names_of_any_length_and_script_fit_an_archive(tmp_path: Path, noise: np.ndarray) -> None:
    for name in ("n" * 240, "Büro ✓"):
        path = write_recording(tmp_path / f"{name}.sigmf", noise, sample_rate_hz=1e6)
        with tarfile.open(path) as archive:
            assert archive.getnames()[0] == f"{name}/{name}.sigmf-data"
        open_recording(path, verify=True).close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate_hz": 0.0}, "core:sample_rate must be a positive"),
        ({"sample_rate_hz": -1.0}, "core:sample_rate must be a positive"),
        ({"sample_rate_hz": float("nan")}, "no JSON value"),
        ({"datatype": "rf32_le"}, "core:datatype: rf32_le samples are real"),
        ({"datatype": "c16"}, "unknown datatype 'c16'"),
        ({"num_channels": 0}, "global/core:num_channels: 0 breaks"),
        ({"center_frequency_hz": 1e15}, "captures/0/core:frequency"),
        ({"global_fields": {"core:datatype": "ci8"}}, "core:datatype is stated by the writer"),
        ({"global_fields": {"core:sha512": "0" * 128}}, "core:sha512 is stated by the writer"),
        ({"global_fields": {"phyemu:x": {1}}}, "no JSON value"),
        ({"global_fields": {"core:author": 3}}, "global/core:author: 3 breaks SigMF's rule"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        RecordingWriter(tmp_path / "rec", **({"sample_rate_hz": 1e6} | settings))
    assert list(tmp_path.iterdir()) == []


def test_bad_samples_annotations_and_names_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    with pytest.raises(RecordingError, match="compressed archives are read, not written"):
        RecordingWriter(tmp_path / "rec.sigmf.gz", sample_rate_hz=1e6)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"cannot be written .*choose another folder"):
        RecordingWriter(tmp_path / "file" / "rec", sample_rate_hz=1e6)
    with RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6) as writer:
        writer.write(noise)
        for iq in (noise.reshape(2, -1), noise.reshape(1, 1, -1), noise[0]):
            with pytest.raises(RecordingError, match=r"samples must be \(1, num_samples\), got"):
                writer.write(iq)
        with pytest.raises(RecordingError, match="samples must be complex, got float32"):
            writer.write(noise.real)
        for start, count in ((-1, None), (0, -1)):
            with pytest.raises(RecordingError, match="needs sample_start and sample_count >= 0"):
                writer.annotate(Annotation(sample_start=start, sample_count=count))


def test_what_we_would_refuse_to_read_is_not_written(tmp_path: Path, noise: np.ndarray) -> None:
    writer = RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6)
    writer.write(noise)
    writer.annotate(Annotation(sample_start=900, sample_count=101))
    with pytest.raises(RecordingError, match=r"annotations/0 ends at sample 1001.*--repair"):
        writer.close()
    assert repair_recording(tmp_path / "rec").num_samples == noise.size
    with open_recording(tmp_path / "rec") as recording:  # as far as they fit
        assert [note.sample_count for note in recording.annotations] == [100]


def test_a_recording_without_samples_is_none(tmp_path: Path, noise: np.ndarray) -> None:
    with (
        pytest.raises(RecordingError, match="no samples were written; nothing is kept"),
        RecordingWriter(tmp_path / "rec", sample_rate_hz=1e6) as writer,
    ):
        writer.write(noise[:0])
    assert list(tmp_path.iterdir()) == []
