"""Images to samples, batch by batch: the head, and the frames of its symbols."""

import time
from dataclasses import replace

from phyemu.evaluation import HeadSide

from .frame_sender import (
    AMPLITUDE,
    FRAMES_BETWEEN,
    EncodedBatch,
    FrameSender,
    Portion,
    SentCounts,
)
from .framing import GAP_SAMPLES
from .image_source import ImageBatch

__all__ = ["HeadSender"]


class HeadSender:
    """Encodes batches, one after the other.

    Attributes:
        head_s: Time that the head took so far [s].
    """

    def __init__(
        self,
        head: HeadSide,
        *,
        images_per_frame: int = 1,
        amplitude: float = AMPLITUDE,
        gap_samples: int = GAP_SAMPLES,
        frames_between: int = FRAMES_BETWEEN,
    ) -> None:
        """Begin with frame 0.

        Args:
            head: What encodes.
            images_per_frame: Images that go into a frame together.
            amplitude: As for `FrameSender`, and so the following.
            gap_samples: Silence around each frame [samples].
            frames_between: Frames of images between two introductions.

        Raises:
            ConfigError: A number is out of range.
        """
        self.head_s = 0.0
        self._head = head
        self._frames = FrameSender(
            head, amplitude=amplitude, gap_samples=gap_samples, frames_between=frames_between
        )
        replace(self._frames.framing, images_per_frame=images_per_frame)  # refuses too many
        self._images_per_frame = images_per_frame

    @property
    def counts(self) -> SentCounts:
        """Return how much was encoded so far."""
        return self._frames.counts

    def encode(self, batch: ImageBatch) -> EncodedBatch:
        """Return what goes out for a batch; nothing for one of nothing.

        Raises:
            ConfigError: The samples would clip.
        """
        if not batch.names:
            return self._frames.encode([])
        begun = time.perf_counter()
        symbols = self._head.symbols(batch.images)
        self.head_s += time.perf_counter() - begun
        portion = Portion(
            symbols=symbols, describe=batch.sent, images_per_frame=self._images_per_frame
        )
        return self._frames.encode([portion])
