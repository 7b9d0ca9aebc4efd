"""A device at work: images in, samples out, until there are no more or somebody ends it."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any

from phyemu.errors import ConfigError

from .head_sender import HeadCounts, HeadSender
from .image_source import ImageBatch
from .outlet import Outlet
from .sent_record import SentImage

__all__ = ["HeadRun", "run_head"]

# The main thread looks this often whether the work is done [s].
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadRun:
    """How it went.

    Attributes:
        counts: What was encoded.
        images_sent: Images that went out whole.
        outlet: What went out, as JSON values.
        was_stopped: Whether somebody ended it.
    """

    counts: HeadCounts
    images_sent: int
    outlet: dict[str, Any]
    was_stopped: bool

    def line(self) -> str:
        """Return it for people."""
        counts, sent = self.counts, self.outlet
        per_image = max(1, counts.images)
        parts = [
            f"{self.images_sent} of {counts.images} images sent, {counts.frames} frames "
            f"({counts.introductions} introductions), {sent['samples']} samples",
            f"head {1e3 * counts.head_s / per_image:.2f} ms an image, "
            f"framing {1e3 * counts.framing_s / per_image:.2f} ms",
        ]
        wrong = [f"{count} {name}" for name, count in sent.items() if name != "samples" and count]
        return ", ".join([*parts, *wrong, *(["stopped"] if self.was_stopped else [])])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **asdict(self.counts),
            "images_sent": self.images_sent,
            "sent": self.outlet,
            "was_stopped": self.was_stopped,
        }


def run_head(
    batches: Iterable[ImageBatch],
    sender: HeadSender,
    outlet: Outlet,
    on_sent: Callable[[SentImage], None],
    *,
    stop: threading.Event,
) -> HeadRun:
    """Send images until there are no more, or `stop` is set, and return how it went.

    Ctrl-C ends it, too, in good order: what is on its way goes out or is taken back. Called from
    the main thread, which only waits, so that Ctrl-C meets no batch half sent.

    Args:
        batches: What to send; may wait for images, as long as `stop` ends it. With a batch of
            nothing, what has gone out meanwhile is told.
        sender: Encodes.
        outlet: Takes the samples.
        on_sent: Told of each image when the samples of it have gone out, on a thread of its own.
        stop: Ends it when set.

    Raises:
        ConfigError: There was nothing to send.
        PhyemuError: What reading, encoding or sending raises.
    """

    waiting: deque[tuple[int, SentImage]] = deque()
    num_told = 0

    def tell() -> None:
        nonlocal num_told
        gone = outlet.num_gone
        while waiting and waiting[0][0] <= gone:
            num_told += 1
            on_sent(waiting.popleft()[1])

    def send_all() -> None:
        num_samples = 0
        for batch in batches:
            if batch.names:
                encoded = sender.encode(batch)
                ends = (num_samples + end for end in encoded.image_ends)
                waiting.extend(zip(ends, encoded.images, strict=True))
                num_samples += len(encoded.iq)
                outlet.send(encoded, stop)
            else:
                outlet.settle()
            tell()
            if stop.is_set():
                break
        if not sender.counts.images and not stop.is_set():
            raise ConfigError("there was no image to send")
        outlet.finish(stop)

    def work() -> None:
        try:
            send_all()
        finally:
            tell()

    with ThreadPoolExecutor(1, thread_name_prefix="phyemu-head") as pool:
        working = pool.submit(work)
        while True:
            try:
                if wait([working], timeout=_POLL_S).done:
                    break
            except KeyboardInterrupt:
                stop.set()
    working.result()
    return HeadRun(
        counts=sender.counts,
        images_sent=num_told,
        outlet=dict(outlet.counts()),
        was_stopped=stop.is_set(),
    )
