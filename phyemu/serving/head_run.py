"""A device at work: images in, samples out, until there are no more or somebody ends it."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from phyemu.errors import ConfigError

from .frame_sender import SentCounts
from .head_sender import HeadSender
from .image_source import ImageBatch
from .outlet import Outlet, failures_of
from .sending import Sending, end_or_stop
from .sent_record import SentImage

__all__ = ["HeadRun", "run_head"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadRun:
    """How it went.

    Attributes:
        counts: What was encoded.
        head_s: Time that the head took [s].
        images_sent: Images that went out whole.
        outlet: What went out, as JSON values.
        was_stopped: Whether somebody ended it.
    """

    counts: SentCounts
    head_s: float
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
            f"head {1e3 * self.head_s / per_image:.2f} ms an image, "
            f"framing {1e3 * counts.framing_s / per_image:.2f} ms",
        ]
        stopped = ["stopped"] if self.was_stopped else []
        return ", ".join([*parts, *failures_of(sent), *stopped])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **asdict(self.counts),
            "head_s": self.head_s,
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
    sending = Sending(outlet, on_sent)

    def work() -> None:
        try:
            for batch in batches:
                sending.send(sender.encode(batch), stop)
                if stop.is_set():
                    break
            if not sender.counts.images and not stop.is_set():
                raise ConfigError("there was no image to send")
            outlet.finish(stop)
        finally:
            sending.tell()

    with ThreadPoolExecutor(1, thread_name_prefix="phyemu-head") as pool:
        end_or_stop(pool.submit(work), stop)
    return HeadRun(
        counts=sender.counts,
        head_s=sender.head_s,
        images_sent=sending.num_told,
        outlet=dict(outlet.counts()),
        was_stopped=stop.is_set(),
    )
