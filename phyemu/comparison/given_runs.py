"""Training runs that were made elsewhere: found in folders, recognised by what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phyemu.baselines import SystemName, read_system_config
from phyemu.datasets import Dataset
from phyemu.dnn import read_card
from phyemu.errors import ConfigError
from phyemu.run_files import CONFIG_NAME, METRICS_NAME, WEIGHTS_NAME
from phyemu.toml_config import read_toml
from phyemu.training import PhyDnnConfig, TrainConfig, read_checkpoint, read_run_config

from .config import PHYDNN, WHOLE_SYSTEMS

__all__ = ["GivenRun", "find_given_runs", "has_settings_of"]

_DEPTH = 4  # folders of runs below a folder that was named
# What makes a PhyDNN what it is, beside the symbols of a slice; rates and schedules do not.
_METHOD = (
    "split",
    "splits",
    "slice_size",
    "codebooks",
    "removal",
    "num_samples",
    "beta",
    "beta_growth",
    "binding",
    "binding_share",
    "distillation",
    "distillation_temperature",
    "feature_distillation",
    "feature_layers",
    "commitment",
    "score",
    "estimator",
    "temperature",
    "final_temperature",
    "lookup",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenRun:
    """A finished run of `phyemu train` or `phyemu train-baseline`.

    Attributes:
        folder: Run folder.
        system: Of the comparison.
        variant: Of a PhyDNN, where whoever gave it named one; else empty.
        backbone: As `resnet20`; empty: it has none.
        image_shape: (channels, height, width).
        class_names: Of its dataset.
        seed: Of the run.
        orders: M of what it holds; empty: it sends no symbols.
        channel: That it was trained through.
        training: Settings of a PhyDNN's; None: of another system.
    """

    folder: Path
    system: str
    variant: str
    backbone: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    seed: int
    orders: tuple[int, ...]
    channel: str
    training: TrainConfig | None = None

    def fits(self, dataset: Dataset) -> bool:
        """Return whether it was trained on images and classes like these."""
        return self.image_shape == tuple(dataset.image_shape) and self.class_names == tuple(
            dataset.train.class_names
        )

    def variant_among(self, presets: Mapping[str, TrainConfig]) -> str:
        """Return the variant of a PhyDNN: as its giver named it, or whose settings it has.

        Args:
            presets: Settings by variant; the first that fit.

        Returns:
            The name; empty: it is none of them, or no PhyDNN.
        """
        if self.variant or self.training is None:
            return self.variant
        for name, settings in presets.items():
            if has_settings_of(self.training, settings):
                return name
        return ""


def has_settings_of(config: TrainConfig, preset: TrainConfig) -> bool:
    """Return whether a run keeps to a preset: method, cut, losses, modulation, number of images.

    Schedules and learning rates are not compared, as the paper does not say all of them.
    """
    wanted, found = _slice_symbols(preset.phydnn), _slice_symbols(config.phydnn)
    one = set(wanted.values()) == {1}  # then at every order
    return (
        all(getattr(config.phydnn, name) == getattr(preset.phydnn, name) for name in _METHOD)
        and all(found[order] == wanted.get(order, 1 if one else found[order]) for order in found)
        and config.data.limit == preset.data.limit
        and config.link.modulation == preset.link.modulation
        and config.link.fidelity == preset.link.fidelity
    )


def _slice_symbols(phydnn: PhyDnnConfig) -> dict[int, int]:
    """Return the symbols of a slice by order."""
    return {order: phydnn.slice_symbols(stage) for stage, order in enumerate(phydnn.orders)}


def find_given_runs(specs: Sequence[str]) -> tuple[list[GivenRun], list[str]]:
    """Return the finished runs of each spec, and a line on each folder that was passed over.

    Args:
        specs: `FOLDER` or `VARIANT=FOLDER`; a run, or a folder that holds runs.

    Raises:
        ConfigError: A folder is missing or holds no run, or one is damaged.
    """
    runs: dict[Path, GivenRun] = {}
    notes = []
    for spec in specs:
        variant, equals, text = spec.partition("=")
        folder = Path(text if equals else spec).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"{spec}: no such folder; write FOLDER or VARIANT=FOLDER")
        configs = sorted(_configs(folder))
        if not configs:
            raise ConfigError(f"{folder}: holds no run ({CONFIG_NAME}); make one: phyemu train")
        for path in configs:
            run = path.parent
            system = read_toml(path).get("system", PHYDNN)
            if not (run / METRICS_NAME).is_file():
                notes.append(f"{run}: is not finished, and was passed over")
            elif system in WHOLE_SYSTEMS:
                notes.append(f"{run}: was passed over; {system} is made from a PhyDNN's network")
            elif system == PHYDNN:
                runs.setdefault(run.resolve(), _phydnn(run, variant if equals else ""))
            else:
                runs.setdefault(run.resolve(), _baseline(run))
    return list(runs.values()), notes


def _configs(folder: Path) -> list[Path]:
    found: list[Path] = []
    for depth in range(_DEPTH):
        found += folder.glob("*/" * depth + CONFIG_NAME)
    return found


def _phydnn(folder: Path, variant: str) -> GivenRun:
    config = read_run_config(folder)
    orders = _orders(folder)
    card = read_card(folder / "head" / f"m{orders[0]}.safetensors")
    channels, height, width = card.image_shape
    return GivenRun(
        folder=folder,
        system=PHYDNN,
        variant=variant,
        backbone=_backbone(card.architecture),
        image_shape=(channels, height, width),
        class_names=tuple(card.class_names),
        seed=config.seed,
        channel=config.link.channel,
        training=config,
        orders=orders,
    )


def _baseline(folder: Path) -> GivenRun:
    """Return a run of `phyemu train-baseline` that has weights of its own."""
    config = read_system_config(folder)
    orders: tuple[int, ...] = ()
    if config.system is SystemName.DT_JSCC:
        orders = _orders(folder)
        card = read_card(folder / "head" / f"m{orders[0]}.safetensors")
        shape, class_names, backbone = card.image_shape, card.class_names, ""
    else:
        _, record = read_checkpoint(folder / WEIGHTS_NAME)
        shape, class_names = record["image_shape"], record["class_names"]
        backbone = _backbone(record["architecture"])
    channels, height, width = shape
    return GivenRun(
        folder=folder,
        system=str(config.system),
        variant="",
        backbone=backbone,
        image_shape=(channels, height, width),
        class_names=tuple(class_names),
        seed=config.seed,
        channel=config.link.channel,
        orders=orders,
    )


def _orders(folder: Path) -> tuple[int, ...]:
    """Return M of what a run exported, falling.

    Raises:
        ConfigError: It exported nothing.
    """
    names = [path.stem[1:] for path in (folder / "head").glob("m*.safetensors")]
    orders = sorted((int(name) for name in names if name.isdecimal()), reverse=True)
    if not orders:
        raise ConfigError(f"{folder}: holds no exported head (head/m*.safetensors)")
    return tuple(orders)


def _backbone(architecture: Mapping[str, Any]) -> str:
    depth = architecture.get("depth")
    return str(architecture.get("name")) if depth is None else f"resnet{depth}"
