"""Images out of frames whose sender sends what comes: put together, counted, told whose they are.

What did not come of an image is equal posteriors; images of which nothing came are counted. What is
made of the images is somebody else's concern: a tail's classes, or a relay's symbols.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.evaluation import AirSide, StreamCounts
from phyemu.receiver import ReceivedFrame

from .framing import INTRODUCTION_INDEX, ImageFraming
from .introduction import Partner, introduced_order, introduction_length, recognise

__all__ = ["ArrivedImages", "ImageAssembly"]

_REMEDIES = {
    True: "export both from one run",
    False: "listen to the device before this one in the network, and export all from one run",
}
# Of two devices: behind the introduction of a stranger, a frame whose number goes on from ours by
# no more than this is still ours.
_NEAR_FRAMES = 8


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ArrivedImages:
    """The images that a frame ends, and what is known of the stream before them.

    Attributes:
        posteriors: (num_images, symbols_per_image, order), float32.
        received: Which symbols came, (num_images, symbols_per_image).
        frame: Number of the frame that ends them, as its header says.
        sample_start: Where that frame begins in the stream.
        num_lost: Images lost since those that arrived before.
        restarted: Whether their sender began anew since, with its first image. Not where numbers
            merely jump: a relay's images go on there.
        introduced: Whether their sender introduced itself since.
    """

    posteriors: NDArray[np.float32]
    received: NDArray[np.bool_]
    frame: int
    sample_start: int
    num_lost: int = 0
    restarted: bool = False
    introduced: bool = False


@dataclass(slots=True)
class _Pending:
    """An image of several frames, as far as it came."""

    first_index: int
    posteriors: NDArray[np.float32]
    received: NDArray[np.bool_]
    sample_start: int = 0


@dataclass(slots=True)
class _Since:
    """What happened since images arrived."""

    num_lost: int = 0
    restarted: bool = False
    introduced: bool = False


class ImageAssembly:
    """Takes frames of `ImageFraming` in order.

    Frames belong to whoever introduced itself last. A stranger's are left out and counted, until
    our sender introduces itself again, or, of two devices, goes on where it was: anybody can send
    an introduction. Devices of one chain carry nearly the same numbers, which tell nothing there.

    Attributes:
        counts: So far.
        partner: Whether ours, or another, has introduced itself; None: none yet.
        strangers: Introductions of senders that are not ours.
        stranger: What the last of these is, and what to do; None: there was none.
    """

    def __init__(
        self, side: AirSide, counts: StreamCounts, *, listener: str, needs_introduction: bool
    ) -> None:
        """Begin with nothing heard.

        Args:
            side: What listens: its card, frames and constellation.
            counts: Where to count.
            listener: What it is called in messages.
            needs_introduction: Whether frames are left out that come before the first
                introduction, or behind a stranger's, whatever their numbers: another device of the
                same network may send them.
        """
        self.counts = counts
        self.partner: Partner | None = None
        self.strangers = 0
        self.stranger: str | None = None
        self._is_strange = False
        self._side = side
        self._listener = listener
        self._needs_introduction = needs_introduction
        self._framing = ImageFraming(
            symbols_per_image=side.symbols_per_image, frame_format=side.frame_format
        )
        self._size = side.symbols_per_image
        self._plan = self._framing.plan
        self._last_index: int | None = None
        self._last_images = 1
        # Since the last frame of images, and since images arrived.
        self._introduced = False
        self._since = _Since()
        self._pending: _Pending | None = None

    def hear(self, frame: ReceivedFrame) -> list[ArrivedImages]:
        """Return what a frame completes, in order."""
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
            self.counts.frames_unexpected += 1
            return []
        self.counts.frames_received += 1
        if len(self._plan) == 1:
            self._count_lost(index)
            self._last_images = self._framing.images_in(count)
            shape = (self._last_images, self._size, -1)
            received = (~frame.erased).reshape(shape[:2])
            posteriors = frame.posteriors.reshape(shape)
            return [self._arrived(posteriors, received, index, frame.sample_start)]
        arrived = []
        first = index - index % len(self._plan)
        if self._pending is not None and self._pending.first_index != first:
            arrived = self.finish()
        self._count_lost(index)
        return arrived + self._add(first, index, frame)

    def finish(self) -> list[ArrivedImages]:
        """Return the image whose last frames never came, if there is one."""
        pending, self._pending = self._pending, None
        if pending is None:
            return []
        return [
            self._arrived(
                pending.posteriors[None],
                pending.received[None],
                pending.first_index + len(self._plan) - 1,
                pending.sample_start,
            )
        ]

    def _meet(self, frame: ReceivedFrame) -> None:
        card, length = self._side.card, len(frame.points)
        if length != introduction_length(card.order):
            order = introduced_order(length)
            self._note_stranger(
                f"a sender has a constellation of {order or 'another number of'} points, and this "
                f"{self._listener}'s has {card.order}; use parts of one export"
            )
            return
        partner = recognise(card, frame.posteriors)
        if partner is Partner.OTHER:
            self._note_stranger(
                f"a sender has another dictionary than this {self._listener} "
                f"({card.embedding_sha256[:16]}); {_REMEDIES[card.hop is None]}"
            )
            return
        if partner is Partner.OURS:
            self._is_strange = False
        if partner is Partner.OURS or self.partner is None:
            self.partner = partner
        self._introduced = self._since.introduced = True

    def _note_stranger(self, line: str) -> None:
        self.strangers += 1
        self.stranger = line
        self._is_strange = True
        if self.partner is not Partner.OURS:
            self.partner = Partner.OTHER

    def _is_ours(self, index: int) -> bool:
        """Return whether a frame of images is sent by our sender, as far as is known."""
        if self._needs_introduction:
            return self.partner is Partner.OURS and not self._is_strange
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
        # A sender that begins says who it is, and counts from 0.
        if ahead >= total // 2 or (introduced and index == 0 and ahead):
            self.counts.restarts += 1
            self._since.restarted |= introduced and index == 0
            return
        self.counts.frames_lost += ahead
        if parts == 1:
            lost = ahead * self._last_images
        else:
            lost = max(0, (index // parts - last // parts) % (total // parts) - 1)
        self.counts.images_lost += lost
        self.counts.images += lost
        self._since.num_lost += lost

    def _add(self, first: int, index: int, frame: ReceivedFrame) -> list[ArrivedImages]:
        if self._pending is None:
            order = self._side.order
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

    def _arrived(
        self,
        posteriors: NDArray[np.float32],
        received: NDArray[np.bool_],
        index: int,
        sample_start: int,
    ) -> ArrivedImages:
        self.counts.images += len(posteriors)
        since, self._since = self._since, _Since()
        return ArrivedImages(
            posteriors=posteriors,
            received=received,
            frame=index,
            sample_start=sample_start,
            num_lost=since.num_lost,
            restarted=since.restarted,
            introduced=since.introduced,
        )
