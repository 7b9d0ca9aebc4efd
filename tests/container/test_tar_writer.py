"""What is added is written as it was read, or not at all."""

import errno
import io
import os
import tarfile
from pathlib import Path
from typing import BinaryIO

import pytest

from phyemu.container import Addition, FileContent, TarWriter, TextContent
from phyemu.errors import ImageError


class Sized:
    """Content that says another size than it has."""

    def __init__(self, said: int, data: bytes) -> None:
        self.size = said
        self._data = data

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


def test_tarfile_reads_what_is_added() -> None:
    output = io.BytesIO()
    writer = TarWriter(output, mtime_s=1_500_000_000)
    long = "folder/" * 30 + "nämé"
    writer.add(Addition(path=long, content=TextContent(b"text"), mode=0o4755), path=long)
    writer.add(Addition(path="d", mode=0o700), path="d", prefix="rootfs/")
    writer.add(Addition(path="l", target="x" * 200), path="l")
    writer.close()
    assert len(output.getvalue()) % 10240 == 0
    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as tar:
        file, folder, link = tar
        assert (file.name, file.mode, file.uid, file.uname) == (long, 0o4755, 0, "root")
        assert tar.extractfile(file).read() == b"text"  # type: ignore[union-attr]
        assert (folder.name, folder.mode, folder.isdir()) == ("rootfs/d", 0o700, True)
        assert (link.linkname, link.issym()) == ("x" * 200, True)
        assert {info.mtime for info in tar} == {1_500_000_000}


@pytest.mark.parametrize("said", [0, 3, 5, 2_000_000])
def test_a_file_that_changes_while_it_is_read_is_refused(said: int) -> None:
    writer = TarWriter(io.BytesIO(), mtime_s=0)
    with pytest.raises(ImageError, match="x: its source changed while it was read"):
        writer.add(Addition(path="x", content=Sized(said, b"four")), path="x")


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    writer = TarWriter(io.BytesIO(), mtime_s=0)
    gone = tmp_path / "gone"
    with pytest.raises(ImageError, match=r"gone: cannot be read \(No such file"):
        writer.add(Addition(path="x", content=FileContent(gone)), path="x")


def test_a_full_disk_is_no_fault_of_what_is_read() -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = TarWriter(Full(), mtime_s=0)
    with pytest.raises(OSError, match="No space left"):
        writer.add(Addition(path="x", content=TextContent(b"1")), path="x")
