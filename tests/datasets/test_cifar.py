"""CIFAR files of the published layout, small."""

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.datasets.cifar import load_cifar
from phyemu.errors import DatasetError

RNG = np.random.default_rng(11)
NAMES = [f"class {n}" for n in range(10)]


def _write_binary10(folder: Path) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    folder.mkdir(parents=True)
    written = {}
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        labels = RNG.integers(0, 10, (4, 1), dtype=np.uint8)
        pixels = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)
        (folder / name).write_bytes(np.hstack([labels, pixels]).tobytes())
        written[name] = (pixels, labels[:, 0])
    (folder / "batches.meta.txt").write_text("\n".join(f"c{n}" for n in range(10)) + "\n\n")
    return written


def _write_python(folder: Path, num_classes: int) -> NDArray[np.uint8]:
    folder.mkdir(parents=True)
    key = b"labels" if num_classes == 10 else b"fine_labels"
    names = (
        [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
        if num_classes == 10
        else ["train", "test"]
    )
    pixels = RNG.integers(0, 256, (3, 3072), dtype=np.uint8)
    for name in names:
        batch = {b"data": pixels, key: [0, 1, num_classes - 1], b"filenames": [b"a", b"b", b"c"]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta_key = b"label_names" if num_classes == 10 else b"fine_label_names"
    meta = {meta_key: [f"n{n}".encode() for n in range(num_classes)]}
    (folder / ("batches.meta" if num_classes == 10 else "meta")).write_bytes(
        pickle.dumps(meta, protocol=2)
    )
    return pixels


def test_binary_cifar10_is_read_record_by_record(tmp_path: Path) -> None:
    written = _write_binary10(tmp_path / "cifar-10-batches-bin")
    train, test = load_cifar(tmp_path, num_classes=10)
    assert (len(train), len(test)) == (20, 4)
    assert train.class_names[:2] == ("c0", "c1")
    pixels, labels = written["data_batch_2.bin"]
    # Second batch, third image, green plane, row 5, column 7.
    assert int(train.images[4 + 2, 1, 5, 7]) == pixels[2, 1024 + 5 * 32 + 7]
    assert train.labels[4:8].tolist() == labels.tolist()
    assert test.labels.tolist() == written["test_batch.bin"][1].tolist()


def test_binary_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    for name in ("train.bin", "test.bin"):
        record = bytes([19, 99]) + bytes([7]) * 3072
        (tmp_path / name).write_bytes(record * 2)
    train, test = load_cifar(tmp_path, num_classes=100)
    assert train.labels.tolist() == test.labels.tolist() == [99, 99]
    assert train.class_names[99] == "99"
    assert int(train.images.min()) == 7


@pytest.mark.parametrize(("num_classes", "last"), [(10, 9), (100, 99)])
def test_python_batches_are_read(tmp_path: Path, num_classes: int, last: int) -> None:
    pixels = _write_python(tmp_path / "here", num_classes)
    train, test = load_cifar(tmp_path / "here", num_classes=num_classes)
    assert test.labels.tolist() == [0, 1, last]
    assert train.class_names[last] == f"n{last}"
    np.testing.assert_array_equal(test.images[1].flatten().numpy(), pixels[1])


def test_the_published_archive_is_read_without_unpacking(tmp_path: Path) -> None:
    _write_binary10(tmp_path / "source" / "cifar-10-batches-bin")
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "source" / "cifar-10-batches-bin", "cifar-10-batches-bin")
    from_folder = load_cifar(tmp_path / "source", num_classes=10)
    from_archive = load_cifar(path, num_classes=10)
    assert from_archive[0].images.equal(from_folder[0].images)
    assert from_archive[1].labels.equal(from_folder[1].labels)


def test_a_truncated_batch_is_refused_by_name(tmp_path: Path) -> None:
    _write_binary10(tmp_path / "c")
    batch = tmp_path / "c" / "data_batch_3.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"data_batch_3.bin: 12291 bytes .* 3073-byte records"):
        load_cifar(tmp_path / "c", num_classes=10)


def test_a_missing_batch_is_refused_by_name(tmp_path: Path) -> None:
    _write_binary10(tmp_path / "c")
    (tmp_path / "c" / "data_batch_5.bin").unlink()
    with pytest.raises(DatasetError, match=r"lacks data_batch_5\.bin"):
        load_cifar(tmp_path / "c", num_classes=10)


def test_a_label_out_of_range_is_refused(tmp_path: Path) -> None:
    _write_binary10(tmp_path / "c")
    (tmp_path / "c" / "test_batch.bin").write_bytes(bytes([11]) + bytes(3072))
    with pytest.raises(DatasetError, match=r"record 0 has label 11, must be 0\.\.9"):
        load_cifar(tmp_path / "c", num_classes=10)


@pytest.mark.parametrize(
    "batch",
    [
        {b"labels": [0]},
        {b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": ["0"]},
    ],
)
def test_a_python_batch_of_another_shape_is_refused(
    tmp_path: Path, batch: dict[bytes, object]
) -> None:
    _write_python(tmp_path / "c", 10)
    (tmp_path / "c" / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(DatasetError, match=r"data_batch_1: (data|labels) must"):
        load_cifar(tmp_path / "c", num_classes=10)


def test_a_folder_without_cifar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds neither test_batch\.bin nor test_batch"):
        load_cifar(tmp_path, num_classes=10)
    with pytest.raises(DatasetError, match="no such folder or archive"):
        load_cifar(tmp_path / "absent", num_classes=100)


def test_class_names_of_another_number_are_refused(tmp_path: Path) -> None:
    _write_binary10(tmp_path / "c")
    (tmp_path / "c" / "batches.meta.txt").write_text("only\n")
    with pytest.raises(DatasetError, match=r"batches\.meta\.txt: must name 10 classes"):
        load_cifar(tmp_path / "c", num_classes=10)
