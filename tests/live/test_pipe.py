"""Pipes: standard input and output, and named ones."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.iq.sample_format import sample_format
from phyemu.live import Role, open_sink, open_source, parse_endpoint
from phyemu.live.pipe import PipeSink, PipeSource, without_blocking

Samples = NDArray[np.complex64]
CF32 = sample_format("cf32_le", where="test")


def everything(source: PipeSource) -> list[Samples]:
    parts = []
    while (part := source.receive(1.0)) is not None:
        parts.append(part)
    return parts


def test_a_pipe_is_read_to_its_end_whatever_the_writes_were(iq: Samples) -> None:
    reader, writer = os.pipe()
    data = iq[:1000].tobytes() + b"odd"
    source = PipeSource(reader, CF32, name="test")
    assert len(source.receive(0.0)) == 0  # type: ignore[arg-type]
    parts = []
    for begin in range(0, len(data), 333):
        os.write(writer, data[begin : begin + 333])
        parts.append(source.receive(1.0))
    os.close(writer)
    parts += everything(source)
    assert np.array_equal(np.concatenate(parts), iq[:1000])
    assert dict(source.counts.dropped) == {"ended within a sample": 1}
    source.close()
    source.close()


@pytest.mark.parametrize("non_blocking", [True, False])
def test_a_full_pipe_never_blocks_and_loses_nothing(iq: Samples, non_blocking: bool) -> None:
    reader, writer = os.pipe()
    descriptor = without_blocking(writer) if non_blocking else writer
    assert os.get_blocking(descriptor) is not non_blocking
    assert os.get_blocking(writer)
    sink = PipeSink(descriptor, CF32, name="test")
    taken = 0
    while sent := sink.send(iq, 0.0):
        taken += sent
    assert not sink.finish(0.0)
    got = bytearray()
    while not sink.finish(0.0):
        got += os.read(reader, 1 << 16)
    sink.close()
    if non_blocking:
        os.close(writer)
    while part := os.read(reader, 1 << 16):
        got += part
    os.close(reader)
    assert np.array_equal(np.frombuffer(got, np.complex64), np.resize(iq, taken))


def test_a_reader_that_is_gone_is_told(iq: Samples) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = PipeSink(writer, CF32, name="test")
    with pytest.raises(BrokenPipeError):
        sink.send(iq, 0.0)
    sink.close()


def test_a_named_pipe_is_made_waited_for_and_taken_away(iq: Samples, tmp_path: Path) -> None:
    text = f"fifo:{tmp_path / 'samples'}?format=ci16"
    with open_sink(parse_endpoint(text, Role.SINK)) as sink:
        assert sink.send(iq, 0.0) == 0  # nobody reads yet
        assert sink.finish(0.0)
        with open_source(parse_endpoint(text, Role.SOURCE)) as source:
            assert len(source.receive(0.0)) == 0  # type: ignore[arg-type]
            assert sink.send(iq, 1.0) == len(iq)
            parts: list[Samples] = []
            while sum(map(len, parts)) < len(iq):
                sink.finish(0.0)
                part = source.receive(1.0)
                assert part is not None
                parts.append(part)
            sink.close()
            assert source.receive(1.0) is None
    assert np.abs(np.concatenate(parts) - iq).max() <= 2**-15
    assert not (tmp_path / "samples").exists()


def test_a_named_pipe_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "samples"
    os.mkfifo(path)
    with open_source(parse_endpoint(f"fifo:{path}", Role.SOURCE)):
        pass
    assert path.is_fifo()


@pytest.mark.parametrize(
    ("name", "message"),
    [("file", "is no named pipe; for a file use - with < or >"), ("no/folder", "cannot be made")],
)
def test_what_is_no_named_pipe_gets_one_line(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    endpoint = parse_endpoint(f"fifo:{tmp_path / name}", Role.SOURCE)
    with pytest.raises(TransportError, match=message), open_source(endpoint):
        pass


def test_a_writer_that_comes_late_is_waited_for(iq: Samples, tmp_path: Path) -> None:
    path = tmp_path / "samples"
    with open_source(parse_endpoint(f"fifo:{path}", Role.SOURCE)) as source:
        assert source.receive(0.0) is not None  # no end before anything has begun
        writer = threading.Thread(target=path.write_bytes, args=(iq[:5].tobytes(),))
        writer.start()
        assert np.array_equal(source.receive(5.0), iq[:5])  # type: ignore[arg-type]
        writer.join()
        assert source.receive(5.0) is None
