"""Role `phydnn-receive`: frames become classes of images as they come.

The head is never loaded: it is not there. Where sent.npz is there, everything is scored against it.
"""

import json
import threading
from typing import Any, TextIO

import torch

from phyemu.dnn import evaluating
from phyemu.errors import RadioError
from phyemu.evaluation import (
    ExportedTail,
    ImagePrediction,
    SentImages,
    load_exported_tail,
    load_sent_images,
    measure_side_latency,
)
from phyemu.node.content import SENT_FILE
from phyemu.node.roles.receive import Receive
from phyemu.node.roles.work import Stretch, WorkTask
from phyemu.radio import Radio
from phyemu.receiver import ReceivedFrame
from phyemu.serving import ImageHearing, hearing, prediction_values
from phyemu.waveform.sent_frames import SentFrames

__all__ = ["PhyDnnReceive"]

_TOTALS = (
    "images",
    "images_right",
    "images_lost",
    "symbols",
    "symbol_errors",
    "frames_received",
    "frames_lost",
    "frames_unexpected",
    "restarts",
    "tail_s",
    "tail_images",
)


class PhyDnnReceive(Receive):
    """Classifies images; a line for each is in predictions.jsonl."""

    def __init__(self, task: WorkTask) -> None:
        """Take note of the task."""
        super().__init__(task)
        self._exported: ExportedTail | None = None
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._images: SentImages | None = None
        self._stream: ImageHearing | None = None
        self._past: list[ImageHearing] = []
        self._latency: dict[str, Any] = {}
        self._stretch = 0
        self._predictions: TextIO | None = None
        self._writing = threading.Lock()

    def prepare(self, radio: Radio, stop: threading.Event) -> None:
        """Load the tail and what is sent, and measure the tail."""
        super().prepare(radio, stop)
        exported = self._exported
        if exported is None:
            return
        order, size = exported.order, exported.symbols_per_image
        tail = exported.tail.to(self._device)
        symbols = torch.randint(order, (64, size), generator=torch.Generator().manual_seed(1))
        posteriors = torch.nn.functional.one_hot(symbols, order).float()
        with evaluating(tail):
            self._latency = measure_side_latency(tail, posteriors, device=self._device, stop=stop)
        # Refuses what is sent where it is of another PhyDNN.
        hearing(exported, self._images)
        path = self._task.folder / "predictions.jsonl"
        self._predictions = path.open("a", encoding="utf-8")

    def _expected(self, radio: Radio) -> SentFrames:
        folder = self._task.content / self._task.conf.phydnn.folder
        exported = self._exported = load_exported_tail(folder)
        path = folder / SENT_FILE
        self._images = load_sent_images(path) if path.exists() else None
        return SentFrames(frame_format=exported.frame_format, constellation=exported.constellation)

    def _begin(self, stretch: Stretch) -> None:
        if self._exported is None:
            raise RadioError("there is no tail yet")
        self._stretch = stretch.number
        self._stream = hearing(self._exported, self._images)

    def _end(self) -> None:
        if self._stream is not None:
            self._keep_predictions(self._stream.finish())
            self._past.append(self._stream)
            self._stream = None

    def _hear(self, frame: ReceivedFrame) -> None:
        if self._stream is not None:
            self._keep_predictions(self._stream.hear(frame))

    def _keep_predictions(self, told: list[ImagePrediction]) -> None:
        if not told or self._exported is None:
            return
        names = self._exported.card.class_names
        lines = [
            json.dumps({**prediction_values(image, names), "stretch": self._stretch})
            for image in told
        ]
        with self._writing:
            if self._predictions is not None:
                self._predictions.write("\n".join(lines) + "\n")

    def counts(self) -> dict[str, Any]:
        """Return what became of frames and images."""
        streams = [*self._past, *filter(None, [self._stream])]
        total = {name: sum(getattr(s.score, name) for s in streams) for name in _TOTALS}
        images, symbols = total["images"], total["symbols"]
        is_scored = self._images is not None
        tail_s, tail_images = total.pop("tail_s"), total.pop("tail_images")
        if not is_scored:
            for name in ("images_right", "images_lost", "symbols", "symbol_errors", "frames_lost"):
                total[name] = None
        return {
            **super().counts(),
            **total,
            "accuracy": 100 * total["images_right"] / images if is_scored and images else None,
            "symbol_error_rate": total["symbol_errors"] / symbols if symbols else None,
            "tail_s": (self._latency.get("single") or {}).get("median_s"),
            "tail_latency": self._latency,
            "tail_s_per_image_at_work": tail_s / tail_images if tail_images else None,
        }

    def keep(self) -> None:
        """Flush frames and predictions."""
        super().keep()
        with self._writing:
            if self._predictions is not None:
                self._predictions.flush()

    def close(self) -> None:
        """Close the predictions."""
        with self._writing:
            if self._predictions is not None:
                self._predictions.close()
                self._predictions = None
