"""Classes of the images that frames bring, as they come; scored where it is known what was sent."""

from typing import Protocol

from phyemu.dnn import Part
from phyemu.evaluation import (
    ImagePrediction,
    ImageStream,
    SentImages,
    StreamScore,
    TailSide,
)
from phyemu.evaluation.image_stream import classify
from phyemu.receiver import ReceivedFrame

from .framing import GAP_SAMPLES
from .image_assembly import ArrivedImages, ImageAssembly
from .sent_record import SentRecord

__all__ = ["ImageHearing", "ReceivedImages", "hearing"]


class ImageHearing(Protocol):
    """Takes frames in order, and tells of the images that each one completes."""

    score: StreamScore

    def hear(self, frame: ReceivedFrame) -> list[ImagePrediction]:
        """Return the images that a frame completes, in order."""

    def finish(self) -> list[ImagePrediction]:
        """Return the images that no further frame can complete: none comes."""


def hearing(tail: TailSide, sent: SentImages | SentRecord | None) -> ImageHearing:
    """Return what makes images of the frames.

    Args:
        tail: What classifies.
        sent: What is sent again and again, where that is known: images are scored, and lie across
            frames; otherwise frames are those of `ImageFraming`, and scored by a record.

    Raises:
        CheckpointError: What is sent is of another PhyDNN.
    """
    if sent is None or isinstance(sent, SentRecord):
        return ReceivedImages(tail, sent)
    return ImageStream(tail, sent, gap_samples=GAP_SAMPLES)


class ReceivedImages:
    """Classifies what an `ImageAssembly` puts together.

    Attributes:
        score: Counts so far.
        assembly: Puts the images together, and knows who sends them.
    """

    def __init__(self, tail: TailSide, record: SentRecord | None = None) -> None:
        """Begin with nothing heard.

        Args:
            tail: What classifies.
            record: What was sent, to score what arrives; images that are lost count as wrong.
        """
        self.score = StreamScore()
        self.assembly = ImageAssembly(
            tail,
            self.score,
            listener=Part.TAIL,
            needs_introduction=tail.card.hop is not None,
        )
        self._record = record
        self._tail = tail

    def hear(self, frame: ReceivedFrame) -> list[ImagePrediction]:
        """Return the images that a frame completes, in order."""
        return self._told(self.assembly.hear(frame))

    def finish(self) -> list[ImagePrediction]:
        """Return the image whose last frames never came, if there is one."""
        return self._told(self.assembly.finish())

    def _told(self, arrived: list[ArrivedImages]) -> list[ImagePrediction]:
        return [told for images in arrived for told in self._classified(images)]

    def _classified(self, images: ArrivedImages) -> list[ImagePrediction]:
        if images.restarted and self._record is not None:
            self._record.rewind()
        classes, scores = classify(self._tail, images.posteriors, self.score)
        told = []
        for row in range(len(images.posteriors)):
            sent = None if self._record is None else self._record.find(images.frame, row)
            told.append(
                ImagePrediction(
                    index=None if sent is None else sent.index,
                    label=None if sent is None else sent.label,
                    prediction=int(classes[row]),
                    score=float(scores[row]),
                    frame=images.frame,
                    sample_start=images.sample_start,
                    received_symbols=int(images.received[row].sum()),
                    symbol_errors=None,
                    position=row,
                )
            )
        self.score.images_right += sum(
            item.label is not None and item.label == item.prediction for item in told
        )
        return told
