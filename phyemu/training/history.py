"""What happened in training, epoch by epoch, and its copy for TensorBoard."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["EpochRecord", "TensorBoardLog"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One epoch.

    Attributes:
        task: `backbone` or `phydnn`.
        epoch: From 1.
        step: Optimiser steps done at its end.
        order: M; None for the backbone.
        losses: Mean of each loss term over the epoch, `total` among them.
        settings: What the schedule had reached: learning rates, beta.
        validation_loss: Mean cross-entropy on the validation images [nat].
        validation_accuracy: In percent.
        validation_ser: Symbol error rate on the link in training; None for the backbone.
    """

    task: str
    epoch: int
    step: int
    order: int | None
    losses: Mapping[str, float]
    settings: Mapping[str, float]
    validation_loss: float
    validation_accuracy: float
    validation_ser: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "EpochRecord":
        """Return the record that `to_dict` described."""
        return cls(**values)


class TensorBoardLog:
    """Writes epochs as TensorBoard curves; with no folder, writes nothing."""

    def __init__(self, folder: Path | None, *, task: str, step: int) -> None:
        self._task = task
        self._writer: Any = None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            # What an interrupted run logged beyond its checkpoint is hidden.
            self._writer = SummaryWriter(str(folder / task), purge_step=step)

    def epoch(self, record: EpochRecord) -> None:
        """Add the epoch to the curves."""
        if self._writer is None:
            return
        curves = {
            **{f"{self._task}/loss/{name}": value for name, value in record.losses.items()},
            **{f"{self._task}/{name}": value for name, value in record.settings.items()},
            f"{self._task}/validation/loss": record.validation_loss,
            f"{self._task}/validation/accuracy": record.validation_accuracy,
        }
        if record.validation_ser is not None:
            curves[f"{self._task}/validation/ser"] = record.validation_ser
        if record.order is not None:
            curves[f"{self._task}/order"] = record.order
        for name, value in curves.items():
            self._writer.add_scalar(name, value, record.step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
