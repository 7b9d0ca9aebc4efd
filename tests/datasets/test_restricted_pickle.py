"""Pickles may hold data and nothing that runs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from phyemu.datasets.restricted_pickle import load_plain_pickle
from phyemu.errors import DatasetError


class _Runs:
    def __init__(self, function: object, *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_of_bytes_comes_back(order: str, generator_numpy: np.random.Generator) -> None:
    data = np.asarray(generator_numpy.integers(0, 256, (4, 7), dtype=np.uint8), order=order)
    content = pickle.dumps({b"data": data, b"labels": [1, 2], "name": b"x"}, protocol=2)
    loaded = load_plain_pickle(content, source="batch")
    np.testing.assert_array_equal(loaded["data"], data)
    assert loaded["labels"] == [1, 2]
    assert loaded["name"] == b"x"


def test_a_pickle_written_by_python_2_comes_back() -> None:
    # What CPython 2.7 with numpy 1 writes for {'data': array([[1, 2]], dtype=uint8)}, protocol 2.
    content = (
        b"\x80\x02}q\x00U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\n"
        b"q\x03K\x00\x85U\x01b\x87Rq\x04(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01"
        b"\x87Rq\x06(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\x02tb"
        b"s."
    )
    assert load_plain_pickle(content, source="batch")["data"].tolist() == [[1, 2]]


def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    for function, arguments in (
        (os.system, (f"touch {witness}",)),
        (os.mkdir, (str(witness),)),
        (eval, (f"open({str(witness)!r}, 'w')",)),
    ):
        content = pickle.dumps({"data": _Runs(function, *arguments)}, protocol=2)
        with pytest.raises(DatasetError, match=r"batch: not a pickle of plain data: asks for \S+"):
            load_plain_pickle(content, source="batch")
    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle at all",
        pickle.dumps({"data": np.zeros((2, 2), dtype=object)}, protocol=2),
        pickle.dumps({"data": np.zeros((2, 2), dtype=np.float32)}, protocol=2),
        pickle.dumps({"data": np.zeros((2, 2), dtype=np.uint8)}, protocol=2)[:-9],
        # numpy.ndarray called with a shape of 1e12: would take all memory.
        b"\x80\x02cnumpy\nndarray\n\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85R.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nK\x01K\x02K\x03\x87R.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.",
        b"\x80\x02(X\x01\x00\x00\x00ae.",
        pickle.dumps({"data": bytearray(4)}, protocol=5),
    ],
)
def test_a_damaged_or_cunning_pickle_is_one_line(content: bytes) -> None:
    with pytest.raises(DatasetError, match=r"\Abatch: not a pickle of plain data: .+\Z"):
        load_plain_pickle(content, source="batch")


def test_a_pickle_of_a_list_is_refused() -> None:
    with pytest.raises(DatasetError, match="must hold a dictionary, got list"):
        load_plain_pickle(pickle.dumps([1]), source="batch")


@pytest.fixture
def generator_numpy() -> np.random.Generator:
    return np.random.default_rng(7)
