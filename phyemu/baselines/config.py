"""The settings of a baseline's training, as frozen dataclasses; the file format is TOML."""

from dataclasses import dataclass, field

from phyemu.config_checks import check_counts, check_positive, require
from phyemu.training import DataConfig, LinkConfig, Precision
from phyemu.waveform import FrameFormat

from .system import SystemName

__all__ = ["BottleFitConfig", "DtJsccConfig", "SystemConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BottleFitConfig:
    """The two stages of BottleFit (Matsubara et al., WoWMoM 2022); the defaults are its values.

    Attributes:
        mimic_epochs: Of the first stage, in which head and restorer learn to give what the trained
            network's stages give, >= 1. Adam.
        mimic_learning_rate: There, > 0.
        epochs: Of the second stage, end to end, with labels and the trained network's outputs,
            >= 1. SGD.
        learning_rate: There, > 0.
        momentum: There, in [0, 1).
        weight_decay: There, >= 0.
        decay_ratio: Factor on either learning rate from the middle of its stage on, in (0, 1].
        batch_size: >= 2.
        hard_label_share: Weight of the labels in the second stage, in [0, 1]; the rest is the
            divergence from the trained network.
        temperature: Softness of that divergence, > 0.
    """

    mimic_epochs: int = 10
    mimic_learning_rate: float = 1e-3
    epochs: int = 10
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_ratio: float = 0.1
    batch_size: int = 64
    hard_label_share: float = 0.5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_counts(self, mimic_epochs=1, epochs=1, batch_size=2)
        check_positive(self, "mimic_learning_rate", "learning_rate", "temperature")
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), got {self.momentum}")
        require(self.weight_decay >= 0, f"weight_decay must be >= 0, got {self.weight_decay}")
        require(
            0 < self.decay_ratio <= 1, f"decay_ratio must lie in (0, 1], got {self.decay_ratio}"
        )
        require(
            0 <= self.hard_label_share <= 1,
            f"hard_label_share must lie in [0, 1], got {self.hard_label_share}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DtJsccConfig:
    """The training of DT-JSCC from random weights (Xie et al., JSAC 2023); AdamW.

    The defaults are the values that its authors publish for CIFAR-10, but for the order: 32 is
    the power of two with which the encoder's and the dictionary's weights are the 4.36 M of the
    PhyDNN paper's Table III.

    Attributes:
        maps: D, a multiple of 8; 512 in the paper.
        order: M, embeddings and points of the constellation, >= 2.
        epochs: >= 1.
        batch_size: >= 2.
        learning_rate: > 0.
        halve_epochs: The learning rate halves after every so many epochs, >= 1.
        weight_decay: >= 0.
        largest_gradient: Norm that gradients are cut to, > 0.
        redundancy: lambda, weight of the entropy that the robust information bottleneck adds, >= 0.
        temperature: Of the Gumbel-softmax gradient, > 0.
    """

    maps: int = 512
    order: int = 32
    epochs: int = 320
    batch_size: int = 512
    learning_rate: float = 1e-3
    halve_epochs: int = 80
    weight_decay: float = 1e-4
    largest_gradient: float = 1.0
    redundancy: float = 1e-3
    temperature: float = 0.5

    def __post_init__(self) -> None:
        check_counts(self, order=2, epochs=1, batch_size=2, halve_epochs=1)
        check_positive(self, "learning_rate", "largest_gradient", "temperature")
        for name in ("weight_decay", "redundancy"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemConfig:
    """A whole run of one system.

    Attributes:
        system: Which; None: the one that is asked for by name.
        seed: Every draw comes from it.
        precision: Arithmetic of the forward pass.
        channels_last: Memory layout of images and features.
        checkpoint_interval_s: Longest time between two checkpoints [s], >= 0.
        backbone: Where the trained network comes from, for the record: a file, or a run folder.
        split: SC only: last submodule of the head.
        data: Images.
        bottlefit: BF-1 and BF-2 only.
        dt_jscc: DT-JSCC only.
        link: DT-JSCC only: the air interface in training.
        frame: DT-JSCC only: frames on the air.
    """

    system: SystemName | None = None
    seed: int = 0
    precision: Precision = Precision.FLOAT32
    channels_last: bool = False
    checkpoint_interval_s: float = 60.0
    backbone: str | None = None
    split: str = "layer1"
    data: DataConfig = field(default_factory=DataConfig)
    bottlefit: BottleFitConfig = field(default_factory=BottleFitConfig)
    dt_jscc: DtJsccConfig = field(default_factory=DtJsccConfig)
    link: LinkConfig = field(default_factory=lambda: LinkConfig(channel="awgn:12"))
    frame: FrameFormat = field(default_factory=FrameFormat)

    def __post_init__(self) -> None:
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        require(
            self.checkpoint_interval_s >= 0,
            f"checkpoint_interval_s must be >= 0, got {self.checkpoint_interval_s}",
        )
