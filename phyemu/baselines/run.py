"""A system's run in one folder: settings, weights, what it came to."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from phyemu.channel import ChannelModel
from phyemu.colosseum import load_channel_or_link
from phyemu.datasets import Dataset
from phyemu.dnn import Normalise
from phyemu.errors import CheckpointError, ConfigError
from phyemu.evaluation import load_exported
from phyemu.link import build_link
from phyemu.progress import ProgressCallback, no_progress
from phyemu.run_files import CONFIG_NAME, METRICS_NAME, WEIGHTS_NAME
from phyemu.toml_config import from_table, read_toml
from phyemu.training import (
    EpochRecord,
    chosen_normalisation,
    read_run_config,
    score_over_link,
)
from phyemu.training.run_folder import held_run_folder, write_json
from phyemu.training.seeds import SeedUse, derived_seed
from phyemu.training.session_record import recorded_session

from .bottlefit import train_bottlefit
from .config import SystemConfig
from .dt_jscc import train_dt_jscc
from .dt_jscc_export import export_dt_jscc
from .stored_network import load_network, save_bottlefit, save_network
from .system import System, SystemName, phy_system
from .system_check import MAPS, check_system
from .task_run import Surroundings

__all__ = ["SystemReport", "load_system", "read_report", "read_system_config", "train_system"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemReport:
    """What a run came to.

    Attributes:
        run: The folder.
        system: Which system.
        transport: How it sends.
        accuracy: On the test images, in percent: of what is stored, where everything arrives as it
            was sent; of DT-JSCC through the link in training.
        channel: Of that link; None elsewhere.
        ser: Symbol error rate there; None elsewhere.
        validation_accuracy: What the epoch was chosen by, in percent; None where nothing is
            trained.
        epoch: The epoch kept, from 1; None where nothing is trained.
        payload_bytes_per_image: What is sent, without overhead.
    """

    run: str
    system: str
    transport: str
    accuracy: float
    channel: str | None
    ser: float | None
    validation_accuracy: float | None
    epoch: int | None
    payload_bytes_per_image: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def train_system(
    name: SystemName,
    backbone: nn.Module | None,
    dataset: Dataset,
    config: SystemConfig,
    folder: Path,
    *,
    normalise: Normalise | None = None,
    channel: ChannelModel | None = None,
    resume: bool = False,
    device: torch.device | str = "cpu",
    progress: ProgressCallback = no_progress,
) -> System:
    """Make a system, score it on the test images, keep it in a folder, and return it from there.

    SC, edge-only and device-only run the trained network as it is. BF-1 and BF-2 are trained from
    it, DT-JSCC from random weights.

    Args:
        name: Any but PhyDNN, which `phyemu.training.train_run` makes.
        backbone: The trained network, normalised images to logits; left untouched. DT-JSCC takes
            none.
        dataset: `config.data.dataset` only describes it.
        config: The settings; written to `config.toml` with the system's name.
        folder: New, or with `resume` that of an earlier run with the same settings.
        normalise: What the backbone was trained with; None: mean and deviation of the dataset.
            `config.data.mean` and `std` come before either.
        channel: What DT-JSCC is trained through; None: `config.link.channel`.
        resume: Continue an interrupted run; a finished one is scored again.
        device: Where to train.
        progress: Told of each step.

    Raises:
        ConfigError: The folder is in use or cannot be written to, its settings differ, or the
            backbone does not fit them or the images.
        CheckpointError: A checkpoint is damaged or of another run.
        KeyboardInterrupt: Ctrl-C; `resume` continues at the very step.
    """
    if name is SystemName.PHYDNN:
        raise ConfigError(
            "a PhyDNN is trained by phyemu train (phyemu.training.train_run); load_system takes "
            "its run folder"
        )
    if config.system not in (None, name):
        raise ConfigError(f"the settings are of {config.system}, but {name} was asked for")
    if backbone is None and name is not SystemName.DT_JSCC:
        raise ConfigError(f"{name} is made from a trained network; none was given")
    config = replace(config, system=name)
    check_system(name, backbone, dataset, config, normalise=normalise, channel=channel)
    with (
        held_run_folder(config, folder, read=read_system_config, resume=resume),
        recorded_session(folder, dataset, device),
    ):
        where = Surroundings(device=device, folder=folder, resume=resume, progress=progress)
        if backbone is None or name is SystemName.DT_JSCC:
            outcome = _make_dt_jscc(dataset, channel, config, folder, where)
        else:
            chosen = chosen_normalisation(dataset, config.data, normalise)
            outcome = _make_network(name, backbone, chosen, dataset, config, folder, where)
        system = _stored(folder, name, backbone)
        accuracy = outcome.accuracy
        if accuracy is None:
            accuracy = system.accuracy(dataset.test, None, config.seed)
        report = SystemReport(
            run=str(folder),
            system=name,
            transport=system.transport,
            accuracy=accuracy,
            channel=outcome.channel,
            ser=outcome.ser,
            validation_accuracy=outcome.validation_accuracy,
            epoch=outcome.epoch,
            payload_bytes_per_image=system.payload_bytes_per_image,
        )
        epochs = [record.to_dict() for record in outcome.history]
        write_json(folder / "history.json", {"epochs": epochs})
        write_json(folder / METRICS_NAME, report.to_dict())  # last: who finds it finds all
        return system


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What is known of a system before it is read back."""

    history: tuple[EpochRecord, ...] = ()
    validation_accuracy: float | None = None
    epoch: int | None = None
    channel: str | None = None
    accuracy: float | None = None
    ser: float | None = None


def _make_dt_jscc(
    dataset: Dataset,
    channel: ChannelModel | None,
    config: SystemConfig,
    folder: Path,
    where: Surroundings,
) -> _Outcome:
    channel = load_channel_or_link(config.link.channel) if channel is None else channel
    result = train_dt_jscc(dataset, channel, config, surroundings=where)
    export_dt_jscc(folder, result, dataset, channel, config)
    link = build_link(
        channel,
        result.constellation.to(where.device),
        config.frame,
        fidelity=config.link.fidelity,
    )
    score = score_over_link(
        result.phydnn,
        link,
        dataset.test.to(where.device),
        seed=derived_seed(config.seed, SeedUse.VALIDATION, 1),
    )
    return _Outcome(
        history=result.history,
        validation_accuracy=result.validation_accuracy,
        epoch=result.epoch,
        channel=channel.name,
        accuracy=score.accuracy,
        ser=score.ser,
    )


def _make_network(
    name: SystemName,
    backbone: nn.Module,
    normalise: Normalise,
    dataset: Dataset,
    config: SystemConfig,
    folder: Path,
    where: Surroundings,
) -> _Outcome:
    path = folder / WEIGHTS_NAME
    if name not in MAPS:
        split = config.split if name is SystemName.SPLIT_COMPUTING else None
        save_network(path, name, backbone, normalise, dataset, split=split)
        return _Outcome()
    result = train_bottlefit(
        backbone, normalise, dataset, config, maps=MAPS[name], surroundings=where
    )
    save_bottlefit(path, name, result.network, backbone, dataset)
    return _Outcome(
        history=result.history,
        validation_accuracy=result.validation_accuracy,
        epoch=result.epoch,
    )


def load_system(
    folder: Path, *, order: int | None = None, backbone: nn.Module | None = None
) -> System:
    """Return the system that a run folder holds, in evaluation mode, on the CPU.

    Args:
        folder: Of `train_system`, or of `phyemu train`: then it is the PhyDNN exported there.
        order: M of a PhyDNN, where the folder holds several; None: the smallest.
        backbone: The network of SC, edge-only or device-only, where it is not one of phyemu's; a
            copy gets the stored weights.

    Raises:
        ConfigError: The folder is no run.
        CheckpointError: The run is unfinished, or a file is damaged.
    """
    name = _system_of(folder)
    if name is SystemName.PHYDNN:
        lookup = read_run_config(folder).phydnn.lookup
        return phy_system(name, load_exported(folder, order=order), lookup)
    if not (folder / METRICS_NAME).is_file():
        raise CheckpointError(
            f"{folder}: its {name} is not finished; finish it: phyemu train-baseline {name} -o "
            f"{folder} --resume"
        )
    return _stored(folder, name, backbone)


def read_system_config(folder: Path) -> SystemConfig:
    """Return the settings of a run of `train_system`.

    Raises:
        ConfigError: The folder is no such run, or its settings are damaged.
    """
    name = _system_of(folder)
    if name is SystemName.PHYDNN:
        raise ConfigError(f"{folder}: the run of a PhyDNN, which phyemu train continues")
    path = folder / CONFIG_NAME
    return from_table(SystemConfig, read_toml(path), where=str(path))


def read_report(folder: Path) -> SystemReport:
    """Return what a run of `train_system` came to.

    Raises:
        CheckpointError: The run is unfinished, or its metrics are damaged.
    """
    path = folder / METRICS_NAME
    try:
        return SystemReport(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as exc:
        raise CheckpointError(f"{path}: tells of no finished system ({exc})") from exc


def _system_of(folder: Path) -> SystemName:
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no run folder, it holds no {CONFIG_NAME}; make one: "
            "phyemu train-baseline, or phyemu train"
        )
    name = read_toml(path).get("system", SystemName.PHYDNN)
    try:
        return SystemName(name)
    except ValueError as exc:
        raise ConfigError(
            f"{path}: system must be one of {', '.join(SystemName)}, got {name!r}"
        ) from exc


def _stored(folder: Path, name: SystemName, backbone: nn.Module | None) -> System:
    if name is SystemName.DT_JSCC:
        return phy_system(name, load_exported(folder))
    system = load_network(folder / WEIGHTS_NAME, backbone=backbone)
    if system.name is not name:
        raise CheckpointError(f"{folder / WEIGHTS_NAME}: is a {system.name}, not a {name}")
    return system
