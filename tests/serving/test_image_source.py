"""Images of folders, data sets, and folders that fill."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from phyemu.datasets import load_dataset
from phyemu.errors import ConfigError, DatasetError
from phyemu.serving import SentImage, batches_of, folder_images, spec_images, watched_images

SHAPE = (1, 6, 5)


def write(path: Path, value: int, *, size: tuple[int, int] = (5, 6), mode: str = "L") -> None:
    """Write an image beside its place, and put it there."""
    pixels = np.full((size[1], size[0], 3)[: 2 if mode == "L" else 3], value, np.uint8)
    partial = path.with_name(f".{path.name}")
    Image.fromarray(pixels).save(partial, format="PNG")
    partial.rename(path)


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for value, name in ((3, "c.png"), (1, "a.PNG"), (2, "b.png")):
        write(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    batch = folder_images(tmp_path, SHAPE)
    assert batch.names == ("a.PNG", "b.png", "c.png")
    assert batch.images.shape == (3, *SHAPE)
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_an_empty_folder_and_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no image"):
        folder_images(tmp_path, SHAPE)
    with pytest.raises(DatasetError, match="cannot be read"):
        folder_images(tmp_path / "none", SHAPE)
    write(tmp_path / "a.png", 1, size=(6, 6))
    with pytest.raises(
        DatasetError, match=r"a\.png: 6x6 with 1 channels, but what the head takes has 5x6"
    ):
        folder_images(tmp_path, SHAPE)
    with pytest.raises(DatasetError, match=r"digits: images are \(1, 32, 32\), but the head takes"):
        spec_images("digits", SHAPE)


def test_images_of_one_name_in_several_folders_are_all_sent(tmp_path: Path) -> None:
    for value, place in ((1, "."), (2, "left"), (3, "right/deep"), (4, ".hidden")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        write(tmp_path / place / "0.png", value)
    batch = folder_images(tmp_path, SHAPE)
    assert batch.names == ("0.png", "left/0.png", "right/deep/0.png")
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert batch.labels is None


def test_test_images_of_a_data_set_have_its_numbers_and_classes_whatever_the_limit() -> None:
    every = load_dataset("digits", seed=5).test
    batch = spec_images("digits", (1, 32, 32), limit=11)
    assert batch.indices is not None
    assert len(batch.indices) == 11
    assert batch.indices != tuple(range(11))
    assert batch.names == tuple(map(str, batch.indices))
    assert torch.equal(batch.images, every.images[list(batch.indices)])
    assert batch.labels == tuple(every.labels[list(batch.indices)].tolist())
    (part,) = list(batches_of(batch, 11))
    assert part.sent(3, 7, 2) == SentImage(
        name=batch.names[3], frame=7, position=2, index=batch.indices[3], label=batch.labels[3]
    )
    assert spec_images("digits", (1, 32, 32)).indices == tuple(range(len(every)))


def test_batches_hold_all_images_in_order_as_often_as_asked(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.png", number)
    images = folder_images(tmp_path, SHAPE)
    parts = list(batches_of(images, 2, passes=2))
    assert [len(part.images) for part in parts] == [2, 2, 1, 2, 2, 1]
    assert sum((part.names for part in parts), ()) == 2 * images.names
    endless = batches_of(images, 5, passes=None)
    assert [next(endless).names for _ in range(3)] == 3 * [images.names]
    with pytest.raises(ConfigError, match="size and passes of at least 1"):
        next(batches_of(images, 0))


def test_a_watched_folder_yields_what_comes_and_tells_of_what_is_no_image(tmp_path: Path) -> None:
    write(tmp_path / "before.png", 9)
    stop = threading.Event()
    bad: list[str] = []
    watched = watched_images(tmp_path, SHAPE, stop=stop, on_bad=bad.append)
    heard: list[str] = []
    started = threading.Event()

    def watch() -> None:
        started.set()
        for batch in watched:
            heard.extend(batch.names)
            assert batch.images.shape[1:] == SHAPE
            if "second.png" in heard:
                stop.set()

    # The first look at the folder comes with the first image asked for.
    thread = threading.Thread(target=watch)
    thread.start()
    assert started.wait(10)
    # Until it has looked, what is written counts as being there before: write until it is heard.
    number = 0
    while not heard and number < 200:
        write(tmp_path / f"first-{number}.png", 1)
        number += 1
        stop.wait(0.05)
    write(tmp_path / "large.png", 1, size=(9, 9))
    write(tmp_path / "second.png", 2)
    thread.join(10)
    assert not thread.is_alive()
    assert heard[-1] == "second.png"
    assert "before.png" not in heard
    assert len(heard) == len(set(heard))
    assert all("large.png" in line for line in bad)


def test_a_file_that_stays_no_image_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phyemu.serving import image_source

    monkeypatch.setattr(image_source, "_SETTLED_S", 0.0)
    stop = threading.Event()
    bad: list[str] = []

    def told(line: str) -> None:
        bad.append(line)
        if len(bad) == 2:
            stop.set()

    watched = watched_images(tmp_path, SHAPE, stop=stop, on_bad=told)
    torn = tmp_path / "torn.png"
    assert next(watched).names == ()
    torn.write_bytes(b"\x89PNG torn")
    for _ in range(3):
        assert next(watched).names == ()
    assert len(bad) == 1
    assert "torn.png: cannot be decoded" in bad[0]
    # What is written to it anew is looked at anew.
    torn.write_bytes(b"\x89PNG torn again")
    assert [batch.names for batch in watched] == [()]
    assert len(bad) == 2


def test_a_name_that_is_used_again_is_sent_again(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    write(tmp_path / "latest.png", 1)
    watched = watched_images(tmp_path, SHAPE, stop=threading.Event(), on_bad=pytest.fail)
    assert next(watched).names == ()
    for value in (2, 3):
        write(tmp_path / "latest.png", value)
        write(tmp_path / "left" / "latest.png", value + 10)
        batch = next(watched)
        assert sorted(zip(batch.names, batch.images[:, 0, 0, 0].tolist(), strict=True)) == [
            ("latest.png", value),
            ("left/latest.png", value + 10),
        ]
        assert next(watched).names == ()
    (tmp_path / "latest.png").unlink()
    assert next(watched).names == ()


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phyemu.serving import image_source

    read, values = image_source._read, iter([6])

    def read_and_write(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        pixels = read(path, shape)
        for value in values:
            write(path, value)
        return pixels

    watched = watched_images(tmp_path, SHAPE, stop=threading.Event(), on_bad=pytest.fail)
    next(watched)
    monkeypatch.setattr(image_source, "_read", read_and_write)
    write(tmp_path / "a.png", 5)
    assert next(watched).names == ()
    batch = next(watched)
    assert (batch.names, batch.images[:, 0, 0, 0].tolist()) == (("a.png",), [6])
