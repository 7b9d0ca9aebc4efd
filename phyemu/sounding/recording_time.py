"""Where samples of a recording lie in time, gaps between its segments included."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from phyemu.iq import Recording
from phyemu.progress import ProgressCallback

__all__ = ["blocks_with_progress", "radio_samples"]

_BLOCK_SAMPLES = 1 << 18


def radio_samples(recording: Recording, samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radio's sample count at each sample of the recording, (N,), float64.

    A segment that says where it began in the radio's stream (`core:global_index`) moves the
    samples behind its beginning; others continue the segment before.
    """
    moved = samples.astype(np.float64).copy()
    for segment in recording.captures:
        if segment.global_index is not None:
            inside = samples >= segment.sample_start
            moved[inside] = samples[inside] - segment.sample_start + segment.global_index
    first = recording.captures[0].global_index if recording.captures else None
    result: NDArray[np.float64] = moved - (first or 0)
    return result


def blocks_with_progress(
    recording: Recording, *, channel: int, stage: str, progress: ProgressCallback
) -> Iterator[NDArray[np.complex64]]:
    """Yield the recording block by block and report the samples done."""
    done = 0
    for block in recording.blocks(_BLOCK_SAMPLES, channel=channel):
        yield block
        done += len(block)
        progress(stage, done, recording.num_samples)
