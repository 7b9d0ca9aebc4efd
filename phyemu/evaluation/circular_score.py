"""The score of images that were sent around and around, from wherever listening began.

A transmitter that knows nothing of its receiver sends its frames in a circle. What counts are the
frames from the first to the last whole one received: those before and behind were not listened to,
and neither was the rest of one that the end of listening cut. Each pass is scored by itself, so
that no reception of a frame makes up for another.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from phyemu.dnn import Lookup, evaluating
from phyemu.errors import CheckpointError
from phyemu.receiver import FrameStatus, ReceivedFrame

from .exported import ExportedPhyDnn
from .transmission import SentImages

__all__ = ["CircularScore", "score_circular"]

# Passes that may be missing between two frames; further ones are not believed.
_MOST_MISSING_PASSES = 10_000
_BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class CircularScore:
    """What was understood between the first and the last frame received.

    Attributes:
        frames_received: Frames of the circle that were received, in whole or in part.
        frames_lost: Frames between the first and the last of them that were not.
        frames_unexpected: Frames whose index or length the circle does not have.
        images: Images that lie wholly between the first and the last frame.
        images_right: Those whose class was found, lost frames and all.
        symbols: Symbols of all these frames.
        symbol_errors: Those that were wrong or not received.
        snr_sum_db: Sum of the SNR of the frames received [dB].
    """

    frames_received: int = 0
    frames_lost: int = 0
    frames_unexpected: int = 0
    images: int = 0
    images_right: int = 0
    symbols: int = 0
    symbol_errors: int = 0
    snr_sum_db: float = 0.0

    def __add__(self, other: "CircularScore") -> "CircularScore":
        """Return both together."""
        names = CircularScore.__slots__
        return CircularScore(**{name: getattr(self, name) + getattr(other, name) for name in names})


def score_circular(
    frames: Iterable[ReceivedFrame],
    sent: SentImages,
    phydnn: ExportedPhyDnn,
    *,
    pass_samples: float | None = None,
    lookup: Lookup | None = None,
) -> CircularScore:
    """Return the score of a stream of frames, held in memory a pass at a time.

    Args:
        frames: As received, in the order of their samples, of one stream without an end to its
            sample count (begin anew where that begins anew).
        sent: One pass of what was sent.
        phydnn: Its tail is used alone.
        pass_samples: Length of a pass [samples]; it tells how many passes a gap swallowed. None:
            a gap swallows less than a pass.
        lookup: Hard, soft or learned; None: as in training.

    Raises:
        CheckpointError: What was sent is of another PhyDNN, or another constellation was received.
    """
    size = sent.symbols.shape[1]
    if sent.order != phydnn.order or size != phydnn.symbols_per_image:
        raise CheckpointError(
            f"{size} symbols an image of order {sent.order} were sent, but this PhyDNN has "
            f"{phydnn.symbols_per_image} of order {phydnn.order}"
        )
    scorer = _PassScorer(sent, phydnn, lookup)
    total = CircularScore()
    count = len(sent.payload_plan)
    held: dict[int, ReceivedFrame] = {}
    begin, last, last_sample = 0, -1, 0
    for frame in _without_cut_end(frames):
        if frame.frame_index is None:
            continue
        if frame.posteriors.shape[-1] != sent.order:
            raise CheckpointError(
                f"frames of order {frame.posteriors.shape[-1]} were received, but images of order "
                f"{sent.order} were sent; name the run whose images they are"
            )
        number = frame.frame_index
        if number >= count or len(frame.points) != sent.payload_plan[number]:
            total += CircularScore(frames_unexpected=1)
            continue
        if last < 0:
            begin = last = number
        else:
            ahead = (number - last - 1) % count + 1
            missing = _missing_passes(frame.sample_start - last_sample, ahead / count, pass_samples)
            passes = (last + ahead) // count + missing
            if passes:
                total += scorer.score(held, begin, count)
                total += scorer.lost_passes(passes - 1)
                held, begin = {}, 0
            last = number
        held[number] = frame
        last_sample = frame.sample_start
    return total + scorer.score(held, begin, last + 1) if held else total


def _without_cut_end(frames: Iterable[ReceivedFrame]) -> Iterator[ReceivedFrame]:
    """Yield the frames, except the last one if the stream ended within it."""
    before: ReceivedFrame | None = None
    for frame in frames:
        if before is not None:
            yield before
        before = frame
    if before is not None and before.status is not FrameStatus.TRUNCATED:
        yield before


def _missing_passes(samples: int, ahead: float, pass_samples: float | None) -> int:
    """Return how many whole passes lie between two frames, beside the `ahead` of one."""
    if pass_samples is None or not pass_samples >= 1:
        return 0
    return min(max(0, round(samples / pass_samples - ahead)), _MOST_MISSING_PASSES)


class _PassScorer:
    """Scores the frames of one pass."""

    def __init__(self, sent: SentImages, phydnn: ExportedPhyDnn, lookup: Lookup | None) -> None:
        self._sent, self._phydnn, self._lookup = sent, phydnn, lookup
        self._begins = np.concatenate([[0], np.cumsum(sent.payload_plan)]).astype(int)
        self._flat = sent.symbols.flatten().numpy()

    def score(self, held: Mapping[int, ReceivedFrame], begin: int, end: int) -> CircularScore:
        """Return the score of frames `begin` to `end` - 1, of which those in `held` came."""
        first, last = self._begins[begin], self._begins[end]
        order, size = self._sent.order, self._sent.symbols.shape[1]
        posteriors = np.full((last - first, order), 1.0 / order, np.float32)
        received = np.zeros(last - first, bool)
        for number, frame in held.items():
            part = slice(self._begins[number] - first, self._begins[number + 1] - first)
            posteriors[part] = frame.posteriors
            received[part] = ~frame.erased
        right = (posteriors.argmax(-1) == self._flat[first:last]) & received
        lowest, highest = -(-first // size), last // size
        images = max(0, int(highest - lowest))
        images_right = 0
        if images:
            inside = posteriors[lowest * size - first : highest * size - first]
            with evaluating(self._phydnn.tail):
                logits = torch.cat(
                    [
                        self._phydnn.tail(part, self._lookup)
                        for part in torch.split(
                            torch.from_numpy(inside).view(images, size, -1), _BATCH
                        )
                    ]
                )
            labels = self._sent.labels[lowest:highest]
            images_right = int((logits.argmax(-1) == labels).sum())
        return CircularScore(
            frames_received=len(held),
            frames_lost=end - begin - len(held),
            images=images,
            images_right=images_right,
            symbols=len(right),
            symbol_errors=int(np.count_nonzero(~right)),
            snr_sum_db=float(sum(frame.snr_db for frame in held.values())),
        )

    def lost_passes(self, count: int) -> CircularScore:
        """Return the score of whole passes of which nothing came."""
        if count < 1:
            return CircularScore()
        one = self.score({}, 0, len(self._sent.payload_plan))
        return CircularScore(
            **{name: count * getattr(one, name) for name in CircularScore.__slots__}
        )
