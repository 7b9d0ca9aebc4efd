"""A relay at work: listening on one thread, sending on another, until the stream ends."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from phyemu.listening import ListeningSummary, SampleFeed, listen
from phyemu.receiver import ReceivedFrame, ReceiverConfig

from .image_assembly import ArrivedImages
from .outlet import Outlet, failures_of
from .relay_server import MOST_IMAGES, RelayCounts, RelayServer
from .sending import Sending, end_or_stop
from .sent_record import SentImage

__all__ = ["RelayRun", "serve_relay"]

_POLL_S = 0.05
# Frames whose images may wait: then listening waits, too.
_MOST_WAITING = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class RelayRun:
    """How it went.

    Attributes:
        counts: What became of the images.
        images_sent: Those that went out whole.
        outlet: What went out, as JSON values.
        listening: How listening went.
        was_stopped: Whether somebody ended it.
    """

    counts: RelayCounts
    images_sent: int
    outlet: dict[str, Any]
    listening: ListeningSummary
    was_stopped: bool

    def line(self) -> str:
        """Return it for people."""
        parts = [
            f"{self.images_sent} images sent, {self.outlet['samples']} samples",
            *failures_of(self.outlet),
            *(["stopped"] if self.was_stopped else []),
        ]
        return f"{self.counts.line()}\n{', '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **self.counts.to_dict(),
            "images_sent": self.images_sent,
            "sent": self.outlet,
            "listening": self.listening.to_dict(),
            "was_stopped": self.was_stopped,
        }


def serve_relay(
    feed: SampleFeed,
    server: RelayServer,
    outlet: Outlet,
    on_sent: Callable[[SentImage], None],
    *,
    stop: threading.Event,
    on_stranger: Callable[[str], None] = lambda _: None,
    config: ReceiverConfig | None = None,
    num_frames: int | None = None,
    duration_s: float | None = None,
    idle_s: float | None = None,
) -> RelayRun:
    """Relay the images of a stream until it ends, and return how it went.

    What arrives while the images before it are on their way goes out together. Where that cannot
    keep up, listening waits: a recording takes longer, a radio overflows, which is a gap. Called
    from the main thread. Ctrl-C ends it in good order: what is on its way goes out or is taken
    back, and what still waits behind it is not sent.

    Args:
        feed: Brings the samples.
        server: Makes frames of them.
        outlet: Takes the samples of these.
        on_sent: Told of each image when its samples have gone out, on a thread of its own.
        stop: Ends it when set.
        on_stranger: Told once, where somebody introduces itself that this relay does not hear. Its
            images are left out, and it is counted.
        config: Settings of the receiver; None for the defaults.
        num_frames: End after so many frames, >= 1; None: all.
        duration_s: Length of the stream to take [s]; None: all.
        idle_s: End when no sample came for so long after the first [s]; None: wait for ever.

    Raises:
        PhyemuError: As `listen`, and what sending raises.
    """
    waiting: queue.Queue[ArrivedImages] = queue.Queue(_MOST_WAITING)
    heard_all, sent_all = threading.Event(), threading.Event()
    met = False

    def hear(frame: ReceivedFrame) -> None:
        nonlocal met
        for images in server.hear(frame):
            while not sent_all.is_set():
                with suppress(queue.Full):
                    waiting.put(images, timeout=_POLL_S)
                    break
        if not met and (line := server.stranger) is not None:
            met = True
            on_stranger(line)

    sending = Sending(outlet, on_sent)

    def send() -> None:
        try:
            for arrived in _together(waiting, heard_all):
                sending.send(server.encode(arrived), stop)
                if stop.is_set():
                    break
            if not stop.is_set():
                sending.send(server.encode(server.finish()), stop)
            outlet.finish(stop)
        finally:
            # Where sending failed, nothing more need be heard.
            sent_all.set()
            if not heard_all.is_set():
                stop.set()
            sending.tell()

    with ThreadPoolExecutor(1, thread_name_prefix="phyemu-relay") as pool:
        working = pool.submit(send)
        try:
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
            heard_all.set()
            end_or_stop(working, stop)
        except BaseException:
            # Ctrl-C comes anywhere; the pool would wait for work that nobody ends.
            stop.set()
            raise
        finally:
            heard_all.set()
    counts = server.counts()
    return RelayRun(
        counts=counts,
        images_sent=sending.num_told,
        outlet=dict(outlet.counts()),
        # The receiver takes the index of an introduction for that of a frame far ahead.
        listening=replace(summary, missing_frames=counts.stream.frames_lost),
        was_stopped=stop.is_set(),
    )


def _together(
    waiting: "queue.Queue[ArrivedImages]", heard_all: threading.Event
) -> Iterator[list[ArrivedImages]]:
    """Yield what has arrived together; nothing where nothing came for a moment."""
    while True:
        is_end = heard_all.is_set()
        try:
            arrived = [waiting.get(timeout=_POLL_S)]
        except queue.Empty:
            if is_end:
                return
            yield []
            continue
        with suppress(queue.Empty):
            while sum(len(images.posteriors) for images in arrived) < MOST_IMAGES:
                arrived.append(waiting.get_nowait())
        yield arrived
