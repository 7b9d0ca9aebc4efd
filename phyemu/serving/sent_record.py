"""The record of the images that were sent: a line of JSON each, by which a tail is scored."""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phyemu.errors import DatasetError

__all__ = ["SentImage", "SentRecord", "load_sent_record"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SentImage:
    """Where an image is found by whoever receives it.

    Attributes:
        name: Of the image.
        frame: Number of the frame that ends it, as the header says.
        position: Which of the images in that frame it is.
        index: Its place among the test images of its data set; None: it is of none.
        label: Its class; None where that is not known.
    """

    name: str
    frame: int
    position: int
    index: int | None = None
    label: int | None = None

    def line(self) -> str:
        """Return it as a line of a record, without its end."""
        return json.dumps(asdict(self))


class SentRecord:
    """What was sent, in order, for whoever scores what arrives of it."""

    def __init__(self, images: Iterable[SentImage]) -> None:
        """Begin with the first image.

        Args:
            images: In the order in which they were sent.
        """
        self._images = tuple(images)
        self._next = 0
        self._rows: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row, image in enumerate(self._images):
            self._rows[image.frame, image.position].append(row)

    def rewind(self) -> None:
        """Begin with the first image again: the sender has."""
        self._next = 0

    def find(self, frame: int, position: int) -> SentImage | None:
        """Return the next image that was sent there, behind the last one that was found.

        Numbers of frames come again; behind the last image the first one follows.

        Args:
            frame: Number of the frame, as the header says.
            position: Which of the images in that frame it is.
        """
        rows = self._rows.get((frame, position))
        if not rows:
            return None
        row = rows[bisect_left(rows, self._next) % len(rows)]
        self._next = row + 1
        return self._images[row]


def load_sent_record(path: Path, *, needs_classes: bool = True) -> SentRecord:
    """Return the record that a head or a relay wrote; its lines on standard output are one, too.

    Args:
        path: The file.
        needs_classes: Whether one that tells no class of any image is refused: by names alone
            nothing is scored.

    Raises:
        DatasetError: It cannot be read, is no such record, or tells no classes.
    """
    images: list[SentImage] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                image = _parsed(line, f"{path}, line {number}")
                if image is not None:
                    images.append(image)
    except (OSError, UnicodeDecodeError) as exc:
        raise DatasetError(f"{path}: cannot be read ({exc})") from exc
    if not images:
        raise DatasetError(f"{path}: names no image; give the record of phyemu run head")
    if needs_classes and all(image.label is None for image in images):
        raise DatasetError(
            f"{path}: tells no classes, as images of a folder have none; send a data set to score "
            "what arrives (phyemu run head --images SPEC), and give each relay its record (--sent)"
        )
    return SentRecord(images)


def _parsed(line: str, where: str) -> SentImage | None:
    """Return the image of a line; None: it is the summary."""
    try:
        values: Any = json.loads(line)
        if isinstance(values, dict) and "summary" in values:
            return None
        image = SentImage(**values)
        numbers = (image.frame, image.position, image.index or 0, image.label or 0)
        if all(isinstance(number, int) for number in numbers):
            return image
    except (ValueError, TypeError, RecursionError) as exc:
        raise DatasetError(f"{where}: no image that phyemu run head sent ({exc})") from exc
    raise DatasetError(f"{where}: no image that phyemu run head sent")
