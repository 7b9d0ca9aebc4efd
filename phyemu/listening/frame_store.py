"""Frames in an HDF5 file that grows while they come: what each says, its symbols and posteriors.

Frame f has the rows first_symbol[f] .. first_symbol[f] + payload_symbols[f] of the datasets in
symbols/. The file gets its name when listening ends, in bounded memory; until then it is
NAME.partial, and what was flushed survives the process (`finish_frame_store`).
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from phyemu.channel.growing_store import GrowingStoreWriter, finish_growing_store
from phyemu.receiver import FrameStatus, ReceivedFrame
from phyemu.waveform.sent_frames import SentFrames

__all__ = ["FrameStore", "finish_frame_store"]

_KIND = "received-frames"
_STATUS = tuple(FrameStatus)
_NO_INDEX = -1
# Symbols, and frames, that wait to be written together.
_PENDING_SYMBOLS = 1 << 16
_PENDING_FRAMES = 256
_NUMBERS = {
    "snr_db": "dB",
    "evm_db": "dB",
    "cfo_hz": "Hz",
    "cfo_drift_hz": "Hz",
    "sfo_ppm": "ppm",
    "timing_samples": "samples",
    "amplitude": "full scale",
    "noise_variance": "",
}
_COUNTS = {
    "sample_start": "samples",
    "sample_count": "samples",
    "erased_symbols": "symbols",
    "disturbed_symbols": "symbols",
}


class FrameStore:
    """Writes frames as they come; leaving the context puts the file in its place."""

    def __init__(
        self,
        path: Path | str,
        sent: SentFrames,
        *,
        provenance: Mapping[str, Any],
        force: bool = False,
    ) -> None:
        """Begin a file.

        Args:
            path: File to write.
            sent: What the frames are.
            provenance: JSON values: where the samples come from.
            force: Overwrite an existing file.

        Raises:
            ConfigError: The file exists.
            StoreError: It cannot be created.
        """
        table = sent.constellation
        waveform = {
            "frame_format": sent.frame_format.to_dict(),
            "constellation": {"name": table.name, "order": table.order},
        }
        self._writer = GrowingStoreWriter(
            path, kind=_KIND, provenance={**provenance, **waveform}, force=force
        )
        self._writer.dataset("constellation/points", table.points.numpy(), unit="")
        # What the numbers in frames/status mean.
        self._writer.attribute("frames", "status_names", ",".join(_STATUS))
        self._pending: list[ReceivedFrame] = []
        self._num_symbols = 0
        self._order = table.order
        self.num_frames = 0
        self._write()
        self._writer.begin()

    def add(self, frame: ReceivedFrame) -> None:
        """Keep a frame.

        Raises:
            StoreError: It cannot be written.
        """
        self._pending.append(frame)
        self.num_frames += 1
        waiting = sum(len(one.points) for one in self._pending)
        if waiting >= _PENDING_SYMBOLS or len(self._pending) >= _PENDING_FRAMES:
            self._write()

    def flush(self) -> None:
        """Hand all frames to the system: they stay if the process is killed.

        Raises:
            StoreError: They cannot be written.
        """
        if self._pending:
            self._write()
            self._writer.flush()

    def _write(self) -> None:
        append = self._writer.append
        frames = self._pending
        self._pending = []
        sizes = np.array([len(frame.points) for frame in frames], np.int64)
        first = self._num_symbols + np.cumsum(sizes) - sizes
        self._num_symbols += int(sizes.sum())
        indices = [_NO_INDEX if f.frame_index is None else f.frame_index for f in frames]
        status = [_STATUS.index(frame.status) for frame in frames]
        append("frames/frame_index", np.array(indices, np.int64), unit="")
        append("frames/status", np.array(status, np.int64), unit="")
        append("frames/first_symbol", first.astype(np.int64), unit="symbols")
        append("frames/payload_symbols", sizes, unit="symbols")
        for name, unit in _COUNTS.items():
            values = np.array([getattr(frame, name) for frame in frames], np.int64)
            append(f"frames/{name}", values, unit=unit)
        for name, unit in _NUMBERS.items():
            values = np.array([getattr(frame, name) for frame in frames], np.float64)
            append(f"frames/{name}", values, unit=unit)
        # Empty ones in front: there may be no frame at all.
        points = [np.zeros(0, np.complex64), *(frame.points for frame in frames)]
        none = np.zeros((0, self._order), np.float32)
        posteriors = [none, *(frame.posteriors for frame in frames)]
        erased = [np.zeros(0, bool), *(frame.erased for frame in frames)]
        append("symbols/points", np.concatenate(points), unit="")
        append("symbols/posteriors", np.concatenate(posteriors), unit="")
        append("symbols/erased", np.concatenate(erased).astype(np.uint8), unit="")

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place with all that came, whatever ended it."""
        with self._writer:
            if self._pending:
                self._write()


def finish_frame_store(path: Path) -> Path:
    """Return NAME.h5, made of what a process that was killed left in NAME.h5.partial.

    Columns that the last write had not reached are cut to the frames that are whole.

    Raises:
        ConfigError: It is not called so, or NAME.h5 exists.
        StoreError: It cannot be read, or the other cannot be written.
    """
    return finish_growing_store(path, trim=_trim)


def _trim(file: h5py.File) -> None:
    """Cut all columns to the frames whose symbols are all there."""
    rows, symbols = file["frames"], file["symbols"]
    count = min(len(column) for column in rows.values())
    ends = rows["first_symbol"][:count] + rows["payload_symbols"][:count]
    count = int(np.searchsorted(ends, min(len(column) for column in symbols.values()), "right"))
    for column in rows.values():
        column.resize(count, axis=0)
    for column in symbols.values():
        column.resize(int(ends[count - 1]) if count else 0, axis=0)
