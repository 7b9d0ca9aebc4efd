"""The settings of a training run, as frozen dataclasses; the file format is `toml_config`."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from phyemu.config_checks import check_positive, require
from phyemu.link import Fidelity
from phyemu.waveform import FrameFormat

from .phydnn_config import PhyDnnConfig

__all__ = [
    "BackboneConfig",
    "DataConfig",
    "LinkConfig",
    "Precision",
    "TrainConfig",
]


class Precision(StrEnum):
    """Arithmetic of the forward pass; weights and losses are float32 in both."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which images.

    Attributes:
        dataset: `digits`, `cifar10:PATH`, `cifar100:PATH` or `image-folder:PATH`.
        validation_fraction: Share of the training images that choices are made on, in (0, 1).
        limit: At most so many images a split; None keeps all.
        augment: Shift (and mirror, but not digits) the training images.
        mean: What is taken from each channel before the network, full scale 1, in [0, 1]; None: the
            mean that the given weights were trained with, where their file says so, else that of
            the training images.
        std: What each channel is divided by then, in (0, 1]; where `mean` is, and None where it is.
    """

    dataset: str = "digits"
    validation_fraction: float = 0.1
    limit: int | None = None
    augment: bool = True
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        mean, std = self.mean, self.std
        if mean is None or std is None:
            require(mean is std, "mean and std belong together; give both, or neither")
            return
        require(
            len(mean) == len(std) > 0,
            f"mean and std have one value for each channel, got {len(mean)} and {len(std)}",
        )
        require(
            all(0 <= value <= 1 for value in mean) and all(0 < value <= 1 for value in std),
            f"mean must lie in [0, 1] and std in (0, 1], got {list(mean)} and {list(std)}; full "
            "scale is 1: divide values for pixels of 0 to 255 by 255",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneConfig:
    """The network without a radio, trained first or fine-tuned from given weights.

    SGD with Nesterov momentum; the learning rate climbs over the first epoch's share
    `warmup_fraction` of all steps and then falls to 0 along a half cosine.

    Attributes:
        model: Network that is not phyemu's: `timm:MODEL` or `package.module:factory`; None: a
            CIFAR residual network.
        options: Of that network: further keyword arguments; None: none.
        depth: Of the CIFAR residual network: 8, 14, 20, 32, 44, 56, 110.
        width: Of the CIFAR residual network: feature maps of the first stage.
        pretrained: File with weights to start from; None: random weights, or what the factory of
            `model` gives. For a CIFAR residual network the file decides depth and width.
        fresh_layers: Submodules of `model` that do not take their weights from `pretrained`, as the
            classifier of other classes.
        epochs: >= 0; 0 takes the given weights as they are.
        batch_size: >= 2.
        learning_rate: Largest learning rate, > 0.
        momentum: In [0, 1).
        weight_decay: >= 0.
        label_smoothing: In [0, 1).
        warmup_fraction: In [0, 1).
        early_stopping: Epochs without a better score on the validation images after which the
            training ends, >= 1; None: it runs to its end.
    """

    model: str | None = None
    options: dict[str, object] | None = None
    depth: int = 20
    width: int = 16
    pretrained: str | None = None
    fresh_layers: tuple[str, ...] = ()
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup_fraction: float = 0.1
    early_stopping: int | None = None

    def __post_init__(self) -> None:
        require(self.epochs >= 0, f"backbone epochs must be >= 0, got {self.epochs}")
        require(
            self.epochs > 0 or self.pretrained is not None or self.model is not None,
            "backbone epochs = 0 needs pretrained weights: --pretrained FILE",
        )
        require(
            self.model is not None or not (self.options or self.fresh_layers),
            "backbone options and fresh_layers are of a model; name it: model = ...",
        )
        require(
            self.pretrained is not None or not self.fresh_layers,
            "fresh_layers are those that pretrained weights are not taken for; give pretrained",
        )
        require(self.batch_size >= 2, f"batch_size must be at least 2, got {self.batch_size}")
        check_positive(self, "learning_rate")
        for name in ("momentum", "label_smoothing", "warmup_fraction"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{name} must lie in [0, 1), got {value}")
        require(self.weight_decay >= 0, f"weight_decay must be >= 0, got {self.weight_decay}")
        require(
            self.early_stopping is None or self.early_stopping >= 1,
            f"early_stopping must be at least 1, got {self.early_stopping}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkConfig:
    """The air interface in training.

    Attributes:
        channel: Spec or file, as `phyemu.colosseum.load_channel_or_link` reads it; of several hops
            (`phydnn.splits`) one for all of them, or `A//B`, one for each.
        fidelity: `symbol` or `waveform`.
        modulation: `psk` (the paper's), `qam`, or `learned`: points that begin as one of these and
            are trained with the rest, at the rate of the embeddings and under the same peak power.
    """

    channel: str
    fidelity: Fidelity = Fidelity.SYMBOL
    modulation: Literal["psk", "qam", "learned"] = "psk"

    def __post_init__(self) -> None:
        require(
            self.modulation in ("psk", "qam", "learned"),
            f"modulation must be psk, qam or learned, got {self.modulation!r}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """A whole run.

    Attributes:
        seed: Every draw comes from it.
        precision: Arithmetic of the forward pass.
        shards: Parts of each batch that are computed apart, >= 1, by one process or side by side by
            several (torchrun): each with draws and batch statistics of its own.
        compile: Compile head and tail (`torch.compile`, needs a C++ compiler): minutes at the
            start for faster steps.
        channels_last: Memory layout of images and features; often faster on GPUs with bfloat16.
        checkpoint_interval_s: Longest time between two checkpoints [s], >= 0.
        data: Images.
        backbone: Network without radio.
        phydnn: Algorithm 1.
        link: Air interface.
        frame: Frames on the air.
    """

    seed: int = 0
    precision: Precision = Precision.FLOAT32
    channels_last: bool = False
    shards: int = 1
    compile: bool = False
    checkpoint_interval_s: float = 60.0
    data: DataConfig = field(default_factory=DataConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    phydnn: PhyDnnConfig = field(default_factory=PhyDnnConfig)
    link: LinkConfig
    frame: FrameFormat = field(default_factory=FrameFormat)

    def __post_init__(self) -> None:
        require(
            not (self.phydnn.splits and self.link.modulation == "learned"),
            "a learned modulation is of a single split; take psk or qam with splits",
        )
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        require(self.shards >= 1, f"shards must be at least 1, got {self.shards}")
        for name, size in (
            ("backbone", self.backbone.batch_size),
            ("phydnn", self.phydnn.batch_size),
        ):
            require(
                size >= 2 * self.shards,
                f"{name}.batch_size {size} leaves less than two images for each of "
                f"{self.shards} shards",
            )
        require(
            not (self.compile and self.phydnn.feature_layers),
            "a compiled tail shows no outputs of its layers; give compile = false, or no "
            "feature_layers",
        )
        require(
            self.checkpoint_interval_s >= 0,
            f"checkpoint_interval_s must be >= 0, got {self.checkpoint_interval_s}",
        )
