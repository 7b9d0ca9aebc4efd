"""Frames read back from the files that `FrameStore` wrote, one after the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phyemu.channel.hdf5 import StoreReader
from phyemu.errors import StoreError
from phyemu.receiver import FrameStatus, ReceivedFrame

__all__ = ["StoredFrames"]

_KIND = "received-frames"
_COUNTS = (
    "frame_index",
    "status",
    "first_symbol",
    "payload_symbols",
    "sample_start",
    "sample_count",
    "erased_symbols",
    "disturbed_symbols",
)
_NUMBERS = (
    "snr_db",
    "evm_db",
    "cfo_hz",
    "cfo_drift_hz",
    "sfo_ppm",
    "timing_samples",
    "amplitude",
    "noise_variance",
)


class StoredFrames:
    """A file of received frames; use it in a `with` block.

    Attributes:
        path: The file.
        num_frames: Frames in it.
        order: M of the constellation.
        columns: What each frame says, by the names of `FrameStore`, each (num_frames,).
    """

    def __init__(self, path: Path | str) -> None:
        """Open the file.

        Raises:
            StoreError: It is not what it should be.
        """
        self._store = StoreReader(path, kind=_KIND)
        self.path = self._store.path
        try:
            starts = self._store.array("frames/first_symbol", shape=(None,), kind="int")
            self.num_frames = len(starts)
            shape = (self.num_frames,)
            self.columns: dict[str, NDArray[Any]] = {
                **{
                    name: self._store.array(f"frames/{name}", shape=shape, kind="int")
                    for name in _COUNTS
                },
                **{
                    name: self._store.array(f"frames/{name}", shape=shape, finite=False)
                    for name in _NUMBERS
                },
            }
            points = self._store.array("constellation/points", shape=(None,), kind="complex")
            self.order = len(points)
            self._status = tuple(self._store.text("frames", "status_names").split(","))
            self._check()
        except BaseException:
            self._store.__exit__()
            raise

    def _check(self) -> None:
        known = set(FrameStatus)
        if not set(self._status) <= known:
            raise StoreError(f"{self.path}: frames/status_names must be of {', '.join(known)}")
        status, first = self.columns["status"], self.columns["first_symbol"]
        payload = self.columns["payload_symbols"]
        if len(status) and not (
            status.min() >= 0
            and status.max() < len(self._status)
            and payload.min() >= 0
            and (first == np.cumsum(payload) - payload).all()
        ):
            raise StoreError(f"{self.path}: frames/ contradicts itself; it is damaged")

    @property
    def provenance(self) -> dict[str, Any]:
        """Return where the samples came from, and the waveform."""
        return self._store.provenance

    def statuses(self) -> list[FrameStatus]:
        """Return how the reception of each frame ended."""
        return [FrameStatus(self._status[number]) for number in self.columns["status"].tolist()]

    def __iter__(self) -> Iterator[ReceivedFrame]:
        """Yield every frame; the channel's response at each is not kept in the file.

        Raises:
            StoreError: Symbols are missing or damaged.
        """
        statuses = self.statuses()
        empty = np.zeros(0, np.complex64)
        for number in range(self.num_frames):
            values = {name: column[number].item() for name, column in self.columns.items()}
            rows = slice(values["first_symbol"], values["first_symbol"] + values["payload_symbols"])
            size = values["payload_symbols"]
            points = self._symbols("points", (None,), "complex", rows, size)
            posteriors = self._symbols("posteriors", (None, self.order), "float", rows, size)
            erased = self._symbols("erased", (None,), "int", rows, size)
            yield ReceivedFrame(
                sample_start=values["sample_start"],
                sample_count=values["sample_count"],
                status=statuses[number],
                frame_index=values["frame_index"] if values["frame_index"] >= 0 else None,
                erased=erased.astype(bool),
                points=points.astype(np.complex64),
                posteriors=posteriors.astype(np.float32),
                disturbed_symbols=values["disturbed_symbols"],
                response=empty,
                response_offset_samples=0,
                **{name: values[name] for name in _NUMBERS},
            )

    def _symbols(
        self, name: str, shape: tuple[int | None, ...], kind: str, rows: slice, size: int
    ) -> NDArray[Any]:
        values = self._store.array(f"symbols/{name}", shape=shape, kind=kind, rows=rows)
        if len(values) != size:
            raise StoreError(f"{self.path}: symbols/{name} is shorter than its frames say")
        return values

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self._store.__exit__(*exception)
