"""Telling transmitters apart: each oscillator has its own offset, each link its own power."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from phyemu.sounding.probe_frames import ProbeFrames

__all__ = ["separate_transmitters"]

_CFO_SPREAD_HZ = (
    4e3  # what temperature and start-up move the offset of one radio from frame to frame
)
_POWER_SPREAD_DB = 20.0  # what fading moves the power of one link
_STANDARD_ERRORS = 6.0


def separate_transmitters(frames: ProbeFrames, *, min_frames: int = 1) -> list[NDArray[np.int64]]:
    """Return the frame indices of each transmitter, the strongest first.

    Single-linkage clusters over (CFO, power), where frames of one transmitter are chained by steps
    below 4 kHz (or six standard errors of the CFO) and 20 dB: a slow drift or a fade joins up, two
    oscillators or a far and a near radio do not.

    Args:
        frames: All frames of a recording.
        min_frames: Clusters with fewer frames are left out, unless all are that small.
    """
    count = frames.num_frames
    if count == 1:
        return [np.zeros(1, np.int64)]
    unit_hz = max(_CFO_SPREAD_HZ, _STANDARD_ERRORS * float(np.median(frames.cfo_std_hz)))
    power_db = 10.0 * np.log10(frames.received_power)
    points = np.column_stack([frames.cfo_hz / unit_hz, power_db / _POWER_SPREAD_DB])
    labels = fcluster(linkage(points, method="single"), t=1.0, criterion="distance")
    clusters = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    clusters.sort(key=lambda index: -float(np.median(power_db[index])))
    kept = [index for index in clusters if len(index) >= min_frames]
    return kept or clusters
