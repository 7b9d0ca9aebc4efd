"""The cell array `chMatrix` in MATLAB's level 5 format, written block by block.

Each cell (transmitter, receiver, time) is a complex matrix with a row (delay [s], gain) for every
tap. A scenario of a minute has millions of them, so they are laid out with NumPy, a few hundred
steps at a time, and compressed as they come: neither time nor memory hangs on an object a cell.
Source: MAT-File Format (MathWorks), level 5 MAT-files: tags of 8 bytes, data padded to 8 bytes.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.errors import ScenarioError

__all__ = ["write_cell_matrix"]

_COMPRESSED, _MATRIX, _DOUBLE, _UINT32, _INT32, _INT8 = 15, 14, 9, 6, 5, 1
_CELL_CLASS, _COMPLEX_DOUBLE_CLASS = 1, 6 | 0x0800
# MATLAB reads no variable of 2 GiB or more from such a file.
_MOST_BYTES = 2**31 - 1
_LEVEL = 4
# Steps that are laid out at once: a few tens of megabytes with 52 nodes.
_BLOCK_CELLS = 200_000


def write_cell_matrix(
    file: BinaryIO,
    links: Mapping[tuple[int, int], ImpulseResponse],
    *,
    num_nodes: int,
    num_times: int,
) -> None:
    """Append `chMatrix`, (num_nodes, num_nodes, num_times), to an open .mat file.

    Args:
        file: Where it goes, behind the file's header of 128 bytes; it can seek.
        links: Taps by (transmitter, receiver), gains (time, path); the last step is held.
        num_nodes: Nodes, numbered from 1; a pair without a link has empty cells.
        num_times: Times, >= 1.

    Raises:
        ScenarioError: The array is larger than MATLAB reads.
    """
    size = _size(links, num_nodes, num_times)
    if size > _MOST_BYTES:
        raise ScenarioError(
            f"chMatrix of {num_nodes} nodes and {num_times} times takes {size / 2**30:.1f} GiB, "
            "MATLAB reads less than 2 GiB; make the scenario shorter, or its step longer"
        )
    start = file.tell()
    file.write(struct.pack("<II", _COMPRESSED, 0))
    packer = zlib.compressobj(_LEVEL)
    file.write(packer.compress(_tag(_MATRIX, size) + _heading(num_nodes, num_times)))
    for block in _blocks(links, num_nodes, num_times):
        file.write(packer.compress(block))
    file.write(packer.flush())
    end = file.tell()
    file.seek(start)
    file.write(struct.pack("<II", _COMPRESSED, end - start - 8))
    file.seek(end)


def _tag(kind: int, size: int) -> bytes:
    return struct.pack("<II", kind, size)


def _heading(num_nodes: int, num_times: int) -> bytes:
    return (
        _tag(_UINT32, 8)
        + struct.pack("<II", _CELL_CLASS, 0)
        + _tag(_INT32, 12)
        + struct.pack("<iiii", num_nodes, num_nodes, num_times, 0)
        + _tag(_INT8, 8)
        + b"chMatrix"
    )


def _cell_size(num_taps: NDArray[np.int64]) -> NDArray[np.int64]:
    return 64 + 32 * num_taps


def _cell_head(num_taps: int) -> bytes:
    """Return a cell up to its real parts."""
    return (
        _tag(_MATRIX, 56 + 32 * num_taps)
        + _tag(_UINT32, 8)
        + struct.pack("<II", _COMPLEX_DOUBLE_CLASS, 0)
        + _tag(_INT32, 8)
        + struct.pack("<ii", num_taps, 2)
        + _tag(_INT8, 0)
        + _tag(_DOUBLE, 16 * num_taps)
    )


def _size(links: Mapping[tuple[int, int], ImpulseResponse], num_nodes: int, num_times: int) -> int:
    size = len(_heading(num_nodes, num_times)) + 64 * num_nodes**2 * num_times
    for response in links.values():
        count = (response.gains != 0).sum(dim=1)
        held = max(0, num_times - count.numel())
        size += 32 * int(count[:num_times].sum() + held * count[-1])
    return size


def _blocks(
    links: Mapping[tuple[int, int], ImpulseResponse], num_nodes: int, num_times: int
) -> Iterator[bytes]:
    """Yield the cells of some times, transmitters fastest, then receivers, then time."""
    num_steps = max(1, _BLOCK_CELLS // num_nodes**2)
    for start in range(0, num_times, num_steps):
        times = np.arange(start, min(start + num_steps, num_times))
        counts = np.zeros((times.size, num_nodes, num_nodes), np.int64)
        taps = {}
        for (tx, rx), response in links.items():
            gains = response.gains[np.minimum(times, response.num_steps - 1)].numpy()
            rows, paths = np.nonzero(gains)
            counts[:, rx - 1, tx - 1] = np.bincount(rows, minlength=times.size)
            taps[tx, rx] = (response.delays_s.numpy()[paths], gains[rows, paths])
        sizes = _cell_size(counts)
        ends = np.cumsum(sizes.ravel()).reshape(sizes.shape)
        starts = ends - sizes
        laid = np.empty(int(ends[-1, -1, -1]), np.uint8)
        absent = np.ones((num_nodes, num_nodes), bool)
        for tx, rx in links:
            absent[rx - 1, tx - 1] = False
        _lay(laid, starts[:, absent].ravel(), np.empty(0), np.empty(0, complex), 0)
        for (tx, rx), (delays_s, values) in taps.items():
            count = counts[:, rx - 1, tx - 1]
            first = np.cumsum(count) - count
            for num_taps in np.unique(count):
                which = np.flatnonzero(count == num_taps)
                index = first[which, None] + np.arange(num_taps)
                _lay(laid, starts[which, rx - 1, tx - 1], delays_s[index], values[index], num_taps)
        yield laid.tobytes()


def _lay(
    laid: NDArray[np.uint8],
    starts: NDArray[np.int64],
    delays_s: NDArray[np.float64],
    gains: NDArray[np.complexfloating],
    num_taps: int,
) -> None:
    """Write cells that have the same number of taps at `starts`; delays and gains (cell, tap)."""
    shape = (starts.size, num_taps)
    delays_s, gains = delays_s.reshape(shape), gains.reshape(shape)
    number = np.dtype("<f8")
    parts = [
        np.frombuffer(_cell_head(num_taps), np.uint8),
        np.concatenate([delays_s, gains.real], axis=1).astype(number).view(np.uint8),
        np.frombuffer(_tag(_DOUBLE, 16 * num_taps), np.uint8),
        np.concatenate([np.zeros(shape), gains.imag], axis=1).astype(number).view(np.uint8),
    ]
    offset = 0
    for part in parts:
        width = part.shape[-1]
        laid[starts[:, None] + np.arange(offset, offset + width)] = part
        offset += width
