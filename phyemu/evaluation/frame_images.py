"""What a PhyDNN understands of single frames, as they come: images that lie whole in one frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from phyemu.dnn import evaluating
from phyemu.receiver import ReceivedFrame

from .exported import ExportedPhyDnn, check_exported, check_two_devices
from .reception_score import SENT_FILE
from .transmission import SentImages, load_exported_of, load_sent_images

__all__ = ["FrameImages", "FrameScore"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameScore:
    """A frame against what was sent in it.

    Attributes:
        symbol_errors: Symbols received that were decided wrongly.
        images: Images that lie in this frame alone.
        images_right: Those of them whose class was found.
    """

    symbol_errors: int
    images: int
    images_right: int


class FrameImages:
    """Scores the frames of a run's images, one by one; images across two frames are left out."""

    def __init__(self, run: Path, *, order: int | None = None, model: str | None = None) -> None:
        """Load the PhyDNN of a run and what it sent.

        Args:
            run: Run folder with head, tail and `sent.npz`.
            order: M, where the run holds several; None: that of what was sent.
            model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

        Raises:
            CheckpointError: The run lacks a file, or one is damaged.
        """
        if run.is_dir():
            check_exported(run)
            check_two_devices(run)
        self._sent: SentImages = load_sent_images(run / SENT_FILE)
        self.phydnn: ExportedPhyDnn = load_exported_of(run, self._sent, order=order, model=model)
        self._begins = np.concatenate([[0], np.cumsum(self._sent.payload_plan)])

    def score(self, frame: ReceivedFrame) -> FrameScore | None:
        """Return how much of a frame was understood; None where it is none of those sent.

        Args:
            frame: As received; its index must be below the number of frames sent.
        """
        number, plan = frame.frame_index, self._sent.payload_plan
        if number is None or number >= len(plan) or len(frame.points) != plan[number]:
            return None
        begin, end = int(self._begins[number]), int(self._begins[number + 1])
        sent = self._sent.symbols.flatten().numpy()[begin:end]
        wrong = (frame.posteriors.argmax(-1) != sent) & ~frame.erased
        size = self._sent.symbols.shape[1]
        first, last = -(-begin // size), end // size
        if last <= first:
            return FrameScore(symbol_errors=int(wrong.sum()), images=0, images_right=0)
        inside = frame.posteriors[first * size - begin : last * size - begin]
        posteriors = torch.from_numpy(inside).reshape(last - first, size, -1)
        with evaluating(self.phydnn.tail):
            logits = self.phydnn.tail(posteriors)
        right = int((logits.argmax(-1) == self._sent.labels[first:last]).sum())
        return FrameScore(symbol_errors=int(wrong.sum()), images=last - first, images_right=right)
