"""The closed loop, stage by stage; a stage that is done is not run again."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from phyemu import __version__
from phyemu.channel import ChannelModel, load_model, save_model
from phyemu.colosseum import load_channel_or_link
from phyemu.datasets import Dataset, ImageSet, load_dataset
from phyemu.dnn import Normalise
from phyemu.fitting import Fit, FitConfig, fit_channel
from phyemu.fitting.figure import save_fit_figure
from phyemu.loop.air import over_the_air
from phyemu.loop.config import LoopConfig
from phyemu.loop.folder import RunFolder
from phyemu.loop.keepsakes import keep_reception
from phyemu.loop.page import write_loop_report
from phyemu.loop.place import Place, at_snr, place_of
from phyemu.loop.table import LoopResult, LoopRow
from phyemu.progress import ProgressCallback, no_progress, renamed
from phyemu.run_files import CONFIG_NAME
from phyemu.training import (
    EpochRecord,
    LinkConfig,
    TrainConfig,
    export_phydnn,
    from_table,
    read_toml,
    score_images,
    to_toml,
    train_backbone,
    train_phydnn,
)

__all__ = ["TESTED_ON", "TRAINED_ON", "read_loop_config", "run_loop"]

TRAINED_ON = ("awgn", "fitted")
TESTED_ON = ("world", "fitted", "awgn")


def read_loop_config(folder: Path) -> LoopConfig:
    """Return the settings of a run folder.

    Raises:
        ConfigError: It is no run folder, or its settings are damaged.
    """
    path = RunFolder.reopen(folder).path / "loop.toml"
    return from_table(LoopConfig, read_toml(path), where=str(path))


def run_loop(
    config: LoopConfig,
    folder: Path,
    *,
    resume: bool = False,
    device: torch.device | str = "cpu",
    progress: ProgressCallback = no_progress,
) -> LoopResult:
    """Close the loop once: sound, fit, train twice, transmit, receive, score, report.

    Everything is kept in the folder. An interrupted run is continued with `resume` and comes to
    the same result.

    Args:
        config: The settings; the world's parameters are never read, only its recordings.
        folder: New, or with `resume` that of an earlier run.
        resume: Continue the run in `folder`.
        device: Where to train.
        progress: Told of every stage.

    Raises:
        ConfigError: The folder is in use, or of other settings, or the world is unknown.
        PhyemuError: As the stages do.
        KeyboardInterrupt: Ctrl-C; `resume` continues.
    """
    # What is missing is found before anything is written.
    place = place_of(config)
    data = config.train.data
    dataset = load_dataset(
        data.dataset,
        seed=config.seed,
        validation_fraction=data.validation_fraction,
        limit=data.limit,
    )
    with RunFolder.held(folder, to_toml(config), resume=resume) as run:
        return _Loop(config, place, dataset, run, device, progress).close()


@dataclass(frozen=True, eq=False, slots=True)
class _Backbone:
    network: nn.Module
    architecture: Mapping[str, Any]
    normalise: Normalise
    accuracy: float
    history: tuple[EpochRecord, ...]


class _Loop:
    def __init__(
        self,
        config: LoopConfig,
        place: Place,
        dataset: Dataset,
        run: RunFolder,
        device: torch.device | str,
        progress: ProgressCallback,
    ) -> None:
        self._config = config
        self._run = run
        self._device = device
        self._progress = progress
        self._place = place
        self._dataset = dataset
        self._warnings: tuple[str, ...] = ()

    def close(self) -> LoopResult:
        config, run = self._config, self._run
        fitted = self._fit()
        dataset = self._dataset
        backbone = self._backbone(dataset)
        paper = load_channel_or_link(config.train.link.channel)
        for name, model in zip(TRAINED_ON, (paper, fitted), strict=True):
            self._phydnn(name, model, dataset, backbone)
        images = self._images(dataset.test)
        channels: dict[str, Callable[[], ChannelModel]] = {
            "world": self._place.channel,
            "fitted": lambda: fitted,
            "awgn": lambda: paper,
        }
        rows = [
            self._air(trained, tested, channels[tested], images)
            for trained in TRAINED_ON
            for tested in TESTED_ON
        ]
        result = LoopResult(
            run=str(run.path),
            place=", ".join(Path(name).name for name in config.captures) or config.world,
            backbone_accuracy=backbone.accuracy,
            phydnn=tuple(rows),
            warnings=self._warnings,
        )
        run.finish("result", result.to_dict())
        write_loop_report(run.path, run.path / "report.html")
        return result

    def _fit(self) -> ChannelModel:
        config, run = self._config, self._run
        path = run.file("channel.h5")
        # The place must have seen its captures again before frames can go through it.
        if run.is_done("fit") and not config.captures:
            self._warnings = tuple(run.result("fit")["warnings"])
            return load_model(path)
        soundings = self._place.sound(run.folder("recordings"), self._progress)
        fit: Fit = fit_channel(
            soundings,
            FitConfig(
                name="fitted",
                transmitter=config.transmitter,
                max_paths=config.sounding.max_paths,
                holdout=config.sounding.holdout,
                seed=config.seed,
            ),
            progress=self._progress,
        )
        save_model(at_snr(fit.model, config), path, force=True)
        save_fit_figure(fit, run.file("channel.png"))
        self._warnings = (*self._place.warnings(), *fit.warnings)
        run.finish("fit", {**fit.summary(), "warnings": list(self._warnings)})
        return load_model(path)

    def _backbone(self, dataset: Dataset) -> _Backbone:
        config, run = self._config, self._run
        result = train_backbone(
            dataset,
            config.train,
            device=self._device,
            folder=run.folder("backbone"),
            resume=True,
            progress=renamed(self._progress, "train backbone"),
        )
        network, normalise = result.backbone, result.normalise
        score = score_images(
            lambda images: network(normalise(images)).float(),
            network,
            dataset.test.to(self._device),
        )
        run.finish(
            "backbone",
            {
                "accuracy": score.accuracy,
                "validation_accuracy": result.validation_accuracy,
                "epochs": [record.to_dict() for record in result.history],
            },
        )
        return _Backbone(network, result.architecture, normalise, score.accuracy, result.history)

    def _phydnn(
        self, name: str, model: ChannelModel, dataset: Dataset, backbone: _Backbone
    ) -> None:
        run, stage = self._run, f"phydnn-{name}"
        if run.is_done(stage):
            return
        folder = run.folder(stage)
        channel = self._config.train.link.channel if name == "awgn" else str(run.file("channel.h5"))
        config: TrainConfig = replace(
            self._config.train,
            link=LinkConfig(
                channel=channel,
                fidelity=self._config.train.link.fidelity,
                modulation=self._config.train.link.modulation,
            ),
        )
        run.write_text(f"{stage}/{CONFIG_NAME}", to_toml(config))
        result = train_phydnn(
            copy.deepcopy(backbone.network),
            backbone.normalise,
            dataset,
            model,
            config,
            device=self._device,
            folder=folder,
            resume=True,
            progress=renamed(self._progress, f"train {name}"),
        )
        last = result.last
        export_phydnn(
            folder,
            last.phydnn,
            last.constellation,
            config=config,
            dataset=dataset,
            architecture=backbone.architecture,
            provenance={
                "phyemu": __version__,
                "channel": model.name,
                "seed": config.seed,
                "epoch": last.epoch,
                "validation_accuracy": last.validation_accuracy,
            },
        )
        run.finish(
            stage,
            {
                "validation_accuracy": last.validation_accuracy,
                "epochs": [record.to_dict() for record in result.history],
            },
        )

    def _images(self, images: ImageSet) -> ImageSet:
        most = self._config.air.max_images
        if most is None or most >= len(images):
            return images
        # Spread over the set, which may be sorted by class.
        return images.subset(torch.linspace(0, len(images) - 1, most).round().long())

    def _air(
        self, trained: str, tested: str, channel: Callable[[], ChannelModel], images: ImageSet
    ) -> LoopRow:
        config, run = self._config, self._run
        stage = f"air-{trained}-{tested}"
        if not run.is_done(stage):
            score = over_the_air(
                run.path / f"phydnn-{trained}",
                channel(),
                images,
                config,
                run.file(f"recordings/{trained}-{tested}.sigmf"),
                # In the same session as the sounding, after it.
                start_s=config.sounding.bursts * config.sounding.interval_s,
                stage=f"{trained} over {tested}",
                progress=self._progress,
            )
            keep_reception(score, run.file(f"receptions/{trained}-{tested}.npz"))
            run.finish(stage, score.to_dict())
        values = run.result(stage)
        names = LoopRow.__dataclass_fields__.keys() - {"trained_on", "tested_on"}
        return LoopRow(
            trained_on=trained, tested_on=tested, **{name: values[name] for name in names}
        )
