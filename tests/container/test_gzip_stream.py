"""Gzip in threads, against the standard library's."""

import gzip
import io
import random

import pytest

from phyemu.container import GzipStream


def compress(data: bytes, *, threads: int, step: int) -> bytes:
    output = io.BytesIO()
    with GzipStream(output, level=4, threads=threads) as stream:
        for start in range(0, len(data), step):
            stream.write(data[start : start + step])
    return output.getvalue()


def some_bytes(size: int) -> bytes:
    # Words that come back after more than a block, and some that do not compress.
    source = random.Random(3)
    words = [source.randbytes(40) for _ in range(64)]
    return b"".join(source.choice(words) for _ in range(size // 40 + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_500_000])
def test_gzip_reads_it_whatever_the_number_of_threads_and_writes(size: int) -> None:
    data = some_bytes(size)
    one = compress(data, threads=1, step=1 << 20)
    assert gzip.decompress(one) == data
    assert compress(data, threads=3, step=77_777) == one


def test_it_says_neither_when_nor_by_whom_it_was_made() -> None:
    header = compress(b"x", threads=1, step=1)[:10]
    assert header[4:8] == bytes(4)  # RFC 1952: no time
    assert header[3] == 0  # no name, no comment


def test_blocks_see_what_was_before_them() -> None:
    # Each block of 1 MiB repeats the last 20 kB of the one before it, which do not compress alone.
    source = random.Random(5)
    tail = source.randbytes(20_000)
    block = bytes((1 << 20) - len(tail)) + tail
    data = block + tail
    # The two copies lie in different blocks; a block alone would store the second one again.
    assert len(compress(data, threads=2, step=1 << 16)) < 26_000


def test_an_error_ends_the_threads_and_writes_no_check_sum() -> None:
    output = io.BytesIO()

    def fail() -> None:
        with GzipStream(output, level=4, threads=2) as stream:
            stream.write(bytes(5 << 20))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    with pytest.raises(EOFError):
        gzip.decompress(output.getvalue())
