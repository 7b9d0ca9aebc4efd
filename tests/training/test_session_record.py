import contextlib
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phyemu.datasets import Dataset, ImageSet
from phyemu.training.distributed import Processes
from phyemu.training.session_record import recorded_session


def dataset() -> Dataset:
    images = torch.arange(6 * 3 * 2 * 2, dtype=torch.uint8).reshape(6, 3, 2, 2)
    whole = ImageSet(images, torch.tensor([0, 1, 0, 1, 0, 1]), ("cat", "dog"))
    parts = [whole.subset(torch.arange(first, first + 2)) for first in (0, 2, 4)]
    return Dataset(
        name="digits",
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )


def sessions(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((folder / "sessions.json").read_text())["sessions"]
    return found


def test_each_session_says_how_it_ended_and_the_earlier_ones_stay(tmp_path: Path) -> None:
    with recorded_session(tmp_path, dataset(), "cpu"):
        # What a power cut would leave.
        assert [(one["ended"], one["duration_s"]) for one in sessions(tmp_path)] == [
            ("begun", None)
        ]
    for error in (KeyboardInterrupt, ValueError):
        with (
            pytest.raises(error),
            recorded_session(tmp_path, dataset(), "cpu", processes=Processes(count=2)),
        ):
            raise error
    found = sessions(tmp_path)
    assert [one["ended"] for one in found] == ["finished", "interrupted", "failed"]
    assert [one["processes"] for one in found] == [1, 2, 2]
    assert all(isinstance(one["duration_s"], float) for one in found)
    assert found[0]["torch"] == torch.__version__
    assert found[0]["threads"] == torch.get_num_threads()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_record_that_cannot_be_ended_ends_no_training(
    error: type[BaseException] | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        if error is not None:
            stack.enter_context(pytest.raises(error))
        stack.enter_context(recorded_session(folder, dataset(), "cpu"))
        shutil.rmtree(folder)
        if error is not None:
            raise error
    assert "how this session ended is not recorded" in caplog.text


def test_images_are_told_apart_by_a_pixel_and_by_a_label(tmp_path: Path) -> None:
    plain = dataset()
    pixels = plain.train.images.clone()
    pixels[1, 2, 1, 1] ^= 1
    changed = replace(plain, train=replace(plain.train, images=pixels))
    relabelled = replace(plain, train=replace(plain.train, labels=plain.train.labels.flip(0)))
    for one in (plain, changed, relabelled):
        with recorded_session(tmp_path, one, "cpu"):
            pass
    splits = [one["images"] for one in sessions(tmp_path)]
    # Labels as little-endian int64, then the pixels.
    by_hand = hashlib.sha256(bytes([0] * 8 + [1] + [0] * 7) + bytes(range(24))).hexdigest()
    assert splits[0]["train"] == {"number": 2, "sha256": by_hand}  # type: ignore[index]
    assert len({split["train"]["sha256"] for split in splits}) == 3  # type: ignore[index]
    assert len({split["test"]["sha256"] for split in splits}) == 1  # type: ignore[index]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sessions": 3}', b"\xff"])
def test_a_damaged_record_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sessions.json").write_bytes(content)
    with recorded_session(tmp_path, dataset(), "cpu"):
        pass
    assert [one["ended"] for one in sessions(tmp_path)] == ["finished"]
    assert (tmp_path / "sessions.json.unreadable").read_bytes() == content
