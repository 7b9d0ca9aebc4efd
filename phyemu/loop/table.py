"""The loop's result: one row for each PhyDNN and each channel it was sent through."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LoopResult", "LoopRow"]

_NAMES = {"world": "world", "fitted": "fitted", "awgn": "AWGN"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopRow:
    """One PhyDNN over one channel, every frame received from a recording.

    Attributes:
        trained_on: "awgn" or "fitted".
        tested_on: "world", "fitted" or "awgn".
        accuracy: On the test images, in percent.
        ser: Share of the symbols received wrongly.
        frames_sent: Frames on the air.
        frames_lost: Frames of which nothing was received.
        bytes_on_air_per_batch_of_64: Payload and overhead of 64 images.
        snr_db: Mean over the frames, as the receiver estimated it [dB].
    """

    trained_on: str
    tested_on: str
    accuracy: float
    ser: float
    frames_sent: int
    frames_lost: int
    bytes_on_air_per_batch_of_64: float
    snr_db: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopResult:
    """What `phyemu loop` prints.

    Attributes:
        run: The run folder.
        place: The emulated world, or the captures.
        backbone_accuracy: Of the network without radio on the test images, in percent.
        phydnn: The rows.
        warnings: What the fit could not support, in words.
    """

    run: str
    place: str
    backbone_accuracy: float
    phydnn: tuple[LoopRow, ...]
    warnings: tuple[str, ...] = ()

    def row(self, trained_on: str, tested_on: str) -> LoopRow:
        """Return the row of a PhyDNN over a channel."""
        for row in self.phydnn:
            if (row.trained_on, row.tested_on) == (trained_on, tested_on):
                return row
        raise KeyError(f"{trained_on} over {tested_on}")

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LoopResult":
        """Return what `to_dict` described."""
        rows = tuple(LoopRow(**row) for row in values["phydnn"])
        return cls(**{**values, "phydnn": rows, "warnings": tuple(values["warnings"])})

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings of `cells`."""
        return (
            "trained on",
            "sent through",
            "accuracy",
            "SER",
            "SNR",
            "frames",
            "lost",
            "bytes/64",
        )

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text, the backbone first."""
        top = ("backbone", "no radio", f"{self.backbone_accuracy:.1f} %", *["-"] * 5)
        return [top] + [
            (
                _NAMES[row.trained_on],
                _NAMES[row.tested_on],
                f"{row.accuracy:.1f} %",
                f"{row.ser:.3f}",
                f"{row.snr_db:.1f} dB",
                str(row.frames_sent),
                str(row.frames_lost),
                f"{row.bytes_on_air_per_batch_of_64:.0f}",
            )
            for row in self.phydnn
        ]

    def finding(self) -> str:
        """Return what the rows say, in a sentence."""
        ours, paper = self.row("fitted", "world"), self.row("awgn", "world")
        predicted = self.row("fitted", "fitted").accuracy
        return (
            f"Sent through {self.place}, the PhyDNN trained through the fitted channel is right on "
            f"{ours.accuracy:.1f} % of the test images, the one trained with white noise on "
            f"{paper.accuracy:.1f} %. The fitted channel predicted {predicted:.1f} %."
        )
