"""Records of what a head has sent."""

from pathlib import Path

import pytest

from phyemu.errors import DatasetError
from phyemu.serving import SentImage, SentRecord, load_sent_record


def image(row: int, frame: int, position: int = 0) -> SentImage:
    return SentImage(name=f"n{row}", frame=frame, position=position, index=row, label=row % 3)


def test_lines_come_back_and_the_summary_is_passed_over(tmp_path: Path) -> None:
    images = [image(row, row // 2, row % 2) for row in range(6)]
    path = tmp_path / "sent.jsonl"
    lines = [*(item.line() for item in images), '{"summary": {"images": 6}}']
    path.write_text("\n".join(lines) + "\n")
    record = load_sent_record(path)
    assert [record.find(row // 2, row % 2) for row in range(6)] == images


def test_numbers_that_come_again_are_told_apart_by_their_order() -> None:
    # Frames 0..2, three times over.
    record = SentRecord(image(row, row % 3) for row in range(9))

    def index(frame: int) -> int | None:
        found = record.find(frame, 0)
        return None if found is None else found.index

    # Frame 2 of the first round is lost, and frames 0 and 1 of the last one; then it begins anew.
    assert [index(frame) for frame in (0, 1, 0, 1, 2, 2, 0)] == [0, 1, 3, 4, 5, 8, 0]
    assert record.find(7, 0) is None
    assert index(2) == 2
    record.rewind()
    assert index(1) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no image; give the record of phyemu run head"),
        ("no JSON\n", "line 1: no image that phyemu run head sent"),
        ('{"name": "a", "frame": "1", "position": 0}\n', "line 1: no image that"),
        ('{"name": "a", "frame": 1, "position": 0, "colour": 1}\n', "line 1: no image that"),
        ("7\n", "line 1: no image that"),
        ('{"name": "a.png", "frame": 1, "position": 0}\n', "tells no classes"),
        ("\xff\n", "line 1: no image that"),
    ],
)
def test_other_files_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        load_sent_record(path)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        load_sent_record(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_sent_record(tmp_path / "bytes.jsonl")


def test_names_without_classes_are_enough_for_a_relay(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    unknown = SentImage(name="4.0", frame=1, position=0)
    path.write_text(f"{unknown.line()}\n")
    record = load_sent_record(path, needs_classes=False)
    assert record.find(1, 0) == unknown
    # An image that a relay could not name costs itself alone.
    path.write_text(f"{image(0, 0).line()}\n{unknown.line()}\n")
    assert load_sent_record(path).find(1, 0) == unknown
