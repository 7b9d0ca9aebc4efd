"""Recordings that were killed, cut or damaged: every sample that is there is kept."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import RecordingError
from phyemu.iq import Annotation, RecordingWriter, open_recording, repair_recording
from phyemu.iq import journal as journal_module
from phyemu.iq import repair as repair_module
from phyemu.iq.archive import DATA_START
from phyemu.iq.unfinished import Names, names_of, refuse_unfinished, writer_of

KINDS = ["rec", "rec.sigmf"]
RATE_HZ = 1e6


def counted(start: int, count: int) -> np.ndarray:
    """Return samples that each hold their own number, as 32 bits of ci16."""
    words = np.arange(start, start + count, dtype=np.uint32).view(np.int16).astype(np.float32)
    return (words / 32768).view(np.complex64)


def write_some(path: Path, *, num_samples: int = 5000) -> RecordingWriter:
    """Return a writer with so many samples, a gap every 1000, and an annotation on each stretch."""
    writer = RecordingWriter(
        path, sample_rate_hz=RATE_HZ, center_frequency_hz=2.4e9, global_fields={"phyemu:seed": 3}
    )
    for start in range(0, num_samples, 1000):
        if start:
            writer.start_segment(global_index=2 * start, fields={"phyemu:gap": "overflow"})
        count = min(1000, num_samples - start)
        writer.annotate(Annotation(sample_start=start, sample_count=count, label="stretch"))
        writer.write(counted(start, count))
    return writer


def abandon(path: Path, *, num_samples: int = 5000) -> Names:
    write_some(path, num_samples=num_samples).leave()
    return names_of(path)


def words_in(path: Path) -> np.ndarray:
    """Return the numbers that the samples of a recording hold, after checking its hash."""
    with open_recording(path, verify=True) as recording:
        parts = recording.read().view(np.float32) * 32768
        return parts.astype(np.int16).view(np.uint32)


def check_whole(path: Path, num_samples: int) -> None:
    np.testing.assert_array_equal(words_in(path), np.arange(num_samples))
    with open_recording(path) as recording:
        starts = list(range(0, num_samples, 1000))
        assert [segment.sample_start for segment in recording.captures] == starts
        assert [segment.global_index for segment in recording.captures[1:]] == [
            2 * start for start in starts[1:]
        ]
        ends = [note.sample_start + (note.sample_count or 0) for note in recording.annotations]
        assert ends == [min(start + 1000, num_samples) for start in starts]
        assert recording.center_frequency_hz == 2.4e9
        assert recording.global_fields["phyemu:seed"] == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given_as", ["name", "base", "partial", "journal"])
def test_an_interrupted_recording_is_finished_by_any_of_its_names(
    tmp_path: Path, kind: str, given_as: str
) -> None:
    names = abandon(tmp_path / kind)
    assert names.is_unfinished
    assert {path.name for path in tmp_path.iterdir()} == {names.partial.name, names.journal.name}
    path = {
        "name": names.path,
        "base": tmp_path / "rec",
        "partial": names.partial,
        "journal": names.journal,
    }[given_as]
    with pytest.raises(RecordingError, match=r"interrupted .*phyemu inspect --repair"):
        open_recording(path)
    done = repair_recording(path)
    assert (done.path, done.num_samples, done.cause) == (names.path, 5000, "interrupted")
    check_whole(names.path, 5000)
    with open_recording(names.path) as recording:
        note = recording.global_fields["phyemu:repaired"]
    assert note == {"samples": 5000, "cause": "interrupted"}
    assert {path.name for path in tmp_path.iterdir()} == {names.path.name, names.data.name}
    before = names.data.read_bytes()
    again = repair_recording(names.path)  # a second repair finds nothing to do
    assert (again.cause, again.num_samples) == ("", 5000)
    assert names.data.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_being_written_is_left_alone(tmp_path: Path, kind: str) -> None:
    writer = write_some(tmp_path / kind)
    names = names_of(tmp_path / kind)
    assert writer_of(names) == f"process {os.getpid()}"
    for refused in (repair_recording, open_recording):
        with pytest.raises(RecordingError, match=f"process {os.getpid()} is still writing it"):
            refused(names.path)
    for force in (False, True):
        with pytest.raises(RecordingError, match=f"process {os.getpid()} is writing it"):
            RecordingWriter(names.path, sample_rate_hz=1.0, force=force)
    writer.close()
    assert writer_of(names) is None
    check_whole(names.path, 5000)
    refuse_unfinished(names.path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_recording_is_not_overwritten_unless_told(tmp_path: Path, kind: str) -> None:
    names = abandon(tmp_path / kind)
    with pytest.raises(RecordingError, match=r"interrupted while it was written; finish it"):
        RecordingWriter(names.path, sample_rate_hz=1.0)
    assert repair_recording(names.path).num_samples == 5000
    names = abandon(tmp_path / f"other-{kind}")
    with RecordingWriter(names.path, sample_rate_hz=RATE_HZ, force=True) as writer:
        writer.write(counted(0, 10))
    assert words_in(names.path).size == 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_does_not_replace_a_finished_recording_unless_told(
    tmp_path: Path, kind: str
) -> None:
    write_some(tmp_path / kind, num_samples=3).close()
    writer = RecordingWriter(tmp_path / kind, sample_rate_hz=RATE_HZ, force=True)
    writer.write(counted(0, 100))
    writer.leave()
    with pytest.raises(RecordingError, match=r"would replace rec\.sigmf.*--force"):
        repair_recording(tmp_path / kind)
    assert words_in(tmp_path / kind).size == 3
    assert repair_recording(tmp_path / kind, force=True).num_samples == 100
    assert words_in(tmp_path / kind).size == 100


class Stop(Exception):
    """The process ends here, as far as the files are concerned."""


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Let the step-th call that changes files be the last one; return a count of the calls."""
    calls = 0

    def limited(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > step:
                raise Stop
            return function(*arguments, **keywords)

        return call

    for name in ("pwrite", "fsync", "fdatasync", "ftruncate"):
        monkeypatch.setattr(os, name, limited(getattr(os, name)))
    for name in ("replace", "unlink", "open"):
        monkeypatch.setattr(Path, name, limited(getattr(Path, name)))
    return lambda: calls


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", [False, True])
def test_a_close_and_a_repair_may_be_killed_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, old: bool
) -> None:
    for step in range(100):
        folder = tmp_path / str(step)
        if old:  # an older recording, to be replaced
            write_some(folder / kind, num_samples=1).close()
        writer = RecordingWriter(folder / kind, sample_rate_hz=RATE_HZ, force=old)
        writer.write(counted(0, 777))
        stop_at(monkeypatch, step)
        finished = True
        try:
            writer.close()
        except (Stop, RecordingError):
            finished = False
        monkeypatch.undo()
        if finished:
            break
        for repair_step in (step // 2, step, 99):
            stop_at(monkeypatch, repair_step)
            try:
                repair_recording(folder / kind, force=old)
            except (Stop, RecordingError):
                pass
            finally:
                monkeypatch.undo()
        np.testing.assert_array_equal(words_in(folder / kind), np.arange(777))
        assert len(list(folder.iterdir())) == (1 if kind.endswith(".sigmf") else 2)
    assert step > 5


def stored_of(names: Names) -> bytes:
    data = names.partial if names.partial.exists() else names.data
    return data.read_bytes()[DATA_START if names.is_archive else 0 :]


@settings(max_examples=50)
@given(
    kind=st.sampled_from(KINDS),
    cut_partial=st.none() | st.integers(0, 30_000),
    cut_journal=st.none() | st.integers(0, 3000),
    flips=st.lists(
        st.tuples(st.booleans(), st.integers(0, 30_000), st.integers(1, 255)), max_size=6
    ),
    lost_journal=st.sampled_from([False, False, False, True]),
)
def test_whatever_is_damaged_no_sample_is_lost_and_no_traceback_comes(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    cut_partial: int | None,
    cut_journal: int | None,
    flips: list[tuple[bool, int, int]],
    lost_journal: bool,
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    names = abandon(folder / kind)
    for in_journal, path, cut in (
        (False, names.partial, cut_partial),
        (True, names.journal, cut_journal),
    ):
        content = bytearray(path.read_bytes()[:cut])
        for of_journal, position, change in flips:
            if of_journal is in_journal and content:
                content[position % len(content)] ^= change
        path.write_bytes(content)
    if lost_journal:
        names.journal.unlink()
    stored = stored_of(names)
    try:
        done = repair_recording(names.path)
    except RecordingError:
        assert stored_of(names) == stored  # nothing was taken away
        return
    whole = len(stored) // 4
    assert done.num_samples == whole
    with open_recording(names.path, verify=True) as recording:
        assert recording.num_samples == whole
        parts = (recording.read().view(np.float32) * 32768).astype("<i2")
    assert parts.tobytes() == stored[: 4 * whole]
    damaged = bool(done.remarks)
    if cut_journal is None and not any(in_journal for in_journal, _, _ in flips):
        assert damaged is lost_journal


def test_a_machine_that_stopped_marks_what_may_not_have_reached_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "boot_id", lambda: "yesterday")
    monkeypatch.setattr("phyemu.iq.partial.boot_id", lambda: "yesterday")
    writer = write_some(tmp_path / "rec")
    writer._partial._journal.append("durable", 3000)  # as the flushing thread does
    writer.leave()
    done = repair_recording(tmp_path / "rec")
    assert "samples from 3000 on may be wrong" in done.line()
    with open_recording(done.path, verify=True) as recording:
        assert recording.num_samples == 5000
        last = [note for note in recording.annotations if note.label == "unconfirmed"]
        assert [(note.sample_start, note.sample_count) for note in last] == [(3000, 2000)]
        assert recording.global_fields["phyemu:repaired"]["unconfirmed_from"] == 3000


@pytest.mark.parametrize("kind", KINDS)
def test_without_journal_an_archive_tells_what_it_holds_and_a_pair_does_not(
    tmp_path: Path, kind: str
) -> None:
    names = abandon(tmp_path / kind)
    names.journal.unlink()
    if names.is_archive:
        assert "gaps and annotations may be missing" in repair_recording(names.path).line()
        np.testing.assert_array_equal(words_in(names.path), np.arange(5000))
    else:
        with pytest.raises(RecordingError, match=r"rate and datatype .* are not known"):
            repair_recording(names.path)
        assert len(stored_of(names)) == 20_000


def test_a_partial_archive_that_somebody_renamed_is_finished(tmp_path: Path) -> None:
    names = abandon(tmp_path / "rec.sigmf")
    names.partial.rename(names.path)
    repair_recording(names.path)
    check_whole(names.path, 5000)


@settings(max_examples=30)
@given(size=st.integers(0, 40_000))
def test_an_archive_that_was_cut_keeps_its_whole_samples(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "rec.sigmf"
    write_some(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    kept = min(5000, max(0, size - DATA_START) // 4)
    if size >= len(whole):
        assert repair_recording(path).cause == ""
    elif kept == 0:
        with pytest.raises(RecordingError):
            repair_recording(path)
        assert path.read_bytes() == whole[:size]
    else:
        done = repair_recording(path)
        cause = "truncated" if kept < 5000 else "metadata cut"
        # The last block of a tar file may be missing without harm.
        assert done.cause in (cause, "")
        assert done.num_samples == kept
        check_whole(path, kept)


@pytest.mark.parametrize("size", [0, 10, 300, 600, 900, 1100, 1300])
def test_a_pair_whose_metadata_were_cut_keeps_what_is_intact(tmp_path: Path, size: int) -> None:
    path = write_some(tmp_path / "rec").close()
    text = path.read_bytes()
    path.write_bytes(text[:size])
    if text[:size].find(b'"captures"') < 0:
        with pytest.raises(RecordingError, match="without the object 'global'"):
            repair_recording(path)
        assert path.read_bytes() == text[:size]
        return
    done = repair_recording(path)
    assert (done.cause, done.num_samples) == ("metadata cut", 5000)
    np.testing.assert_array_equal(words_in(path), np.arange(5000))
    with open_recording(path) as recording:
        complete = json.loads(text)["captures"]
        assert len(recording.captures) <= len(complete)
        for segment, entry in zip(recording.captures[1:], complete[1:], strict=False):
            assert segment.global_index == entry["core:global_index"]


@pytest.mark.parametrize("size", [3, 4, 2001, 19_999])
def test_a_pair_whose_samples_were_cut_keeps_the_whole_ones(tmp_path: Path, size: int) -> None:
    path = write_some(tmp_path / "rec").close()
    os.truncate(path.with_suffix(".sigmf-data"), size)
    if size < 4:
        with pytest.raises(RecordingError, match="holds no samples"):
            repair_recording(path)
        return
    assert repair_recording(path).cause == "truncated"
    check_whole(path, size // 4)


def test_what_cannot_be_known_is_refused(tmp_path: Path) -> None:
    path = write_some(tmp_path / "rec").close()
    data = path.with_suffix(".sigmf-data")
    changed = bytearray(data.read_bytes())
    changed[7] ^= 1
    data.write_bytes(changed)
    with pytest.raises(RecordingError, match="do not match core:sha512, so they were changed"):
        repair_recording(path)
    text = json.loads(path.read_text())
    path.unlink()
    for given_as in (path, data, tmp_path / "rec"):
        with pytest.raises(RecordingError, match=r"metadata are missing, .*by hand"):
            repair_recording(given_as)
    text["global"]["core:trailing_bytes"] = 2
    path.write_text(json.dumps(text))
    with pytest.raises(RecordingError, match="core:trailing_bytes says that its data hold more"):
        repair_recording(path)
    data.unlink()
    with pytest.raises(RecordingError, match=r"samples are missing, rec\.sigmf-data"):
        repair_recording(path)
    with pytest.raises(RecordingError, match="no such recording, finished or not"):
        repair_recording(tmp_path / "none")
    for name in (".old.0123.partial", "photo.jpg"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(RecordingError, match="nothing tells what it holds"):
            repair_recording(tmp_path / name)
    (tmp_path / "foreign.sigmf").write_bytes(b"x" * 10_000)
    with pytest.raises(RecordingError, match="only archives of phyemu's own"):
        repair_recording(tmp_path / "foreign.sigmf")


def test_a_hostile_journal_with_valid_checksums_is_refused_or_cleaned(tmp_path: Path) -> None:
    good = {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.2.0"}
    for entries, message in [
        ([("recording", {"global": {**good, "core:num_channels": 2**62}})], "no samples"),
        ([("recording", {"global": {**good, "core:datatype": "rf32_le"}})], "real"),
        ([("recording", {"global": {**good, "core:sample_rate": "fast"}})], "sample_rate"),
        ([("recording", {"global": 3})], "not known"),
        ([("recording", {"global": good}), ("end", -5)], "no samples"),
        ([("recording", {"global": good}), ("capture", {"core:sample_start": -1})], ""),
        ([("recording", {"global": good}), ("capture", {"core:sample_start": "x"})], ""),
        ([("recording", {"global": good}), ("annotation", {"core:label": 5})], ""),
        (
            [
                ("recording", {"global": good}),
                ("capture", {"core:sample_start": 2, "core:frequency": 1e99}),
                ("annotation", {"core:sample_start": 1, "core:comment": []}),
            ],
            "",
        ),
    ]:
        names = abandon(tmp_path / "rec")
        journal = journal_module.Journal(names.journal)
        for kind, value in entries:
            journal.append(kind, value)
        journal.close()
        if message:
            with pytest.raises(RecordingError, match=message):
                repair_recording(names.path)
            assert len(stored_of(names)) == 20_000
        else:
            repair_recording(names.path)
            np.testing.assert_array_equal(words_in(names.path), np.arange(5000))
            with open_recording(names.path) as recording:
                assert [segment.sample_start for segment in recording.captures] == [0]
                assert recording.annotations == ()
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_disk_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    names = abandon(tmp_path / "rec")
    monkeypatch.setattr(repair_module, "_hash", fail)
    with pytest.raises(RecordingError, match=r"cannot be repaired \(Input/output error\)"):
        repair_recording(names.path)
    monkeypatch.undo()
    repair_recording(names.path)
    check_whole(names.path, 5000)


WRITER = """
import os, sys
import numpy as np
from phyemu.iq import Annotation, RecordingWriter
path, block = sys.argv[1], int(sys.argv[2])
writer = RecordingWriter(path, sample_rate_hz=1e6, center_frequency_hz=2.4e9)
start = 0
while True:
    if start:
        writer.start_segment(global_index=2 * start, fields={"phyemu:gap": "overflow"})
    writer.annotate(Annotation(sample_start=start, sample_count=block, label="stretch"))
    words = np.arange(start, start + block, dtype=np.uint32).view(np.int16).astype(np.float32)
    writer.write((words / 32768).view(np.complex64))
    start += block
    os.write(1, b".")
"""


@pytest.mark.parametrize(
    ("kind", "block", "most", "seed"),
    [
        ("rec", 1000, 400, 1),
        ("rec.sigmf", 100_000, 100, 4),
    ],
)
def test_a_killed_process_loses_nothing_that_it_wrote(
    tmp_path: Path, kind: str, block: int, most: int, seed: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / kind), str(block)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as reports:
        # It is killed somewhere in a block, after so many were written.
        written = len(reports.read(random.Random(seed).randint(1, most)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        written += len(reports.read())
    done = repair_recording(tmp_path / kind)
    # Every write that returned is there, and of the one under way whole chunks.
    assert written * block <= done.num_samples <= (written + 1) * block
    np.testing.assert_array_equal(words_in(done.path), np.arange(done.num_samples))
    with open_recording(done.path) as recording:
        starts = [segment.sample_start for segment in recording.captures]
        assert starts == list(range(0, done.num_samples, block))
        assert [segment.global_index for segment in recording.captures[1:]] == [
            2 * start for start in starts[1:]
        ]
        # Annotations may wait a quarter of a second; those that are there are right.
        notes = [note.sample_start for note in recording.annotations]
        assert notes == starts[: len(notes)]
    assert not list(tmp_path.glob("*.partial")) + list(tmp_path.glob("*.journal"))
