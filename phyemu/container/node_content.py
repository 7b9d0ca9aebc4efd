"""What a node transmits or receives with: exports of a PhyDNN, waveforms, settings."""

from dataclasses import dataclass
from pathlib import Path

from phyemu.errors import ConfigError
from phyemu.node import load_radio_conf

from .addition import Addition
from .node_files import CONTENT, content_additions

__all__ = ["NodeContent"]

_PHYDNN = f"{CONTENT}/phydnn"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContent:
    """What a node transmits or receives with.

    Attributes:
        head: Run whose head, card and test images go into the image: it can transmit.
        tail: Run whose tail, card and sent symbols go into it: it can receive and score.
        order: M, where a run holds several; None: the smallest.
        max_images: At most so many test images; None: as many as the run was limited to.
        paths: Files and folders for /root/phyemu.
        radio_conf: Settings for a node that gets none from a batch job.
    """

    head: Path | None = None
    tail: Path | None = None
    order: int | None = None
    max_images: int | None = None
    paths: tuple[Path, ...] = ()
    radio_conf: Path | None = None

    def __post_init__(self) -> None:
        if self.head is None and self.tail is None:
            for name in ("order", "max_images"):
                if getattr(self, name) is not None:
                    raise ConfigError(f"{name} is for a head or a tail, and there is none")

    def additions(self, scratch: Path) -> list[Addition]:
        """Return all of it; what has to be made is made in `scratch`.

        Raises:
            PhyemuError: A run holds no such export, or a file is none.
        """
        if self.radio_conf is not None:
            load_radio_conf(self.radio_conf)
        if self.head is not None:
            from phyemu.node.content import write_head_content  # torch, for these two alone

            write_head_content(self.head, scratch, order=self.order, max_images=self.max_images)
        if self.tail is not None:
            from phyemu.node.content import write_tail_content

            write_tail_content(self.tail, scratch, order=self.order, max_images=self.max_images)
        made = list(content_additions(scratch, landing=_PHYDNN))
        return [*made, *(item for path in self.paths for item in content_additions(path))]
