"""What is kept of a reception for its report: some symbols and the channel that was estimated."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import StoreError
from phyemu.evaluation import RecordingScore

__all__ = ["Keepsake", "keep_reception", "load_keepsake"]

_MAX_POINTS = 4000


@dataclass(frozen=True, eq=False, slots=True)
class Keepsake:
    """Samples of a reception.

    Attributes:
        points: Equalised symbols, spread over all frames, (n,), complex64.
        snr_db: Of each frame, (frames,), float64.
        cfo_hz: Of each frame, (frames,), float64.
        sample_start: First sample of each frame in the recording, (frames,), int64.
    """

    points: NDArray[np.complex64]
    snr_db: NDArray[np.float64]
    cfo_hz: NDArray[np.float64]
    sample_start: NDArray[np.int64]


def keep_reception(score: RecordingScore, path: Path) -> Path:
    """Write the keepsake of a reception (.npz), whole or not at all."""
    received = score.reception.points[score.reception.received]
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            points=received[:: max(1, received.size // _MAX_POINTS)],
            snr_db=np.array([frame.snr_db for frame in score.frames], np.float64),
            cfo_hz=np.array([frame.cfo_hz for frame in score.frames], np.float64),
            sample_start=np.array([frame.sample_start for frame in score.frames], np.int64),
        )
    partial.replace(path)
    return path


def load_keepsake(path: Path) -> Keepsake:
    """Return what `keep_reception` wrote.

    Raises:
        StoreError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Keepsake(kept["points"], kept["snr_db"], kept["cfo_hz"], kept["sample_start"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path}: holds no reception ({error}); run the loop again") from error
