"""How long the run behind a cell trained, beside what its preset plans."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from phyemu.baselines import SystemName, read_system_config
from phyemu.errors import ConfigError, PhyemuError
from phyemu.training import Preset, read_run_config

from .cell import CellKey
from .config import PHYDNN, WHOLE_SYSTEMS, ComparisonConfig
from .trainings import HISTORY_NAME, baseline_settings, training_settings

__all__ = ["TrainingRecord", "record_of_run"]

# Told by the epochs, by the rows of a table, or compared where a run is recognised.
_NO_DEPARTURES = ("orders", "order", "epochs", "mimic_epochs", "symbols_per_slice", "split")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecord:
    """How long a run trained.

    Attributes:
        stages: (name, epochs done, epochs that the preset plans), one each.
        weights_given: Of a network: it began with weights of elsewhere.
        departures: Settings that are not the preset's: (the run's, the preset's) by name.
    """

    stages: tuple[tuple[str, int, int], ...]
    weights_given: bool = False
    departures: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values, for the provenance of a cell."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "TrainingRecord":
        """Return the record that `to_dict` described.

        Raises:
            ConfigError: It is none.
        """
        try:
            return cls(
                stages=tuple((str(n), int(done), int(plan)) for n, done, plan in table["stages"]),
                weights_given=bool(table["weights_given"]),
                departures={
                    str(name): (own, planned)
                    for name, (own, planned) in table["departures"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ConfigError(f"training: is no record of a training ({exc!r})") from exc


def record_of_run(run: Path, key: CellKey, config: ComparisonConfig) -> TrainingRecord | None:
    """Return how long the run behind a cell trained; None where its folder does not tell.

    Args:
        run: Its folder.
        key: The cell.
        config: Of the comparison. What its `[training]` changes of a preset is no plan of that.
    """
    done = _epochs_done(run)
    if done is None:
        return None
    variants = set(config.variants) - set(Preset)
    plain = replace(config, training={n: t for n, t in config.training.items() if n in variants})
    try:
        if key.system in WHOLE_SYSTEMS:
            return _of_network(run, key, plain, done)
        if key.system == PHYDNN:
            return _of_phydnn(run, key, plain, done)
        return _of_baseline(run, key, plain, done)
    except PhyemuError:
        return None  # settings of another version


def _epochs_done(run: Path) -> Counter[tuple[str, int | None]] | None:
    """Return the epochs by task and order that a run tells of; None: it tells of none."""
    try:
        records = json.loads((run / HISTORY_NAME).read_text("utf-8"))["epochs"]
        return Counter((str(record["task"]), record["order"]) for record in records)
    except (OSError, ValueError, KeyError, TypeError):
        return None


_Done = Counter[tuple[str, int | None]]


def _of_network(run: Path, key: CellKey, config: ComparisonConfig, done: _Done) -> TrainingRecord:
    preset = _plan(key, config, "").backbone
    own = read_run_config(run).backbone
    return TrainingRecord(
        stages=(("network", done["backbone", None], preset.epochs),),
        weights_given=own.pretrained is not None,
    )


def _of_phydnn(run: Path, key: CellKey, config: ComparisonConfig, done: _Done) -> TrainingRecord:
    own, preset = read_run_config(run).phydnn, _plan(key, config, PHYDNN).phydnn
    plan = dict(zip(preset.orders, preset.epochs, strict=True))
    return TrainingRecord(
        stages=tuple(
            (f"M = {order}", done["phydnn", order], plan.get(order, preset.epochs[-1]))
            for order in own.orders
        ),
        departures=_departures(asdict(own), asdict(preset)),
    )


def _plan(key: CellKey, config: ComparisonConfig, system: str) -> Any:
    return training_settings(
        config,
        dataset=key.dataset,
        backbone=key.backbone,
        seed=key.seed,
        variant=key.variant,
        system=system,
    )


def _of_baseline(run: Path, key: CellKey, config: ComparisonConfig, done: _Done) -> TrainingRecord:
    own = read_system_config(run)
    preset = baseline_settings(config, SystemName(key.system), key.dataset, key.seed)
    if key.system == SystemName.DT_JSCC:
        return TrainingRecord(
            stages=(("all", done["dt-jscc", own.dt_jscc.order], preset.dt_jscc.epochs),),
            departures=_departures(asdict(own.dt_jscc), asdict(preset.dt_jscc)),
        )
    return TrainingRecord(
        stages=(
            ("mimicry", done["mimic", None], preset.bottlefit.mimic_epochs),
            ("distillation", done["distillation", None], preset.bottlefit.epochs),
        ),
        departures=_departures(asdict(own.bottlefit), asdict(preset.bottlefit)),
    )


def _departures(own: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (value, preset[name])
        for name, value in own.items()
        if name not in _NO_DEPARTURES and value != preset[name]
    }
