"""Studies that were cut off go on, but never with the parts of other code."""

from pathlib import Path

from benchmarks.kept_parts import KeptParts, digest


def test_a_part_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "parts.json"
    assert KeptParts(path, "a").part("x", lambda: {"y": (1, 2)}) == {"y": [1, 2]}
    assert KeptParts(path, "a").part("x", lambda: 1 // 0) == {"y": [1, 2]}


def test_other_code_forgets_the_parts(tmp_path: Path) -> None:
    path = tmp_path / "parts.json"
    KeptParts(path, "a").part("x", lambda: 1)
    assert KeptParts(path, "b").part("x", lambda: 2) == 2


def test_the_digest_is_of_all_python_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1", encoding="utf-8")
    before = digest([tmp_path])
    (tmp_path / "b.txt").write_text("2", encoding="utf-8")
    assert digest([tmp_path]) == before
    (tmp_path / "b.py").write_text("2", encoding="utf-8")
    assert digest([tmp_path]) != before
