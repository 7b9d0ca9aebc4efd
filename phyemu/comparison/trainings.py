"""The training runs behind the cells: made where they are missing, continued where interrupted."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from phyemu.baselines import (
    SystemConfig,
    SystemName,
    load_backbone,
    read_system_config,
    system_preset,
    train_system,
)
from phyemu.datasets import Dataset, load_dataset
from phyemu.errors import ConfigError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.run_files import BACKBONE_NAME, CONFIG_NAME, METRICS_NAME
from phyemu.toml_config import from_table, to_table, to_toml
from phyemu.training import (
    DataConfig,
    LinkConfig,
    Preset,
    TrainConfig,
    backbone_depth,
    named_preset,
    overlay,
    preset,
    read_run_config,
    save_backbone,
    settle_stages,
    train_backbone,
    train_run,
)
from phyemu.training.run_folder import write_json
from phyemu.whole_file import write_whole

from .config import PHYDNN, WHOLE_SYSTEMS, ComparisonConfig
from .training_files import check_files, files_begun_with, keep_files

__all__ = ["HISTORY_NAME", "Trainings", "baseline_settings", "check_trainings", "training_settings"]

HISTORY_NAME = "history.json"
"""Of any run: its epochs."""

_TRAINED_BASELINES = (SystemName.BOTTLEFIT_1, SystemName.BOTTLEFIT_2, SystemName.DT_JSCC)


def training_settings(
    config: ComparisonConfig, *, dataset: str, backbone: str, seed: int, variant: str, system: str
) -> TrainConfig:
    """Return the settings of a training: the preset under `[training.all]`, then the system's own.

    Args:
        config: Of the comparison.
        dataset: Its name there.
        backbone: As `resnet20`.
        seed: Of the run.
        variant: Preset of `phyemu train`, and table of `training`; another name: the beginner's
            preset under its table.
        system: Table of `training`, too.

    Raises:
        ConfigError: A table names an unknown setting, or a value is out of range.
    """
    spec, channel = config.datasets[dataset], config.training_channel
    if variant in list(Preset):
        base = named_preset(Preset(variant), spec, channel, seed=seed)
    else:
        base = preset(spec, channel, seed=seed)
    table = to_table(base)
    overlay(table, {"backbone": {"depth": backbone_depth(backbone)}})
    pretrained = config.pretrained.get(f"{dataset}/{backbone}", config.pretrained.get(backbone))
    if pretrained is not None:
        overlay(table, {"backbone": {"pretrained": pretrained}})
    given: dict[str, Any] = {}
    for name in ("all", system, variant):
        overlay(given, copy.deepcopy(config.training.get(name, {})))
    overlay(table, given)
    if system == PHYDNN:
        overlay(table, {"phydnn": {"orders": list(config.orders)}})
        # Epochs, given or not, are for as many stages as there are orders.
        settle_stages(table, base, set(given.get("phydnn", {})) - {"epochs"})
    where = f"training of {system} {variant}".rstrip()
    return from_table(TrainConfig, table, where=where)


def baseline_settings(
    config: ComparisonConfig, system: SystemName, dataset: str, seed: int
) -> SystemConfig:
    """Return the settings of SC, a BottleFit or DT-JSCC: their preset under `[training.SYSTEM]`.

    Of `[training.all]` only what is about images and frames is theirs.

    Raises:
        ConfigError: A table names an unknown setting, or a value is out of range.
    """
    base = replace(
        system_preset(system, config.datasets[dataset]),
        system=None,
        seed=seed,
        link=LinkConfig(channel=config.training_channel),
    )
    table = to_table(base)
    overlay(table, {"dt_jscc": {"order": config.jscc_order}})
    training = copy.deepcopy(config.training)
    shared = training.get("all", {})
    overlay(table, {name: shared[name] for name in ("data", "frame") if name in shared})
    overlay(table, training.get(system, {}))
    return from_table(SystemConfig, table, where=f"training of {system}")


def check_trainings(config: ComparisonConfig) -> None:
    """Refuse a table of `training` that no training takes, before anything is trained.

    Raises:
        ConfigError: It names an unknown setting, or a value is out of range.
    """
    dataset, backbone, seed = config.main_dataset, config.backbones[0], config.seeds[0]
    for system, variant in [("", ""), *((PHYDNN, name) for name in config.variants)]:
        training_settings(
            config, dataset=dataset, backbone=backbone, seed=seed, variant=variant, system=system
        )
    for name in (SystemName.SPLIT_COMPUTING, *_TRAINED_BASELINES):
        baseline_settings(config, name, dataset, seed)


class Trainings:
    """Runs in the folder of a comparison, one for each system, network, dataset and seed."""

    def __init__(
        self,
        config: ComparisonConfig,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        progress: ProgressCallback = no_progress,
    ) -> None:
        """Look at `folder`/runs; nothing is made yet."""
        self._config = config
        self._folder = folder / "runs"
        self._device = device
        self._progress = progress

    def folder(self, system: str, variant: str, dataset: str, backbone: str, seed: int) -> Path:
        """Return where a run is, or would be."""
        name = "-".join(part for part in (system, variant) if part).lower()
        return self._folder / f"{name}_{dataset}_{backbone}_seed{seed}"

    def missing(
        self, system: SystemName, variant: str, dataset: str, backbone: str, seed: int
    ) -> list[Path]:
        """Return the folders of runs behind a system that are still to be made, or finished."""
        needed = []
        if system is not SystemName.DT_JSCC:
            network = self.folder("backbone", "", dataset, backbone, seed)
            needed.append((network, BACKBONE_NAME))
        if system not in WHOLE_SYSTEMS:
            needed.append((self.folder(system, variant, dataset, backbone, seed), METRICS_NAME))
        return [folder for folder, result in needed if not (folder / result).is_file()]

    def backbone(self, dataset: str, backbone: str, seed: int) -> Path:
        """Return the folder of a finished backbone, trained now where it is not there yet.

        Raises:
            PhyemuError: It cannot be trained.
            KeyboardInterrupt: Ctrl-C; the next call continues at the very step.
        """
        settings = training_settings(
            self._config, dataset=dataset, backbone=backbone, seed=seed, variant="", system=""
        )
        folder = self.folder("backbone", "", dataset, backbone, seed)
        files = files_begun_with(pretrained=settings.backbone.pretrained)
        if _is_finished(folder, settings, files, BACKBONE_NAME):
            return folder
        _begin(folder, settings, files)
        images = self._images(settings.data, settings.seed)
        result = train_backbone(
            images,
            settings,
            device=self._device,
            folder=folder,
            resume=True,
            progress=self._progress,
        )
        epochs = [entry.to_dict() for entry in result.history]
        write_json(folder / HISTORY_NAME, {"epochs": epochs})
        save_backbone(folder / BACKBONE_NAME, result, images)
        return folder

    def phydnn(self, variant: str, dataset: str, backbone: str, seed: int) -> Path:
        """Return the folder of a finished PhyDNN of every order, on the backbone of that seed.

        Raises:
            PhyemuError: It cannot be trained.
            KeyboardInterrupt: Ctrl-C; the next call continues at the very step.
        """
        weights = self.backbone(dataset, backbone, seed) / BACKBONE_NAME
        settings = training_settings(
            self._config,
            dataset=dataset,
            backbone=backbone,
            seed=seed,
            variant=variant,
            system=PHYDNN,
        )
        settings = replace(
            settings,
            backbone=replace(settings.backbone, pretrained=str(weights.resolve()), epochs=0),
        )
        folder = self.folder(PHYDNN, variant, dataset, backbone, seed)
        _find_moved_network(folder, settings)
        files = files_begun_with(network=weights, channel=settings.link.channel)
        if not _is_finished(folder, settings, files, METRICS_NAME):
            _begin(folder, settings, files)
            train_run(settings, folder, resume=True, device=self._device, progress=self._progress)
        return folder

    def baseline(self, system: SystemName, dataset: str, backbone: str, seed: int) -> Path:
        """Return the folder of a finished BottleFit or DT-JSCC.

        Raises:
            PhyemuError: It cannot be trained.
            KeyboardInterrupt: Ctrl-C; the next call continues at the very step.
        """
        # With the system's name, as train_system writes them.
        settings = replace(baseline_settings(self._config, system, dataset, seed), system=system)
        folder = self.folder(system, "", dataset, backbone, seed)
        network = normalise = None
        if system is SystemName.DT_JSCC:
            files = files_begun_with(channel=settings.link.channel)
        else:
            weights = self.backbone(dataset, backbone, seed) / BACKBONE_NAME
            network, normalise = load_backbone(weights)
            files = files_begun_with(network=weights)
        if _is_finished(folder, settings, files, METRICS_NAME):
            return folder
        _begin(folder, settings, files)
        train_system(
            system,
            network,
            self._images(settings.data, settings.seed),
            settings,
            folder,
            normalise=normalise,
            resume=True,
            device=self._device,
            progress=self._progress,
        )
        return folder

    def _images(self, data: DataConfig, seed: int) -> Dataset:
        return load_dataset(
            data.dataset,
            seed=seed,
            validation_fraction=data.validation_fraction,
            limit=data.limit,
        )


def _begin(folder: Path, settings: TrainConfig | SystemConfig, files: Mapping[str, str]) -> None:
    """Make a run's folder with its settings, as they are resumed from."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CONFIG_NAME).is_file():
        keep_files(folder, files)  # first: settings that are there have their files beside them
        write_whole(folder / CONFIG_NAME, to_toml(settings))


def _is_finished(
    folder: Path, settings: TrainConfig | SystemConfig, files: Mapping[str, str], result: str
) -> bool:
    """Return whether a run is there and complete.

    Raises:
        ConfigError: It is a run with other settings, or began with other files.
    """
    if not (folder / CONFIG_NAME).is_file():
        return False
    trained = isinstance(settings, TrainConfig)
    found = read_run_config(folder) if trained else read_system_config(folder)
    if found != settings:
        raise ConfigError(
            f"{folder}: was trained with other settings; give the same, delete the folder, or name "
            "another with -o"
        )
    check_files(folder, files)
    return (folder / result).is_file()


def _find_moved_network(folder: Path, settings: TrainConfig) -> None:
    """Let a run name its network where that lies now, if the comparison's folder was moved."""
    if not (folder / CONFIG_NAME).is_file():
        return
    found = read_run_config(folder)
    before, now = found.backbone.pretrained, settings.backbone.pretrained
    if before is None or now is None or before == now:
        return
    if Path(before).parts[-3:] == Path(now).parts[-3:]:
        backbone = replace(found.backbone, pretrained=now)
        write_whole(folder / CONFIG_NAME, to_toml(replace(found, backbone=backbone)))
