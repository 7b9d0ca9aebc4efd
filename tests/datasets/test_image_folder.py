"""Image trees, as folders and as archives."""

import struct
import tarfile
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phyemu.datasets.archive import read_members
from phyemu.datasets.image_folder import load_image_folder
from phyemu.errors import DatasetError

RNG = np.random.default_rng(5)


def _image(path: Path, size: tuple[int, int] = (6, 5), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) + ((3,) if mode == "RGB" else ())
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8), mode).save(path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for split, count in (("train", 5), ("test", 2)):
        for name in ("cat", "ant"):
            for index in range(count):
                _image(tmp_path / "tree" / split / name / f"{index}.png")
    (tmp_path / "tree" / "train" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "tree"


def test_every_image_is_at_its_place(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Chunks of two: a chunk that loses an image at its seam would shift all that follow.
    monkeypatch.setattr("phyemu.datasets.image_folder._CHUNK", 2)
    train, test = load_image_folder(tree)
    assert train.class_names == ("ant", "cat")
    assert train.labels.tolist() == [0] * 5 + [1] * 5
    assert test.labels.tolist() == [0, 0, 1, 1]
    files = [*sorted((tree / "train").glob("*/*.png")), *sorted((tree / "test").glob("*/*.png"))]
    for file, image in zip(files, [*train.images, *test.images], strict=True):
        expected = np.asarray(Image.open(file)).transpose(2, 0, 1)
        np.testing.assert_array_equal(image.numpy(), expected)


@pytest.mark.parametrize("inside", ["", "some/folder/"])
def test_an_archive_gives_what_its_folder_gives(tree: Path, tmp_path: Path, inside: str) -> None:
    path = tmp_path / "tree.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for split in ("train", "test"):
            archive.add(tree / split, f"{inside}{split}")
    for ours, theirs in zip(load_image_folder(path), load_image_folder(tree), strict=True):
        assert ours.images.equal(theirs.images)
        assert ours.labels.equal(theirs.labels)
        assert ours.class_names == theirs.class_names


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    for split in ("train", "test"):
        _image(tmp_path / split / "a" / "0.png", mode="L")
    assert load_image_folder(tmp_path)[0].image_shape == (1, 5, 6)


def test_an_image_of_another_size_is_refused_by_name(tree: Path) -> None:
    _image(tree / "test" / "cat" / "1.png", size=(7, 5))
    with pytest.raises(DatasetError, match=r"test/cat/1\.png: 7x5 .* the first image has 6x5"):
        load_image_folder(tree)


def test_a_damaged_image_is_refused_by_name(tree: Path) -> None:
    bad = tree / "train" / "ant" / "3.png"
    bad.write_bytes(bad.read_bytes()[:40])
    with pytest.raises(DatasetError, match=r"train/ant/3\.png: cannot be decoded"):
        load_image_folder(tree)


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for split in ("train", "test"):
        _image(tmp_path / split / "a" / "0.png", size=(1025, 1), mode="L")
    with pytest.raises(DatasetError, match="1025x1 is beyond 1024"):
        load_image_folder(tmp_path)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = (
        struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(12))
    with pytest.raises(DatasetError, match=r"train/a/0\.png: cannot be decoded"):
        load_image_folder(tmp_path)


def test_a_class_that_a_split_lacks_is_refused(tree: Path) -> None:
    for file in (tree / "test" / "ant").iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match="test/ holds no image of class ant"):
        load_image_folder(tree)


def test_a_tree_without_a_test_split_is_refused(tmp_path: Path) -> None:
    _image(tmp_path / "train" / "a" / "0.png")
    with pytest.raises(DatasetError, match="test/ holds no image of class a"):
        load_image_folder(tmp_path)


def test_a_missing_or_empty_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder or archive"):
        load_image_folder(tmp_path / "absent")
    with pytest.raises(DatasetError, match="holds no train/CLASS/IMAGE"):
        load_image_folder(tmp_path)


def test_the_published_tree_is_read_from_its_archive(shared_data: Path, tmp_path: Path) -> None:
    # Its test images come first; a few dozen stand for both splits.
    for name, content in islice(read_members(shared_data / "cifar10-jpeg.tar.xz"), 40):
        for split in ("train", "test"):
            file = tmp_path / split / name.parts[-2] / name.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    train, test = load_image_folder(tmp_path)
    assert (len(test), test.image_shape, test.class_names) == (40, (3, 32, 32), ("airplane",))
    assert train.images.equal(test.images)
