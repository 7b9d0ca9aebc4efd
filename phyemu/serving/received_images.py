"""Images out of frames whose sender sends what comes: classes as they come, and what was lost.

An image of which something came is classified, equal posteriors in place of what did not; one of
which nothing came is counted.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phyemu.evaluation import (
    ImagePrediction,
    ImageStream,
    SentImages,
    StreamScore,
    TailSide,
)
from phyemu.evaluation.image_stream import classify
from phyemu.receiver import ReceivedFrame

from .framing import GAP_SAMPLES, INTRODUCTION_INDEX, ImageFraming
from .introduction import Partner, introduced_order, introduction_length, recognise
from .sent_record import SentRecord

__all__ = ["ImageHearing", "ReceivedImages", "hearing"]

# Behind the introduction of a stranger, a frame whose number goes on from ours by no more than
# this is still ours.
_NEAR_FRAMES = 8


class ImageHearing(Protocol):
    """Takes frames in order, and tells of the images that each one completes."""

    score: StreamScore

    def hear(self, frame: ReceivedFrame) -> list[ImagePrediction]:
        """Return the images that a frame completes, in order."""

    def finish(self) -> list[ImagePrediction]:
        """Return the images that no further frame can complete: none comes."""


def hearing(tail: TailSide, sent: SentImages | SentRecord | None) -> ImageHearing:
    """Return what makes images of the frames.

    Args:
        tail: What classifies.
        sent: What is sent again and again, where that is known: images are scored, and lie across
            frames; otherwise frames are those of `ImageFraming`, and scored by a record.

    Raises:
        CheckpointError: What is sent is of another PhyDNN.
    """
    if sent is None or isinstance(sent, SentRecord):
        return ReceivedImages(tail, sent)
    return ImageStream(tail, sent, gap_samples=GAP_SAMPLES)


@dataclass(slots=True)
class _Pending:
    """An image of several frames, as far as it came."""

    first_index: int
    posteriors: NDArray[np.float32]
    received: NDArray[np.bool_]
    sample_start: int = 0


class ReceivedImages:
    """Takes frames of `ImageFraming` in order.

    Frames belong to the head that introduced itself last. A stranger's are left out and counted,
    until ours introduces itself again, or goes on where it was: anybody can send an introduction.

    Attributes:
        score: Counts so far.
        partner: Whether ours, or another, has introduced itself; None: none yet.
        strangers: Introductions of heads that are not those of this tail.
        stranger: What the last of these heads is, and what to do; None: there was none.
    """

    def __init__(self, tail: TailSide, record: SentRecord | None = None) -> None:
        """Begin with nothing heard.

        Args:
            tail: What classifies.
            record: What was sent, to score what arrives; images that are lost count as wrong.
        """
        self.score = StreamScore()
        self.partner: Partner | None = None
        self.strangers = 0
        self.stranger: str | None = None
        self._is_strange = False
        self._record = record
        self._tail = tail
        self._framing = ImageFraming(
            symbols_per_image=tail.symbols_per_image, frame_format=tail.frame_format
        )
        self._size = tail.symbols_per_image
        self._plan = self._framing.plan
        self._last_index: int | None = None
        self._last_images = 1
        self._introduced = False
        self._pending: _Pending | None = None

    def hear(self, frame: ReceivedFrame) -> list[ImagePrediction]:
        """Return the images that a frame completes, in order."""
        index, count = frame.frame_index, len(frame.points)
        if index is None or not count:
            return []
        if index == INTRODUCTION_INDEX:
            self._meet(frame)
            return []
        if (
            index >= self._framing.num_indices
            or not self._fits(index, count)
            or not self._is_ours(index)
        ):
            self.score.frames_unexpected += 1
            return []
        self.score.frames_received += 1
        if len(self._plan) == 1:
            self._count_lost(index)
            self._last_images = self._framing.images_in(count)
            shape = (self._last_images, self._size, -1)
            received = (~frame.erased).reshape(shape[:2])
            return self._told(frame.posteriors.reshape(shape), received, index, frame.sample_start)
        told = []
        first = index - index % len(self._plan)
        if self._pending is not None and self._pending.first_index != first:
            told = self.finish()
        self._count_lost(index)
        return told + self._add(first, index, frame)

    def finish(self) -> list[ImagePrediction]:
        """Return the image whose last frames never came, if there is one."""
        pending, self._pending = self._pending, None
        if pending is None:
            return []
        return self._told(
            pending.posteriors[None],
            pending.received[None],
            pending.first_index + len(self._plan) - 1,
            pending.sample_start,
        )

    def _meet(self, frame: ReceivedFrame) -> None:
        card, length = self._tail.card, len(frame.points)
        if length != introduction_length(card.order):
            order = introduced_order(length)
            self._note_stranger(
                f"a head that sends has a constellation of {order or 'another number of'} points, "
                f"and this tail's has {card.order}; use head and tail of one export"
            )
            return
        partner = recognise(card, frame.posteriors)
        if partner is Partner.OTHER:
            self._note_stranger(
                f"a head that sends has another dictionary than this tail "
                f"({card.embedding_sha256[:16]}); export both from one run"
            )
            return
        if partner is Partner.OURS:
            self._is_strange = False
        if partner is Partner.OURS or self.partner is None:
            self.partner = partner
        self._introduced = True

    def _note_stranger(self, line: str) -> None:
        self.strangers += 1
        self.stranger = line
        self._is_strange = True
        if self.partner is not Partner.OURS:
            self.partner = Partner.OTHER

    def _is_ours(self, index: int) -> bool:
        """Return whether a frame of images is sent by our head, as far as is known."""
        if self._is_strange and self.partner is Partner.OURS and self._last_index is not None:
            ahead = (index - self._last_index - 1) % self._framing.num_indices
            self._is_strange = ahead > _NEAR_FRAMES
        return not self._is_strange

    def _fits(self, index: int, count: int) -> bool:
        if len(self._plan) == 1:
            return self._framing.images_in(count) > 0
        return count == self._plan[index % len(self._plan)]

    def _count_lost(self, index: int) -> None:
        """Count what is missing between the last frame and this one."""
        last, self._last_index = self._last_index, index
        introduced, self._introduced = self._introduced, False
        if last is None:
            # An image whose first frames came before anybody listened is not lost on the way.
            return
        total, parts = self._framing.num_indices, len(self._plan)
        ahead = (index - last - 1) % total
        # A head that begins says who it is, and counts from 0.
        if ahead >= total // 2 or (introduced and index == 0 and ahead):
            self.score.restarts += 1
            if self._record is not None:
                self._record.rewind()
            return
        self.score.frames_lost += ahead
        if parts == 1:
            lost = ahead * self._last_images
        else:
            lost = max(0, (index // parts - last // parts) % (total // parts) - 1)
        self.score.images_lost += lost
        self.score.images += lost

    def _add(self, first: int, index: int, frame: ReceivedFrame) -> list[ImagePrediction]:
        if self._pending is None:
            order = self._tail.order
            self._pending = _Pending(
                first_index=first,
                posteriors=np.full((self._size, order), 1.0 / order, np.float32),
                received=np.zeros(self._size, bool),
            )
        begin = sum(self._plan[: index - first])
        here = slice(begin, begin + len(frame.points))
        self._pending.posteriors[here] = frame.posteriors
        self._pending.received[here] = ~frame.erased
        self._pending.sample_start = frame.sample_start
        return self.finish() if index - first == len(self._plan) - 1 else []

    def _told(
        self,
        posteriors: NDArray[np.float32],
        received: NDArray[np.bool_],
        index: int,
        sample_start: int,
    ) -> list[ImagePrediction]:
        classes, scores = classify(self._tail, posteriors, self.score)
        self.score.images += len(posteriors)
        told = []
        for row in range(len(posteriors)):
            sent = None if self._record is None else self._record.find(index, row)
            told.append(
                ImagePrediction(
                    index=None if sent is None else sent.index,
                    label=None if sent is None else sent.label,
                    prediction=int(classes[row]),
                    score=float(scores[row]),
                    frame=index,
                    sample_start=sample_start,
                    received_symbols=int(received[row].sum()),
                    symbol_errors=None,
                    position=row,
                )
            )
        self.score.images_right += sum(item.label == item.prediction for item in told)
        return told
