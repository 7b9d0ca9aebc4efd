"""Images out of frames that come in a circle: classes as they come, and the score so far.

A transmitter sends the frames of its images over and over. From the first frame heard on, every
frame has its place: a missing one is told by the numbers and positions of those around it. What is
scored is what `score_frames` scores of a recording: an image of which nothing came is classified
by the tail from equal posteriors, and its symbols are wrong.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import CheckpointError
from phyemu.receiver import ReceivedFrame
from phyemu.waveform import FrameFormat

from .sides import TailSide
from .transmission import SentImages

__all__ = ["ImagePrediction", "ImageStream", "StreamCounts", "StreamScore", "classify"]

# Where a frame lies other than its number says by more than this, the transmitter has begun anew:
# clocks differ by ppm, and a preamble is found within some samples.
_SLIP_SAMPLES = 64.0
_SLIP = 200e-6
# So many images go through a tail together: frames of small images hold thousands, and whoever
# sends them must not decide how much memory that takes.
_MOST_IMAGES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePrediction:
    """An image of which something came.

    Attributes:
        index: Which of the images sent; None where it is not known what was sent.
        label: Its class; None where that is not known.
        prediction: Class found.
        score: Probability that the tail gives it.
        frame: Number of the frame that ends it, as its header says.
        sample_start: Where that frame begins in the stream.
        received_symbols: Symbols of it that came.
        symbol_errors: Symbols of it that were lost or decided wrongly; None where what was sent is
            not known.
        position: Which of the images that end in the frame it is; None in a circle, where `index`
            says more.
    """

    index: int | None
    label: int | None
    prediction: int
    score: float
    frame: int | None
    sample_start: int
    received_symbols: int
    symbol_errors: int | None
    position: int | None = None


@dataclass(slots=True)
class StreamCounts:
    """What came so far, from the first frame of each run of the stream to its last one.

    Attributes:
        images: Images sent in that time, whole within the frames; those that came or were missed
            where it is not known what was sent.
        images_lost: Those of which nothing came.
        frames_received: Frames that belong to the stream.
        frames_lost: Frames missing between these.
        frames_unexpected: Frames that do not belong to it.
        restarts: Times that the stream had to be found anew.
    """

    images: int = 0
    images_lost: int = 0
    frames_received: int = 0
    frames_lost: int = 0
    frames_unexpected: int = 0
    restarts: int = 0


@dataclass(slots=True)
class StreamScore(StreamCounts):
    """What came so far, and what the tail made of it.

    Attributes:
        images_right: Images whose class was found.
        symbols: Symbols sent in that time.
        symbol_errors: Symbols lost or wrong.
        tail_s: Time that the tail took [s].
        tail_images: Images that it took it for.
    """

    images_right: int = 0
    symbols: int = 0
    symbol_errors: int = 0
    tail_s: float = 0.0
    tail_images: int = 0


@dataclass(slots=True)
class _Circle:
    """Where the circle is: frames and symbols counted from the pass in which it was found."""

    frame: int
    sample_start: int
    next_image: int
    # Frames that images not yet told of reach into: first symbol, frame.
    held: list[tuple[int, ReceivedFrame]] = field(default_factory=list)


class ImageStream:
    """Takes frames in order, and tells of the images that each one completes."""

    def __init__(
        self,
        tail: TailSide,
        sent: SentImages,
        *,
        gap_samples: int,
    ) -> None:
        """Begin with nothing heard.

        Args:
            tail: What classifies.
            sent: What is sent in each pass.
            gap_samples: Silence around each frame, by which whole passes that are missing are told.

        Raises:
            CheckpointError: What is sent is of another PhyDNN.
        """
        self._tail = tail
        self.score = StreamScore()
        self._size = tail.symbols_per_image
        self._circle: _Circle | None = None
        if sent.order != tail.order or sent.symbols.shape[1] != self._size:
            raise CheckpointError(
                f"{sent.symbols.shape[1]} symbols an image of order {sent.order} are sent, but "
                f"this tail takes {self._size} of order {tail.order}"
            )
        self._plan = sent.payload_plan
        self._begins = [0, *accumulate(self._plan)]
        self._starts = frame_starts(self._plan, tail.frame_format, gap_samples)
        self._flat = sent.symbols.flatten().numpy()
        self._labels = sent.labels.numpy()
        blank = np.full((1, self._size, sent.order), 1.0 / sent.order, np.float32)
        self._right_blank = self._labels == self._classify(blank)[0][0]
        self.score = StreamScore()  # without the time of the first call

    def hear(self, frame: ReceivedFrame) -> list[ImagePrediction]:
        """Return the images that a frame completes, in order."""
        if frame.frame_index is None or not len(frame.points):
            return []
        number = frame.frame_index
        if number >= len(self._plan) or len(frame.points) != self._plan[number]:
            self.score.frames_unexpected += 1
            return []
        circle, place = self._circle, None
        if circle is not None:
            place = self._place(circle, number, frame.sample_start)
        if circle is None or place is None:
            self.score.restarts += circle is not None
            first = -(-self._begins[number] // self._size)
            circle = self._circle = _Circle(number - 1, 0, first)
            place = number
        missed = place - circle.frame - 1
        begin, end = self._symbol(place), self._symbol(place) + self._plan[number]
        lost = begin - self._symbol(circle.frame + 1)
        circle.frame, circle.sample_start = place, frame.sample_start
        wrong = (
            frame.posteriors.argmax(-1) != self._flat[self._begins[number] :][: len(frame.points)]
        )
        self.score.frames_received += 1
        self.score.frames_lost += missed
        self.score.symbols += lost + len(wrong)
        self.score.symbol_errors += lost + int(np.count_nonzero(wrong | frame.erased))
        circle.held.append((begin, frame))
        return self._complete(circle, end)

    def _symbol(self, frame: int) -> int:
        """Return the first symbol of a frame, counted as frames are."""
        passes, number = divmod(frame, len(self._plan))
        return passes * self._begins[-1] + self._begins[number]

    def _place(self, circle: _Circle, number: int, sample_start: int) -> int | None:
        """Return which frame it is, counted on from the last; None: none that could lie there."""
        count = len(self._plan)
        nearest = circle.frame + (number - circle.frame - 1) % count + 1
        distance = sample_start - circle.sample_start
        one_pass = self._starts[-1]

        def expected(frame: int) -> int:
            passes, index = divmod(frame, count)
            return passes * one_pass + self._starts[index]

        ahead = expected(nearest) - expected(circle.frame)
        passes = max(0, round((distance - ahead) / one_pass))
        slip = abs(distance - ahead - passes * one_pass)
        if slip > _SLIP_SAMPLES + _SLIP * distance:
            return None
        return nearest + passes * count

    def _complete(self, circle: _Circle, end: int) -> list[ImagePrediction]:
        """Return the images up to symbol `end` of which something came; count the others."""
        size = self._size
        last = end // size
        touched: set[int] = set()
        for begin, frame in circle.held:
            stop = begin + len(frame.points)
            touched |= set(
                range(max(circle.next_image, begin // size), min(last, -(-stop // size)))
            )
        count = len(self._labels)
        lost = max(0, last - circle.next_image) - len(touched)
        if lost:
            passes, rest = divmod(last - circle.next_image, count)
            right = passes * int(self._right_blank.sum())
            right += sum(
                bool(self._right_blank[index % count]) for index in range(last - rest, last)
            )
            right -= sum(bool(self._right_blank[index % count]) for index in touched)
            self.score.images_lost += lost
            self.score.images += lost
            self.score.images_right += right
        told = self._decode(circle, sorted(touched)) if touched else []
        circle.next_image = max(circle.next_image, last)
        kept = circle.next_image * size
        circle.held = [item for item in circle.held if item[0] + len(item[1].points) > kept]
        return told

    def _decode(self, circle: _Circle, images: Sequence[int]) -> list[ImagePrediction]:
        size, order, count = self._size, self._tail.order, len(self._labels)
        posteriors = np.full((len(images), size, order), 1.0 / order, np.float32)
        received = np.zeros((len(images), size), bool)
        for begin, frame in circle.held:
            for row, image in enumerate(images):
                first = max(begin, image * size)
                until = min(begin + len(frame.points), (image + 1) * size)
                if first < until:
                    here = slice(first - image * size, until - image * size)
                    there = slice(first - begin, until - begin)
                    posteriors[row, here] = frame.posteriors[there]
                    received[row, here] = ~frame.erased[there]
        classes, scores = self._classify(posteriors)
        frame = circle.held[-1][1]
        told = []
        for row, image in enumerate(images):
            index = image % count
            sent = self._flat[index * size : (index + 1) * size]
            right = (posteriors[row].argmax(-1) == sent) & received[row]
            told.append(
                ImagePrediction(
                    index=index,
                    label=int(self._labels[index]),
                    prediction=int(classes[row]),
                    score=float(scores[row]),
                    frame=frame.frame_index,
                    sample_start=frame.sample_start,
                    received_symbols=int(received[row].sum()),
                    symbol_errors=int(size - right.sum()),
                )
            )
        self.score.images += len(told)
        self.score.images_right += sum(item.label == item.prediction for item in told)
        return told

    def finish(self) -> list[ImagePrediction]:
        """Return nothing: an image that its last frame did not end may go on."""
        return []

    def _classify(
        self, posteriors: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the classes of images and the probability of each."""
        return classify(self._tail, posteriors, self.score)


def classify(
    tail: TailSide, posteriors: NDArray[np.float32], score: StreamScore
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the classes of images and the probability of each.

    Args:
        tail: What classifies.
        posteriors: Of the images, (batch, symbols_per_image, order).
        score: The time that it took is added to it.
    """
    begun = time.perf_counter()
    parts = range(0, len(posteriors), _MOST_IMAGES)
    logits = np.concatenate(
        [tail.logits(posteriors[begin : begin + _MOST_IMAGES]) for begin in parts]
    ).astype(np.float64)
    score.tail_s += time.perf_counter() - begun
    score.tail_images += len(posteriors)
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    odds /= odds.sum(axis=-1, keepdims=True)
    classes = odds.argmax(axis=-1)
    return classes, odds.max(axis=-1).astype(np.float32)


def frame_starts(
    payload_plan: Sequence[int], frame_format: FrameFormat, gap_samples: int
) -> list[int]:
    """Return where the frames of a pass begin, and the length of the pass behind them [samples].

    As `transmit_waveform` lays them: silence precedes each frame and ends the pass.
    """
    lengths = (gap_samples + frame_format.frame_samples(size) for size in payload_plan)
    starts = [gap_samples + end for end in accumulate(lengths, initial=0)]
    return starts
