"""The journal: what was appended is read, whatever happened to the rest."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.iq import journal as journal_module
from phyemu.iq.journal import Journal, boot_id, note_end, read_journal

ENTRIES = [
    ("recording", {"global": {"core:sample_rate": 1.5}, "pid": 7, "boot": "x"}),
    ("capture", {"core:sample_start": 0}),
    ("durable", 50),
    ("annotation", {"core:sample_start": 3, "core:label": "grün\n"}),
    ("capture", {"core:sample_start": 90}),
    ("durable", 120),
]


def write_entries(path: Path) -> bytes:
    journal = Journal(path)
    for kind, value in ENTRIES:
        journal.append(kind, value)
    journal.release()
    journal.close()
    return path.read_bytes()


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    write_entries(tmp_path / "j")
    content = read_journal(tmp_path / "j")
    assert content.recording == ENTRIES[0][1]
    assert content.captures == [ENTRIES[1][1], ENTRIES[4][1]]
    assert content.annotations == [ENTRIES[3][1]]
    assert (content.durable, content.end, content.damaged) == (120, None, 0)


def test_entries_that_wait_are_there_before_the_next_and_after_a_flush(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append_soon("annotation", {"core:sample_start": 1})
    assert read_journal(tmp_path / "j").annotations == []
    journal.append("durable", 5)
    assert read_journal(tmp_path / "j").annotations == [{"core:sample_start": 1}]
    journal.append_soon("annotation", {"core:sample_start": 2})
    journal.flush()
    assert len(read_journal(tmp_path / "j").annotations) == 2
    journal.close()


def test_the_room_for_the_end_is_allocated_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    for start in range(20_000):
        journal.append("annotation", {"core:sample_start": start})
    used = len(path.read_bytes().rstrip(b"\0"))
    assert path.stat().st_blocks * 512 >= 3 * used  # as much again for its text, and more
    journal.release()
    assert path.stat().st_size == used
    journal.close()
    assert len(read_journal(path).annotations) == 20_000


def test_a_write_that_fails_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite

    def full(descriptor: int, data: bytes, position: int) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(descriptor, data[:-15], position)

    journal = Journal(tmp_path / "j")
    journal.append("durable", 1)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        journal.append("end", 1_000_000_000_000)
    monkeypatch.undo()
    assert read_journal(tmp_path / "j").end is None
    journal.append("end", 1_000_000_000_000)
    journal.close()
    assert read_journal(tmp_path / "j").end == 1_000_000_000_000


@settings(max_examples=50)
@given(cut=st.integers(0, 500))
def test_of_a_cut_journal_the_whole_lines_are_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.journal"
    text = write_entries(path)
    kept = text[:cut]
    path.write_bytes(kept)
    content = read_journal(path)
    whole = kept.count(b"\n")
    assert content.damaged == 0
    read = [content.recording is not None, len(content.captures), len(content.annotations)]
    kinds = [kind for kind, _ in ENTRIES[:whole]]
    assert read == [whole > 0, kinds.count("capture"), kinds.count("annotation")]
    # What is noted at the end follows the last whole line.
    note_end(path, ENTRIES[0][1], 7)
    again = read_journal(path)
    assert (again.end, again.damaged, again.captures) == (7, 0, content.captures)


@settings(max_examples=50)
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4))
def test_damaged_lines_are_passed_over_and_counted(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.journal"
    before = write_entries(path)
    text = bytearray(before)
    for position, change in flips:
        text[position % len(text)] ^= change
    path.write_bytes(text)
    content = read_journal(path)
    intact = [line for line in before.split(b"\n")[:-1] if line in text.split(b"\n")]
    found = (content.recording is not None) + len(content.captures) + len(content.annotations)
    # Whatever is read stands there as it was written: no line was invented.
    assert found <= len(intact)
    assert all(entry in (ENTRIES[1][1], ENTRIES[4][1]) for entry in content.captures)
    assert content.durable in (0, 50, 120)
    if len(intact) < len(ENTRIES) - 1:
        assert content.damaged >= 1


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b'{"end": true}',
        b'{"end": "5"}',
        b'{"other": 1}',
        b'{"capture": 3}',
        b"{}",
        b"[" * 99999,
    ],
)
def test_lines_with_a_valid_checksum_that_are_not_ours_are_passed_over(
    tmp_path: Path, line: bytes
) -> None:
    import zlib

    path = tmp_path / "j"
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(line), line))
    content = read_journal(path)
    assert (content.damaged, content.end, content.captures) == (1, None, [])


def test_a_journal_is_read_to_its_end_however_long_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j"
    before = write_entries(path)
    hole = 257 << 20  # sparse: a damaged place larger than any line, or as many annotations
    with path.open("r+b") as file:
        file.seek(hole)
        file.write(b"\n" + before)
        file.truncate(hole + 3 * len(before))  # room for the end
    note_end(path, ENTRIES[0][1], 7)
    assert path.stat().st_size > hole + len(before)
    content = read_journal(path)
    assert (content.damaged, len(content.captures)) == (1, 4)
    assert (content.durable, content.end) == (120, 7)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_lines_that_blocks_cut_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = tmp_path / "j"
    text = write_entries(path) + b"torn\0\0and zeroed\nunfinished" + bytes(500)
    path.write_bytes(text)
    whole = read_journal(path)
    monkeypatch.setattr(journal_module, "_BLOCK_BYTES", size)
    assert read_journal(path) == whole
    assert whole.damaged == 1
    note_end(path, ENTRIES[0][1], 7)
    kept = path.read_bytes()
    end = text.rindex(b"\n") + 1
    assert kept[:end] == text[:end]
    assert b"unfinished" not in kept
    assert read_journal(path).end == 7


def test_a_line_longer_than_any_of_ours_is_one_damaged_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(journal_module, "_MAX_LINE_BYTES", 500)
    path = tmp_path / "j"
    before = write_entries(path)
    path.write_bytes(b"x" * 2000 + b"\n" + before)
    content = read_journal(path)
    assert (content.damaged, len(content.captures), content.durable) == (1, 2, 120)


def test_this_machine_has_a_boot_that_stays() -> None:
    assert boot_id() == boot_id()
