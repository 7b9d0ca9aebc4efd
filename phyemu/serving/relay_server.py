"""The device between two links: images in by the frames of one, out by those of the next."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from phyemu.dnn import Part
from phyemu.evaluation import RelaySide, StreamCounts
from phyemu.metering import time_calls
from phyemu.receiver import ReceivedFrame
from phyemu.waveform.sent_frames import SentFrames

from .call_times import CallTimes
from .frame_sender import AMPLITUDE, FRAMES_BETWEEN, EncodedBatch, FrameSender, Portion, SentCounts
from .image_assembly import ArrivedImages, ImageAssembly
from .introduction import senders_line
from .sent_record import SentImage, SentRecord

__all__ = ["MOST_IMAGES", "RelayCounts", "RelayServer"]

_REHEARSALS = 10
MOST_IMAGES = 64
"""Images that go through a relay together, however many a frame claims to hold, or have come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RelayCounts:
    """What became of the images so far.

    Attributes:
        stream: What arrived.
        partner: Who introduced itself: `ours`, `other`, `unreadable`; None: nobody was heard.
        strangers: Introductions of senders that this relay does not hear.
        stranger: What the last of these is, and what to do; None: there was none.
        relay_median_s: Median time of a call of the relay [s]; None: there was none.
        relay_p95_s: 95th percentile of it [s].
        encoded: What was made of it.
    """

    stream: StreamCounts
    partner: str | None
    strangers: int
    stranger: str | None
    relay_median_s: float | None
    relay_p95_s: float | None
    encoded: SentCounts

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            **asdict(self.stream),
            "partner": self.partner,
            "strangers": self.strangers,
            "stranger": self.stranger,
            "relay_median_s": self.relay_median_s,
            "relay_p95_s": self.relay_p95_s,
            "encoded": asdict(self.encoded),
        }

    def line(self) -> str:
        """Return the counts for people."""
        stream = self.stream
        parts = [
            f"{self.encoded.images} images relayed, {stream.images_lost} lost before",
            f"{stream.frames_received} frames, {stream.frames_lost} lost, "
            f"{stream.frames_unexpected} of another transmission",
        ]
        if self.encoded.restarts:
            parts.append(f"began anew {self.encoded.restarts} times")
        if self.relay_median_s is not None and self.relay_p95_s is not None:
            parts.append(
                f"relay {1e3 * self.relay_median_s:.2f} ms a call "
                f"(95 %: {1e3 * self.relay_p95_s:.2f} ms)"
            )
        parts.append(senders_line(self.partner, self.strangers, listener=Part.RELAY))
        return ", ".join(parts)


class RelayServer:
    """Makes the frames of the next link of the frames that arrive.

    Every image has the next number, whether something of it came or not, and goes into frames as
    it came: so whoever hears the next link finds those missing that were lost on this one. Whenever
    the sender introduces itself, this relay does so, too.
    """

    def __init__(
        self,
        relay: RelaySide,
        record: SentRecord | None = None,
        *,
        amplitude: float = AMPLITUDE,
        frames_between: int = FRAMES_BETWEEN,
    ) -> None:
        """Begin with nothing heard; the relay is called some times, so that it is ready.

        Args:
            relay: What makes the symbols.
            record: What is sent to it, from which images have their names; None: an image is named
                after its frame and position.
            amplitude: Of the strongest symbols that are sent, full scale 1, within 0..1.
            frames_between: Frames of images between two introductions, at most.

        Raises:
            ConfigError: A number is out of range.
        """
        self.relay = relay
        self._stream = StreamCounts()
        self._assembly = ImageAssembly(
            relay.arriving, self._stream, listener=Part.RELAY, needs_introduction=True
        )
        self._frames = FrameSender(
            relay.sending, amplitude=amplitude, frames_between=frames_between
        )
        self._record = record
        self._times = CallTimes()
        size, order = relay.arriving.symbols_per_image, relay.arriving.order
        blank = np.full((1, size, order), 1.0 / order, np.float32)
        time_calls(lambda _: relay.symbols(blank), _REHEARSALS, budget_s=1.0)
        # The thread that hears and the one that encodes share the assembly.
        self._counting = threading.Lock()

    @property
    def sent_frames(self) -> SentFrames:
        """Return what the receiver must be told of the frames that arrive."""
        arriving = self.relay.arriving
        return SentFrames(frame_format=arriving.frame_format, constellation=arriving.constellation)

    def hear(self, frame: ReceivedFrame) -> list[ArrivedImages]:
        """Return the images that a frame completes, in order."""
        with self._counting:
            return self._assembly.hear(frame)

    def finish(self) -> list[ArrivedImages]:
        """Return the images that no further frame can complete: none comes."""
        with self._counting:
            return self._assembly.finish()

    @property
    def stranger(self) -> str | None:
        """Return what the last sender was that this relay does not hear; None: there was none."""
        return self._assembly.stranger

    def encode(self, arrived: Sequence[ArrivedImages]) -> EncodedBatch:
        """Return what goes out for images, in order; nothing for none.

        Raises:
            ConfigError: The samples would clip.
        """
        if not arrived:
            return self._frames.encode([])
        posteriors = np.concatenate([images.posteriors for images in arrived])
        made = []
        for begin in range(0, len(posteriors), MOST_IMAGES):
            begun = time.perf_counter()
            made.append(self.relay.symbols(posteriors[begin : begin + MOST_IMAGES]))
            self._times.add(time.perf_counter() - begun)
        counts = [len(images.posteriors) for images in arrived]
        symbols = torch.split(torch.cat(made), counts)
        portions = [
            Portion(
                symbols=own,
                describe=self._names(images),
                images_per_frame=self._images_per_frame(len(own)),
                num_missing=images.num_lost,
                introduces=images.introduced,
            )
            for images, own in zip(arrived, symbols, strict=True)
        ]
        return self._frames.encode(portions)

    def _images_per_frame(self, num_images: int) -> int:
        """Return the most images of equal frames that hold those of one frame.

        A frame that is lost before this relay held as many images as the one before: that number
        must be made up of whole frames of the next link.
        """
        most = self._frames.framing.most_images
        return next(size for size in range(min(most, num_images), 0, -1) if num_images % size == 0)

    def _names(self, images: ArrivedImages) -> Callable[[int, int, int], SentImage]:
        """Return what tells of each image where it is sent, by what is known of it."""
        if images.restarted and self._record is not None:
            self._record.rewind()
        known = [
            None if self._record is None else self._record.find(images.frame, row)
            for row in range(len(images.posteriors))
        ]

        def describe(row: int, frame: int, position: int) -> SentImage:
            sent = known[row]
            if sent is None:
                name = f"{images.frame}.{row}"
                return SentImage(name=name, frame=frame, position=position)
            return SentImage(
                name=sent.name,
                frame=frame,
                position=position,
                index=sent.index,
                label=sent.label,
            )

        return describe

    def counts(self) -> RelayCounts:
        """Return what became of the images so far; from the thread that encodes, or behind it."""
        with self._counting:
            met = self._assembly
            return RelayCounts(
                stream=replace(self._stream),
                partner=None if met.partner is None else str(met.partner),
                strangers=met.strangers,
                stranger=met.stranger,
                relay_median_s=self._times.median_s,
                relay_p95_s=self._times.p95_s,
                encoded=replace(self._frames.counts),
            )
