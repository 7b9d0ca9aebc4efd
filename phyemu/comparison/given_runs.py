"""Training runs that were made elsewhere: found in folders, recognised by what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phyemu.datasets import Dataset
from phyemu.dnn import Lookup, Score, read_card
from phyemu.errors import ConfigError
from phyemu.toml_config import to_table
from phyemu.training import TrainConfig, read_run_config

from .config import PHYDNN

__all__ = ["GivenRun", "find_given_runs", "is_faithful"]

_DEPTH = 4  # folders of runs below a folder that was named
# What may stand in the way of calling a run the paper's, and what it must then be.
_FAITHFUL = {
    "score": Score.INNER_PRODUCT,
    "lookup": Lookup.HARD,
    "distillation": 0.0,
    "feature_distillation": 0.0,
    "commitment": 0.0,
    "estimator": "gumbel",
    "symbols_per_slice": 1,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenRun:
    """A finished run of `phyemu train`.

    Attributes:
        folder: Run folder.
        system: Of the comparison.
        variant: Named by who gave it, or `paper` where the settings are the paper's, else `best`.
        backbone: As `resnet20`.
        image_shape: (channels, height, width).
        class_names: Of its dataset.
        seed: Of the run.
        orders: M of the PhyDNNs that it holds.
        channel: That it was trained through.
        is_named: Whoever gave it said which variant it is.
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
    is_named: bool

    def fits(self, dataset: Dataset) -> bool:
        """Return whether it was trained on images and classes like these."""
        return self.image_shape == tuple(dataset.image_shape) and self.class_names == tuple(
            dataset.train.class_names
        )


def is_faithful(config: TrainConfig) -> bool:
    """Return whether a run keeps to the paper: inner products, PSK, hard decisions, its losses."""
    settings = to_table(config.phydnn)
    for name, wanted in _FAITHFUL.items():
        value = settings.get(name, wanted)
        if isinstance(value, list):
            value = value[0] if len(set(value)) == 1 else None
        if value != wanted:
            return False
    return config.link.modulation == "psk"


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
            raise ConfigError(f"{folder}: holds no run (config.toml); make one: phyemu train")
        for path in configs:
            heads = sorted((path.parent / "head").glob("m*.safetensors"))
            if not (path.parent / "metrics.json").is_file() or not heads:
                notes.append(f"{path.parent}: is not finished, and was passed over")
                continue
            resolved = path.parent.resolve()
            runs.setdefault(resolved, _read(path.parent, heads, variant if equals else ""))
    return list(runs.values()), notes


def _configs(folder: Path) -> list[Path]:
    found: list[Path] = []
    for depth in range(_DEPTH):
        found += folder.glob("*/" * depth + "config.toml")
    return found


def _read(folder: Path, heads: Sequence[Path], variant: str) -> GivenRun:
    config = read_run_config(folder)
    card = read_card(heads[0])
    depth = card.architecture.get("depth")
    channels, height, width = card.image_shape
    return GivenRun(
        folder=folder,
        system=PHYDNN,
        variant=variant or ("paper" if is_faithful(config) else "best"),
        backbone=f"resnet{depth}" if depth is not None else str(card.architecture.get("name")),
        image_shape=(channels, height, width),
        class_names=tuple(card.class_names),
        seed=config.seed,
        channel=config.link.channel,
        is_named=bool(variant),
        orders=tuple(sorted((int(path.stem[1:]) for path in heads), reverse=True)),
    )
