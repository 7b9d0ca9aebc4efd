"""The frames in a recording, its gaps where they were."""

import math
import threading
from bisect import bisect_right
from dataclasses import replace

from phyemu.iq import Recording
from phyemu.listening.listener import FrameListener
from phyemu.listening.sample_feed import RadioFeed
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio import RecordedRadio
from phyemu.receiver import ReceivedFrame, ReceiverConfig
from phyemu.waveform.sent_frames import SentFrames

__all__ = ["recorded_frames"]


def recorded_frames(
    recording: Recording,
    sent: SentFrames,
    *,
    channel: int = 0,
    config: ReceiverConfig | None = None,
    progress: ProgressCallback = no_progress,
) -> list[ReceivedFrame]:
    """Return every frame in a recording, in order.

    Where capture segments say that samples are missing between them, they are missing for the
    frames, too. Positions are those of the samples in the file, which does not hold the missing
    ones.

    Args:
        recording: Open recording.
        sent: What the frames are.
        channel: Which of its channels.
        config: Settings of the receiver; None for the defaults.
        progress: Told of the samples read.

    Raises:
        ConfigError: The recording has no such channel.
        RecordingError: It cannot be read.
    """
    if not recording.num_samples:
        return []
    listener = FrameListener(sent, config)
    feed = RadioFeed(RecordedRadio(recording), channel=channel)
    frames: list[ReceivedFrame] = []
    begins: list[tuple[int, int]] = []  # of stretches without a gap: on the timeline, in the file
    done = 0
    for block in feed.blocks(threading.Event()):
        if not begins or block.lost_samples != 0:
            begins.append((block.sample_index, done))
        frames += listener.hear(block)
        done += block.num_samples
        progress("receive", done, recording.num_samples, f"{len(frames)} frames")
    frames += listener.finish()
    return [
        replace(frame, sample_start=_place_in_file(frame.sample_start, begins)) for frame in frames
    ]


def _place_in_file(sample_index: int, begins: list[tuple[int, int]]) -> int:
    """Return where in the file a moment of the timeline lies; within a gap, where it is."""
    number = max(0, bisect_right(begins, (sample_index, math.inf)) - 1)
    begin, place = begins[number]
    following = begins[number + 1][1] if number + 1 < len(begins) else math.inf
    return int(min(place + sample_index - begin, following))
