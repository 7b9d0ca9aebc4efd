from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phyemu.dnn import evaluating
from phyemu.errors import CheckpointError, ConfigError, DatasetError
from phyemu.evaluation import (
    load_exported,
    load_exported_head,
    load_exported_tail,
    load_sent_images,
    run_test_images,
)
from phyemu.node import content as content_module
from phyemu.node.content import load_images, write_head_content, write_tail_content


def test_the_images_are_the_first_of_the_run(run: Path, content: Path) -> None:
    images = load_images(content / "images.npz")
    expected = run_test_images(run, load_exported(run))
    assert torch.equal(images.images, expected.images[:20])
    assert torch.equal(images.labels, expected.labels[:20])
    assert images.class_names == expected.class_names


def test_the_head_alone_sends_what_the_receiver_expects(content: Path) -> None:
    head = load_exported_head(content).head
    sent = load_sent_images(content / "sent.npz")
    images = load_images(content / "images.npz")
    with evaluating(head):
        assert torch.equal(head(images.images), sent.symbols)
    assert torch.equal(images.labels, sent.labels)


def test_each_side_is_there_without_the_other(run: Path, tmp_path: Path) -> None:
    write_head_content(run, tmp_path / "tx")
    write_tail_content(run, tmp_path / "rx")
    assert {p.name for p in (tmp_path / "tx").rglob("*")} == {
        *("head", "m4.safetensors", "m4.json", "images.npz")
    }
    assert {p.name for p in (tmp_path / "rx").rglob("*")} == {
        *("tail", "m4.safetensors", "m4.json", "sent.npz")
    }
    both = load_exported(run)
    head, tail = load_exported_head(tmp_path / "tx"), load_exported_tail(tmp_path / "rx")
    for side in (head, tail):
        assert side.frame_format == both.frame_format
        assert side.order == both.order
        assert side.symbols_per_image == both.symbols_per_image
    with pytest.raises(CheckpointError, match=r"holds no exported tail \(tail/"):
        load_exported_tail(tmp_path / "tx")
    with pytest.raises(CheckpointError, match=r"holds no head of order 8, but \[4\]"):
        load_exported_head(tmp_path / "tx", order=8)


def test_equal_runs_give_equal_bytes(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        written = write_head_content(run, tmp_path / name, max_images=7)
        written += write_tail_content(run, tmp_path / name, max_images=7)
        assert len(written) == 6
    for path in (tmp_path / "a").rglob("*.*"):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes()


def test_numbers_out_of_range_are_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        write_head_content(run, tmp_path, max_images=0)
    phydnn = load_exported(run)
    short = replace(phydnn, frame_format=replace(phydnn.frame_format, max_payload_symbols=16))
    monkeypatch.setattr(content_module, "load_exported", lambda run, order: short)
    monkeypatch.setattr(content_module, "NUM_FRAME_INDICES", 10)
    per_image = phydnn.symbols_per_image
    with pytest.raises(ConfigError, match=f"10 have numbers; send at most {160 // per_image}"):
        write_head_content(run, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such file; .*package --head RUN"):
        load_images(tmp_path / "images.npz")


@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_damaged_images_are_refused_or_valid(
    where: float, value: int, content: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bytearray((content / "images.npz").read_bytes())
    raw[int(where * len(raw))] = value
    path = tmp_path_factory.mktemp("damaged") / "images.npz"
    path.write_bytes(raw[: len(raw) - value % 3])
    try:
        images = load_images(path)
    except DatasetError as error:
        said = str(error)
    else:
        said = f"{len(images)} images" * (len(images) == len(images.labels))
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((2, 1, 8, 8), np.float32)},
        {"labels": np.zeros(3, np.int64)},
        {"labels": np.array([0, 99])},
        {"images": np.array([{"a": 1}, None], dtype=object)},
    ],
)
def test_contradictions_and_pickles_are_refused(arrays: dict[str, object], tmp_path: Path) -> None:
    whole: dict[str, object] = {
        "images": np.zeros((2, 1, 8, 8), np.uint8),
        "labels": np.zeros(2, np.int64),
        "class_names": np.array(["a", "b"]),
    }
    path = tmp_path / "images.npz"
    np.savez(path, **(whole | arrays))  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match=r"images\.npz: "):
        load_images(path)
