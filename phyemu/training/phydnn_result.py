"""What a training of PhyDNNs comes to."""

from dataclasses import dataclass

from phyemu.dnn import PhyDnn
from phyemu.waveform import Constellation

from .history import EpochRecord

__all__ = ["PhyDnnResult", "TrainedPhyDnn"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class TrainedPhyDnn:
    """The best epoch of one stage.

    Attributes:
        phydnn: With the weights of that epoch, in evaluation mode.
        constellation: Point m is sent for symbol m.
        validation_accuracy: Of these very weights through the link in training, in percent.
        epoch: From 1, counted over all stages.
    """

    phydnn: PhyDnn
    constellation: Constellation
    validation_accuracy: float
    epoch: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PhyDnnResult:
    """A PhyDNN of each order.

    Attributes:
        stages: By order M, in the order of training.
        history: Every epoch.
    """

    stages: dict[int, TrainedPhyDnn]
    history: tuple[EpochRecord, ...]

    @property
    def last(self) -> TrainedPhyDnn:
        """The PhyDNN of the last stage, the most compressed one."""
        return self.stages[min(self.stages)]
