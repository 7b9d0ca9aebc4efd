"""Where samples of a recording lie in time, gaps between its segments included."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from phyemu.iq import Recording
from phyemu.progress import ProgressCallback

__all__ = ["blocks_with_progress", "radio_samples", "sent_interval"]

_BLOCK_SAMPLES = 1 << 18
_MAX_CLOCK_PPM = 250.0


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


def sent_interval(recording: Recording, otherwise: int) -> tuple[int, bool]:
    """Return the distance of two bursts as they were sent [samples], and whether it is exact.

    Bursts recorded far apart (`phyemu.radio.record_bursts`) are a capture segment each and state
    their interval as `phyemu:burst_interval_samples`. Where they do not, the steps between the
    segments give it up to the clocks' difference: enough to time them all alike, not to tell the
    sampling offset.

    Args:
        recording: Of sounder bursts.
        otherwise: Interval of the waveform, for recordings in one piece [samples].
    """
    begins = [segment.global_index for segment in recording.captures]
    known = [begin for begin in begins if begin is not None]
    if len(known) < 3 or len(known) < len(begins):
        return otherwise, True
    stated = recording.global_fields.get("phyemu:burst_interval_samples")
    if isinstance(stated, int) and stated > 0:
        return stated, True
    steps = np.diff(np.array(known, np.float64))
    step = float(np.median(steps))
    if np.abs(steps - step).max() > _MAX_CLOCK_PPM * 1e-6 * step + 1.0:
        return otherwise, True
    return round(step), step % otherwise == 0


def blocks_with_progress(
    recording: Recording, *, channel: int, stage: str, progress: ProgressCallback
) -> Iterator[NDArray[np.complex64]]:
    """Yield the recording block by block and report the samples done."""
    done = 0
    for block in recording.blocks(_BLOCK_SAMPLES, channel=channel):
        yield block
        done += len(block)
        progress(stage, done, recording.num_samples)
