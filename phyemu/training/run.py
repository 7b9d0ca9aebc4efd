"""A whole run in one folder: settings, backbone, PhyDNNs, their exports, their results."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import phyemu
from phyemu.channel import ChannelModel
from phyemu.colosseum import load_channel_or_link
from phyemu.datasets import Dataset, load_dataset
from phyemu.dnn import PhyDnn, export_head, export_tail
from phyemu.errors import ConfigError
from phyemu.link import build_link, hop_specs
from phyemu.progress import ProgressCallback, no_progress
from phyemu.run_files import BACKBONE_NAME, CONFIG_NAME, METRICS_NAME
from phyemu.toml_config import from_table, read_toml
from phyemu.waveform import Constellation

from .artefact_info import artefact_info
from .backbone import train_backbone
from .backbone_result import BackboneResult, save_backbone
from .config import TrainConfig
from .distributed import ALONE, Processes
from .history import EpochRecord
from .multi_hop_run import MultiHopRun, run_multi_hop
from .network_check import check_network
from .phydnn import train_phydnn
from .phydnn_result import PhyDnnResult
from .run_folder import held_run_folder, write_json
from .seeds import SeedUse, derived_seed
from .session_record import recorded_session
from .shards import shards_of_each
from .validation import score_images, score_over_link

__all__ = ["StageReport", "TrainReport", "export_phydnn", "read_run_config", "train_run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReport:
    """A PhyDNN of one order.

    Attributes:
        order: M.
        symbols_per_image: Channel symbols of an image, over all hops.
        epoch: The epoch kept, from 1.
        validation_accuracy: What it was chosen by, in percent.
        accuracy: On the test images, through the link in training, in percent.
        ser: Symbol error rate there.
        hop_sers: Of each hop, where there are several.
    """

    order: int
    symbols_per_image: int
    epoch: int
    validation_accuracy: float
    accuracy: float
    ser: float
    hop_sers: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainReport:
    """What a run came to.

    Attributes:
        run: The folder.
        channel: What was trained through.
        symbols_per_image: Channel symbols of an image in the last stage.
        backbone_accuracy: On the test images, in percent.
        phydnn: A line for each order.
    """

    run: str
    channel: str
    symbols_per_image: int
    backbone_accuracy: float
    phydnn: tuple[StageReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainReport":
        """Return the report that `to_dict` described."""
        stages = tuple(
            StageReport(**{**stage, "hop_sers": tuple(stage["hop_sers"])})
            for stage in values["phydnn"]
        )
        return cls(**{**values, "phydnn": stages})


def read_run_config(folder: Path) -> TrainConfig:
    """Return the settings of a run.

    Raises:
        ConfigError: The folder is no run, or its settings are damaged.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no run folder, it holds no {CONFIG_NAME}; make one: phyemu train"
        )
    return from_table(TrainConfig, read_toml(path), where=str(path))


def train_run(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    device: torch.device | str = "cpu",
    progress: ProgressCallback = no_progress,
    processes: Processes = ALONE,
) -> TrainReport:
    """Train backbone and PhyDNNs, export them, score them on the test images, keep it all.

    Args:
        config: The settings; written to `config.toml`.
        folder: New, or with `resume` that of an earlier run with the same settings.
        resume: Continue an interrupted run; a finished one is scored again.
        device: Where to compute.
        progress: Told of each step.
        processes: Who trains, each calling this with the same arguments; the first one alone
            writes and scores, all return the report.

    Raises:
        ConfigError: The folder is in use or cannot be written to, or its settings differ; the
            processes cannot share the shards; or the network cannot be built or cut as the settings
            say.
        DatasetError: The images cannot be read.
        CheckpointError: A checkpoint is damaged or of another run, or weights to start from are.
        KeyboardInterrupt: Ctrl-C; `resume` continues at the very step.
    """
    # What is missing or does not fit is found before anything is written.
    shards_of_each(config.shards, processes)
    specs: tuple[str, ...] = (config.link.channel,)
    if config.phydnn.splits:
        specs = hop_specs(config.link.channel, len(config.phydnn.splits))
    channels = [load_channel_or_link(spec) for spec in specs]
    dataset = load_dataset(
        config.data.dataset,
        seed=config.seed,
        validation_fraction=config.data.validation_fraction,
        limit=config.data.limit,
    )
    check_network(config, dataset, channels)
    with ExitStack() as held:
        if processes.first:
            ours = held_run_folder(config, folder, read=read_run_config, resume=resume)
            held.enter_context(ours)
            held.enter_context(recorded_session(folder, dataset, device, processes=processes))
        processes.gathered(None)  # the others go on once the folder is there
        return _train_in(
            folder,
            config,
            dataset,
            channels,
            resume=resume,
            device=device,
            progress=progress,
            processes=processes,
        )


def _train_in(
    folder: Path,
    config: TrainConfig,
    dataset: Dataset,
    channels: Sequence[ChannelModel],
    *,
    resume: bool,
    device: torch.device | str,
    progress: ProgressCallback,
    processes: Processes,
) -> TrainReport:
    channel = channels[0]
    backbone = train_backbone(
        dataset,
        config,
        device=device,
        folder=folder,
        resume=resume,
        progress=progress,
        processes=processes,
    )
    if processes.first:
        save_backbone(folder / BACKBONE_NAME, backbone, dataset)
    if config.phydnn.splits:
        run = run_multi_hop(
            folder,
            backbone,
            dataset,
            channels,
            config,
            provenance={
                "phyemu": phyemu.__version__,
                "channel": "//".join(model.name for model in channels),
                "seed": config.seed,
            },
            device=device,
            resume=resume,
            progress=progress,
            processes=processes,
        )
        told = None
        if processes.first:
            of_hops = _multi_hop_report(folder, channels, dataset, backbone, run, device)
            _write_records(folder, (*backbone.history, *run.history), of_hops)
            told = of_hops.to_dict()
        return TrainReport.from_dict(processes.gathered(told)[0])
    result = train_phydnn(
        backbone.backbone,
        backbone.normalise,
        dataset,
        channel,
        config,
        device=device,
        folder=folder,
        resume=resume,
        progress=progress,
        processes=processes,
    )
    found = None
    if processes.first:
        report = _score(folder, config, channel.name, dataset, backbone, result, device)
        _write_results(folder, config, dataset, backbone, result, report)
        found = report.to_dict()
    return TrainReport.from_dict(processes.gathered(found)[0])


def _write_results(
    folder: Path,
    config: TrainConfig,
    dataset: Dataset,
    backbone: BackboneResult,
    result: PhyDnnResult,
    report: TrainReport,
) -> None:
    for order, stage in result.stages.items():
        export_phydnn(
            folder,
            stage.phydnn,
            stage.constellation,
            config=config,
            dataset=dataset,
            architecture=backbone.architecture,
            provenance={
                "phyemu": phyemu.__version__,
                "channel": report.channel,
                "seed": config.seed,
                "epoch": stage.epoch,
                "validation_accuracy": stage.validation_accuracy,
                "order": order,
            },
        )
    _write_records(folder, (*backbone.history, *result.history), report)


def _write_records(folder: Path, history: Sequence[EpochRecord], report: TrainReport) -> None:
    write_json(folder / "history.json", {"epochs": [record.to_dict() for record in history]})
    write_json(folder / METRICS_NAME, report.to_dict())


def export_phydnn(
    folder: Path,
    phydnn: PhyDnn,
    constellation: Constellation,
    *,
    config: TrainConfig,
    dataset: Dataset,
    architecture: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> tuple[Path, Path]:
    """Write head and tail of a PhyDNN to `head/mM.safetensors` and `tail/mM.safetensors`.

    Args:
        folder: Run folder.
        phydnn: The model.
        constellation: Point m is sent for symbol m.
        config: Its split and frames are written to the cards.
        dataset: Its image shape and class names are.
        architecture: Of `describe_architecture`.
        provenance: Where the weights come from, JSON values.

    Returns:
        Paths of head and tail.
    """
    info = artefact_info(
        config.phydnn.split,
        constellation,
        config=config,
        dataset=dataset,
        architecture=architecture,
        provenance=provenance,
    )
    name = f"m{phydnn.messages_per_position}.safetensors"
    head, tail = folder / "head" / name, folder / "tail" / name
    export_head(phydnn, head, info)
    export_tail(phydnn, tail, info)
    return head, tail


def _score(
    folder: Path,
    config: TrainConfig,
    channel_name: str,
    dataset: Dataset,
    backbone: BackboneResult,
    result: PhyDnnResult,
    device: torch.device | str,
) -> TrainReport:
    test = dataset.test.to(device)
    stages = []
    for order, stage in result.stages.items():
        link = build_link(
            load_channel_or_link(config.link.channel),
            stage.constellation.to(device),
            config.frame,
            fidelity=config.link.fidelity,
        )
        score = score_over_link(
            stage.phydnn,
            link,
            test,
            seed=derived_seed(config.seed, SeedUse.VALIDATION, 1),
            lookup=config.phydnn.lookup,
        )
        stages.append(
            StageReport(
                order=order,
                symbols_per_image=stage.phydnn.symbols_per_image,
                epoch=stage.epoch,
                validation_accuracy=stage.validation_accuracy,
                accuracy=score.accuracy,
                ser=score.ser if score.ser is not None else 0.0,
            )
        )
    return TrainReport(
        run=str(folder),
        channel=channel_name,
        symbols_per_image=result.last.phydnn.symbols_per_image,
        backbone_accuracy=_backbone_accuracy(backbone, dataset, device),
        phydnn=tuple(stages),
    )


def _multi_hop_report(
    folder: Path,
    channels: Sequence[ChannelModel],
    dataset: Dataset,
    backbone: BackboneResult,
    run: MultiHopRun,
    device: torch.device | str,
) -> TrainReport:
    reports = []
    for order, (stage, score) in run.stages.items():
        model = stage.phydnn
        reports.append(
            StageReport(
                order=order,
                symbols_per_image=sum(model.symbols_of(hop) for hop in range(model.num_hops)),
                epoch=stage.epoch,
                validation_accuracy=stage.validation_accuracy,
                accuracy=score.total.accuracy,
                ser=score.total.ser if score.total.ser is not None else 0.0,
                hop_sers=score.hop_sers,
            )
        )
    return TrainReport(
        run=str(folder),
        channel="//".join(model.name for model in channels),
        symbols_per_image=reports[-1].symbols_per_image,
        backbone_accuracy=_backbone_accuracy(backbone, dataset, device),
        phydnn=tuple(reports),
    )


def _backbone_accuracy(
    backbone: BackboneResult, dataset: Dataset, device: torch.device | str
) -> float:
    return score_images(
        lambda images: backbone.backbone(backbone.normalise(images)).float(),
        backbone.backbone,
        dataset.test.to(device),
    ).accuracy
