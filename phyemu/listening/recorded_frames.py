"""The frames in a recording, its gaps where they were."""

import threading

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
    frames, too; positions count them.

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
    done = 0
    for block in feed.blocks(threading.Event()):
        frames += listener.hear(block)
        done += block.num_samples
        progress("receive", done, recording.num_samples, f"{len(frames)} frames")
    return frames + listener.finish()
