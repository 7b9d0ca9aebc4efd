"""The edge server: frames in, predictions out, and how long they took."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from phyemu.dnn import Part
from phyemu.evaluation import ImagePrediction, SentImages, StreamScore, TailSide
from phyemu.listening import ListeningSummary, SampleFeed, listen
from phyemu.metering import time_calls
from phyemu.receiver import ReceivedFrame, ReceiverConfig
from phyemu.waveform.sent_frames import SentFrames

from .call_times import CallTimes
from .image_assembly import ImageAssembly
from .introduction import senders_line
from .received_images import ReceivedImages, hearing
from .sent_record import SentRecord

__all__ = ["ServingCounts", "TailServer", "prediction_values", "serve_tail"]

_REHEARSALS = 10


def prediction_values(told: ImagePrediction, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Return a prediction as JSON values, the name of its class with it."""
    return {**asdict(told), "class": class_names[told.prediction]}


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingCounts:
    """What became of the images so far.

    Attributes:
        score: Counts.
        is_scored: Whether what was sent is known, so that predictions could be right.
        knows_symbols: Whether the symbols of what was sent are known, too.
        partner: Who introduced itself: `ours`, `other`, `unreadable`; None: nobody was heard.
        strangers: Introductions of heads that are not those of this tail.
        stranger: What the last of these is, and what to do; None: there was none.
        tail_median_s: Median time of a call of the tail [s]; None: there was none.
        tail_p95_s: 95th percentile of it [s].
    """

    score: StreamScore
    is_scored: bool
    knows_symbols: bool
    partner: str | None
    strangers: int
    stranger: str | None
    tail_median_s: float | None
    tail_p95_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values; what cannot be known is None."""
        score = self.score
        values: dict[str, Any] = {
            **asdict(score),
            "partner": self.partner,
            "strangers": self.strangers,
            "stranger": self.stranger,
            "tail_median_s": self.tail_median_s,
            "tail_p95_s": self.tail_p95_s,
        }
        if not self.is_scored:
            values["images_right"] = None
        if not self.knows_symbols:
            values["symbols"] = values["symbol_errors"] = None
        return values

    def line(self) -> str:
        """Return the counts for people."""
        score = self.score
        parts = [
            f"{score.images - score.images_lost} images classified, {score.images_lost} lost",
            f"{score.frames_received} frames, {score.frames_lost} lost, "
            f"{score.frames_unexpected} of another transmission",
        ]
        if self.is_scored and score.images:
            parts.insert(0, f"{100 * score.images_right / score.images:.1f} % right")
        if self.tail_median_s is not None and self.tail_p95_s is not None:
            parts.append(
                f"tail {1e3 * self.tail_median_s:.2f} ms a frame "
                f"(95 %: {1e3 * self.tail_p95_s:.2f} ms)"
            )
        if not self.knows_symbols:
            parts.append(senders_line(self.partner, self.strangers, listener=Part.TAIL))
        return ", ".join(parts)


class TailServer:
    """Classifies the images of a stream of frames."""

    def __init__(self, tail: TailSide, sent: SentImages | SentRecord | None = None) -> None:
        """Begin with nothing heard; the tail is called some times, so that its first one is ready.

        Args:
            tail: What classifies.
            sent: What is sent again and again, or the record of a head that sends single images,
                where that is known; None: single images.

        Raises:
            CheckpointError: What is sent is of another PhyDNN.
        """
        self.tail = tail
        self._hearing = hearing(tail, sent)
        self._is_scored = sent is not None
        self._knows_symbols = isinstance(sent, SentImages)
        self._times = CallTimes()
        blank = np.full((1, tail.symbols_per_image, tail.order), 1.0 / tail.order, np.float32)
        time_calls(lambda _: tail.logits(blank), _REHEARSALS, budget_s=1.0)
        # The thread that hears and the one that asks for counts share what follows.
        self._counting = threading.Lock()

    @property
    def sent_frames(self) -> SentFrames:
        """Return what the receiver must be told of the frames."""
        return SentFrames(
            frame_format=self.tail.frame_format, constellation=self.tail.constellation
        )

    def hear(self, frame: ReceivedFrame) -> list[ImagePrediction]:
        """Return the images that a frame completes, in order."""
        with self._counting:
            score = self._hearing.score
            before_s, before = score.tail_s, score.tail_images
            told = self._hearing.hear(frame)
            if score.tail_images > before:
                self._times.add(score.tail_s - before_s)
            return told

    @property
    def stranger(self) -> str | None:
        """Return what the last head was that is not that of this tail; None: there was none."""
        return None if self._met is None else self._met.stranger

    @property
    def _met(self) -> ImageAssembly | None:
        """Return what knows who sends; None: it is a circle, which says who it is by what it is."""
        heard = self._hearing
        return heard.assembly if isinstance(heard, ReceivedImages) else None

    def finish(self) -> list[ImagePrediction]:
        """Return the images that no further frame can complete: none comes."""
        with self._counting:
            return self._hearing.finish()

    def counts(self) -> ServingCounts:
        """Return what became of the images so far."""
        with self._counting:
            met = self._met
            partner = None if met is None else met.partner
            return ServingCounts(
                score=StreamScore(**asdict(self._hearing.score)),
                is_scored=self._is_scored,
                knows_symbols=self._knows_symbols,
                partner=None if partner is None else str(partner),
                strangers=0 if met is None else met.strangers,
                stranger=None if met is None else met.stranger,
                tail_median_s=self._times.median_s,
                tail_p95_s=self._times.p95_s,
            )


def serve_tail(
    feed: SampleFeed,
    server: TailServer,
    on_told: Callable[[ImagePrediction], None],
    *,
    on_stranger: Callable[[str], None] = lambda _: None,
    config: ReceiverConfig | None = None,
    num_frames: int | None = None,
    duration_s: float | None = None,
    idle_s: float | None = None,
    stop: threading.Event | None = None,
) -> ListeningSummary:
    """Tell of every image in a stream until it ends, and return how listening went.

    Called from the main thread; Ctrl-C ends it, and what came until then is classified.

    Args:
        feed: Brings the samples.
        server: Makes classes of them.
        on_told: Called with each image, on a thread of its own but for the last ones.
        on_stranger: Told once, where a head introduces itself that is not that of this tail. Its
            images are left out, and it is counted.
        config: Settings of the receiver; None for the defaults.
        num_frames: End after so many frames, >= 1; None: all.
        duration_s: Length of the stream to take [s]; None: all.
        idle_s: End when no sample came for so long after the first [s]; None: wait for ever.
        stop: Ends it when set.

    Raises:
        PhyemuError: As `listen`.
    """
    met = False

    def hear(frame: ReceivedFrame) -> None:
        nonlocal met
        for told in server.hear(frame):
            on_told(told)
        if not met and (line := server.stranger) is not None:
            met = True
            on_stranger(line)

    summary = listen(
        feed,
        server.sent_frames,
        hear,
        config=config,
        num_frames=num_frames,
        duration_s=duration_s,
        idle_s=idle_s,
        stop=stop,
    )
    for told in server.finish():
        on_told(told)
    # The receiver takes the index of an introduction for that of a frame far ahead.
    return replace(summary, missing_frames=server.counts().score.frames_lost)
