"""The settings of a comparison, as frozen dataclasses; the file format is `toml_config`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phyemu.baselines import SystemName
from phyemu.config_checks import require
from phyemu.dnn import Lookup
from phyemu.evaluation import EvaluationFidelity
from phyemu.fullstack import Engine, Protocol
from phyemu.training import Preset

from .exhibit import Exhibit

__all__ = [
    "FULL_STACK_SYSTEMS",
    "PHYDNN",
    "SYSTEMS",
    "WHOLE_SYSTEMS",
    "AccuracyConfig",
    "ComparisonConfig",
    "CostConfig",
    "UrbanConfig",
]

PHYDNN = str(SystemName.PHYDNN)
FULL_STACK_SYSTEMS = ("SC", "BF-1", "BF-2")
"""Those that the paper compares with; edge-only sends its images through the same stack."""

SYSTEMS = tuple(str(name) for name in SystemName)
WHOLE_SYSTEMS = (SystemName.SPLIT_COMPUTING, SystemName.EDGE_ONLY, SystemName.DEVICE_ONLY)
"""Those that run the trained network as it is."""

_SYSTEMS_WITH_TABLES = tuple(
    name for name in SYSTEMS if name not in (SystemName.EDGE_ONLY, SystemName.DEVICE_ONLY)
)


def _among(name: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    for value in values:
        require(value in allowed, f"{name}: {value!r} is none of {', '.join(allowed)}")
    require(len(set(values)) == len(values), f"{name}: {', '.join(values)} names one twice")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyConfig:
    """How test images are sent and scored.

    Attributes:
        fidelity: Of the emulated worlds and Colosseum's twin: `frames` (frames to the stream
            receiver), `waveform` or `symbol`. AWGN, the paper's simulation, is always `symbol`,
            which is y = x + n.
        lookup: None: as each PhyDNN was trained; `hard` or `soft` for all.
        repetitions: Passes over the test images in worlds and twin, each by new channels, >= 1.
        limit: At most so many test images; None: all.
    """

    fidelity: EvaluationFidelity = EvaluationFidelity.FRAMES
    lookup: Lookup | None = None
    repetitions: int = 1
    limit: int | None = None

    def __post_init__(self) -> None:
        require(self.repetitions >= 1, f"repetitions must be >= 1, got {self.repetitions}")
        require(self.limit is None or self.limit >= 1, f"limit must be >= 1, got {self.limit}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CostConfig:
    """How latency, bytes and energy of a batch are found.

    Attributes:
        batch: Images sent together; 64 in the paper.
        device_profile: Of the mobile device, a shipped name or a file: its head is modelled; None
            or `this-machine`: this machine, measured. The tail, the edge server's, is measured on
            this machine.
        protocols: Transport of the full-stack systems: `tcp` (the paper's), `udp`.
        engine: Of the full stack: `model`, phyemu's own event model, or `ns-3`.
        order: M of PhyDNN; the paper's 16 KB are M = 4. That of DT-JSCC is `jscc_order`.
        links: Transfers through draws of the channel, >= 1; those that deliver everything are
            averaged.
    """

    batch: int = 64
    device_profile: str | None = None
    protocols: tuple[Protocol, ...] = (Protocol.TCP, Protocol.UDP)
    engine: Engine = Engine.MODEL
    order: int = 4
    links: int = 8

    def __post_init__(self) -> None:
        require(self.batch >= 1, f"batch must be >= 1, got {self.batch}")
        require(self.order >= 2, f"order must be >= 2, got {self.order}")
        require(self.links >= 1, f"links must be >= 1, got {self.links}")
        _among("protocols", self.protocols, tuple(Protocol))


@dataclass(frozen=True, kw_only=True, slots=True)
class UrbanConfig:
    """Colosseum's urban scenario, of which the paper states the path loss alone.

    Attributes:
        line_of_sight: Column of 3GPP TR 38.901's UMi street canyon.
        transmit_power_dbm: Of the radio [dBm].
        noise_figure_db: Of the receiver [dB].
        duration_s: Length of the scenario [s].
    """

    line_of_sight: bool = True
    transmit_power_dbm: float = 0.0
    noise_figure_db: float = 8.0
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        for name in ("transmit_power_dbm", "noise_figure_db"):
            value = getattr(self, name)
            require(math.isfinite(value), f"{name} must be finite, got {value}")
        require(
            0 < self.duration_s <= 600, f"duration_s must be in (0, 600], got {self.duration_s}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonConfig:
    """A whole comparison.

    Attributes:
        exhibits: Tables and figures to make.
        datasets: Spec by name, as `cifar-10 = "cifar10:PATH"`; the first one is that of Tables I
            and III and Figs. 6 to 9 and 11.
        backbones: As `resnet20`; Table III and Fig. 11 take `jscc_backbone`.
        jscc_backbone: ResNet-56 in the paper.
        jscc_order: M of DT-JSCC, whose weights are the 4.36 M of Table III at 32.
        systems: Which rows.
        variants: Trainings of the PhyDNN: `paper`, `best`, or others with a table in `training`.
        orders: M of each PhyDNN, falling.
        seeds: Of trainings and channels; mean and spread are over them.
        training_channel: What PhyDNNs and DT-JSCC are trained through.
        snrs_db: Of Fig. 10 [dB].
        sweep_orders: M of the curves of Fig. 10, of which the paper names none.
        accuracy: How test images are sent.
        cost: How latency, bytes and energy are found.
        urban: Colosseum's scenario.
        runs: Folders with runs made elsewhere, each a run or a folder of runs, `VARIANT=FOLDER`
            where a PhyDNN's settings do not say which variant it is.
        train_missing: Make the runs that are missing; False: leave out their cells.
        pretrained: Weights by backbone (`resnet20`) or by dataset and backbone
            (`cifar-100/resnet20`), to start from.
        training: Tables over the settings of trainings, by variant or system, as
            `[training.best.phydnn]`; `[training.all]` goes before them. `[training.SC]` takes
            `split` alone; edge-only and device-only have no table.
    """

    exhibits: tuple[Exhibit, ...] = tuple(Exhibit)
    datasets: dict[str, str]
    backbones: tuple[str, ...] = ("resnet20", "resnet56", "resnet110")
    jscc_backbone: str = "resnet56"
    jscc_order: int = 32
    systems: tuple[str, ...] = SYSTEMS
    variants: tuple[str, ...] = ("paper", "best")
    orders: tuple[int, ...] = (16, 8, 4)
    seeds: tuple[int, ...] = (0, 1, 2)
    training_channel: str = "awgn:12"
    snrs_db: tuple[float, ...] = (4, 6, 8, 10, 12, 14, 16, 18, 20)
    sweep_orders: tuple[int, ...] = (16,)
    accuracy: AccuracyConfig = field(default_factory=AccuracyConfig)
    cost: CostConfig = field(default_factory=CostConfig)
    urban: UrbanConfig = field(default_factory=UrbanConfig)
    runs: tuple[str, ...] = ()
    train_missing: bool = True
    pretrained: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("exhibits", "datasets", "backbones", "systems", "variants", "orders", "seeds"):
            require(bool(getattr(self, name)), f"{name}: name at least one")
        _among("systems", self.systems, SYSTEMS)
        _among("exhibits", self.exhibits, tuple(Exhibit))
        for name in ("backbones", "variants"):
            values = getattr(self, name)
            require(len(set(values)) == len(values), f"{name}: {', '.join(values)} has one twice")
        require(
            min(self.seeds) >= 0 and len(set(self.seeds)) == len(self.seeds),
            f"seeds must be different and >= 0, got {self.seeds}",
        )
        falling = all(a > b for a, b in zip(self.orders, self.orders[1:], strict=False))
        require(falling and self.orders[-1] >= 2, f"orders must fall to >= 2, got {self.orders}")
        require(
            self.cost.order in self.orders,
            f"cost.order must be one of orders {self.orders}, got {self.cost.order}",
        )
        require(
            set(self.sweep_orders) <= set(self.orders),
            f"sweep_orders {self.sweep_orders} must be among orders {self.orders}",
        )
        require(self.jscc_order >= 2, f"jscc_order must be >= 2, got {self.jscc_order}")
        for snr_db in self.snrs_db:
            require(math.isfinite(snr_db), f"snrs_db must be finite, got {snr_db}")
        for name in self.variants:
            require(
                name in list(Preset) or name in self.training,
                f"variant {name!r} is none of {', '.join(Preset)}, and training.{name} is no table",
            )
        allowed = ("all", *self.variants, *_SYSTEMS_WITH_TABLES)
        for name, table in self.training.items():
            _among("training", (name,), allowed)
            require(isinstance(table, Mapping), f"training.{name} must be a table, got {table!r}")
        unused = sorted(set(self.training.get(SystemName.SPLIT_COMPUTING, {})) - {"split"})
        require(
            not unused,
            f"training.SC: SC is not trained and takes split alone, got {', '.join(unused)}",
        )

    @property
    def main_dataset(self) -> str:
        """Return the dataset of Table I."""
        return next(iter(self.datasets))
