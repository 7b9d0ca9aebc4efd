"""The system behind a cell: from a run that was given, or one that is made."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phyemu.baselines import System, SystemName, load_backbone, load_system, network_system
from phyemu.datasets import Dataset, ImageSet, load_dataset
from phyemu.dnn import Normalise, read_card, split_model
from phyemu.errors import CheckpointError, ConfigError, PhyemuError
from phyemu.evaluation import encode_images
from phyemu.file_hash import kept_file_sha256
from phyemu.run_files import BACKBONE_NAME, WEIGHTS_NAME
from phyemu.toml_config import to_table
from phyemu.training import Preset, score_images

from .cell import CellKey, CellKind
from .config import PHYDNN, WHOLE_SYSTEMS, ComparisonConfig
from .environment import is_simulation
from .given_runs import GivenRun
from .training_files import files_begun_with
from .trainings import Trainings, baseline_settings, training_settings

__all__ = ["MissingRunError", "Provided", "Systems"]

_SPLIT = "layer1"  # of SC, which a cell does not name
# What a cell's figures do not depend on: where files lie, which count by what they hold, and how
# often a run was saved.
_PLACES = ("pretrained", "dataset", "checkpoint_interval_s")


class MissingRunError(ConfigError):
    """A run that was not given, where none may be made."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Provided:
    """A system, and where it comes from.

    Attributes:
        system: In evaluation mode.
        run: Folder of the run that made its weights.
        weights: SHA-256 of them.
        backbone_accuracy: On the test images [%]. Of a PhyDNN: its own network without the radio;
            of a network that runs as it is: its own. None: there is no such network.
    """

    system: System
    run: Path
    weights: str
    backbone_accuracy: float | None = None


class Systems:
    """Gives the system of a cell, training what is missing."""

    def __init__(
        self,
        config: ComparisonConfig,
        given: Sequence[GivenRun],
        trainings: Trainings | None,
        *,
        notes: list[str],
        device: torch.device,
    ) -> None:
        """Take the runs that were made elsewhere; without `trainings` there are no others.

        Lines on runs that were left out are added to `notes`; systems are on `device`.
        """
        self._config = config
        self._given = given
        self._trainings = trainings
        self._notes = notes
        self._device = device
        # A system serves cell after cell, and then never again.
        self._shared = lru_cache(maxsize=2)(self._provide)
        self._dataset = lru_cache(maxsize=2)(self._load_dataset)
        self._sent = lru_cache(maxsize=1)(self._encode)
        self._accuracies: dict[tuple[str, str], float] = {}
        self._digests: dict[str, str] = {}

    def source(self, key: CellKey) -> dict[str, Any]:
        """Return what the weights of a cell depend on, as JSON values, without making any.

        Raises:
            MissingRunError: The run is not given, and none may be made.
        """
        given = self._given_run(key)
        if given is not None:
            return {"weights": _stored_weights(given.folder, key), **self._cut(key)}
        if self._trainings is None:
            raise _missing(key)
        if key.system not in (*WHOLE_SYSTEMS, PHYDNN):
            own: Any = baseline_settings(
                self._config, SystemName(key.system), key.dataset, key.seed
            )
        else:
            own = self._settings(key, key.variant, PHYDNN if key.system == PHYDNN else "")
        parts = {"training": _portable(to_table(own))}
        pretrained = None
        if key.system != SystemName.DT_JSCC:
            backbone = self._settings(key, "", "")
            parts["backbone"] = _portable(to_table(backbone))
            pretrained = backbone.backbone.pretrained
        channel = own.link.channel if key.order else None
        files = files_begun_with(pretrained=pretrained, channel=channel)
        return {**parts, **({"files": files} if files else {}), **self._cut(key)}

    def _cut(self, key: CellKey) -> dict[str, str]:
        """Return where SC is cut, if not where the paper cuts it; empty for other systems."""
        split = self._split(key) if key.system == SystemName.SPLIT_COMPUTING else _SPLIT
        return {} if split == _SPLIT else {"split": split}

    def _split(self, key: CellKey) -> str:
        own = baseline_settings(self._config, SystemName.SPLIT_COMPUTING, key.dataset, key.seed)
        return own.split

    def _settings(self, key: CellKey, variant: str, system: str) -> Any:
        return training_settings(
            self._config,
            dataset=key.dataset,
            backbone=key.backbone,
            seed=key.seed,
            variant=variant,
            system=system,
        )

    def of(self, key: CellKey) -> Provided:
        """Return the system of a cell, its run made now where it is missing.

        Raises:
            PhyemuError: A run cannot be made or read.
        """
        # Cells that differ in their environment share a system.
        return self._shared(_network(key))

    def symbols(self, key: CellKey) -> Tensor | None:
        """Return what the head of a cell sends for the test images; None: it sends no symbols.

        The head runs once for all SNRs of a sweep.

        Raises:
            PhyemuError: A run cannot be made or read.
        """
        return self._sent(_network(key)) if is_simulation(key.environment) else None

    def _encode(self, network: CellKey) -> Tensor | None:
        phydnn = self._shared(network).system.phydnn
        if phydnn is None:
            return None
        return encode_images(phydnn, self._images_there(network.dataset)).symbols

    def _provide(self, key: CellKey) -> Provided:
        given = self._given_run(key)
        if given is not None:
            run = given.folder
        elif self._trainings is not None:
            run = self._made_run(self._trainings, key)
        else:
            raise _missing(key)
        name = SystemName(key.system)
        if name in WHOLE_SYSTEMS:
            return self._whole(name, run, key)
        return Provided(
            system=self._placed(load_system(run, order=key.order or None)),
            run=run,
            weights=_stored_weights(run, key),
            backbone_accuracy=(
                self._whole_accuracy(run, key.dataset) if name is SystemName.PHYDNN else None
            ),
        )

    def missing_runs(self, key: CellKey) -> list[Path]:
        """Return the folders of runs that a cell needs and that are not finished.

        Raises:
            ConfigError: Two runs were given for it.
        """
        if self._trainings is None or self._given_run(key) is not None:
            return []
        name = SystemName(key.system)
        return self._trainings.missing(name, key.variant, key.dataset, key.backbone, key.seed)

    def run_at_hand(self, key: CellKey) -> Path | None:
        """Return the folder of a finished run behind a cell; None: nobody has it here."""
        try:
            given = self._given_run(key)
            if given is not None:
                return given.folder
            if self._trainings is None or self.missing_runs(key):
                return None
            return self._made_run(self._trainings, key)
        except PhyemuError:
            return None  # with other settings, or two: whoever needs its weights is told

    def _made_run(self, trainings: Trainings, key: CellKey) -> Path:
        name = SystemName(key.system)
        if name is SystemName.PHYDNN:
            return trainings.phydnn(key.variant, key.dataset, key.backbone, key.seed)
        if name in WHOLE_SYSTEMS:
            return trainings.backbone(key.dataset, key.backbone, key.seed)
        return trainings.baseline(name, key.dataset, key.backbone, key.seed)

    def _whole(self, name: SystemName, run: Path, key: CellKey) -> Provided:
        """Return a system that runs the network of a run as it is, whole or cut."""
        normalise, network = self._backbone(run)
        shape = self._dataset(key.dataset).image_shape
        whole = nn.Sequential(normalise, network)
        if name is SystemName.EDGE_ONLY:
            system = network_system(name, None, whole, image_shape=shape)
        elif name is SystemName.DEVICE_ONLY:
            system = network_system(name, whole, None, image_shape=shape)
        else:
            head, tail = split_model(network, self._split(key))
            system = network_system(name, nn.Sequential(normalise, head), tail, image_shape=shape)
        return Provided(
            system=self._placed(system),
            run=run,
            weights=_stored_weights(run, key),
            backbone_accuracy=self._whole_accuracy(run, key.dataset),
        )

    def _backbone(self, run: Path) -> tuple[Normalise, nn.Module]:
        """Return the network without a radio, as the run trained it."""
        network, normalise = load_backbone(run)
        heads = sorted((run / "head").glob("m*.safetensors"))
        if heads:
            card = read_card(heads[0])
            normalise = Normalise(card.mean, card.std)
        if normalise is None:
            raise CheckpointError(f"{run / BACKBONE_NAME}: does not say what it was trained on")
        return normalise, network.eval()

    def _whole_accuracy(self, run: Path, dataset: str) -> float:
        """Return the accuracy of a run's network; runs that begin with the same one share it."""
        whole = nn.Sequential(*self._backbone(run))
        known = (_content_digest(whole), dataset)
        if known not in self._accuracies:
            whole = whole.to(self._device)
            score = score_images(whole, whole, self._images_there(dataset))
            self._accuracies[known] = score.accuracy
        return self._accuracies[known]

    def test_images(self, dataset: str) -> ImageSet:
        """Return the images that a dataset's accuracies are of: the same for every seed."""
        return self._dataset(dataset).test

    def _images_there(self, dataset: str) -> ImageSet:
        return self.test_images(dataset).to(self._device)

    def _placed(self, system: System) -> System:
        """Return a system with its networks on the device; frames stay on the CPU."""
        for side in (system.head, system.tail):
            if side is not None:
                side.to(self._device)
        return system

    def images_digest(self, dataset: str) -> str:
        """Return a hash of those images and their labels.

        Raises:
            DatasetError: They are not there.
        """
        if dataset not in self._digests:
            self._digests[dataset] = self.test_images(dataset).sha256()
        return self._digests[dataset]

    def _load_dataset(self, name: str) -> Dataset:
        limit = self._config.accuracy.limit
        return load_dataset(self._config.datasets[name], seed=0, limit=limit)

    def _given_run(self, key: CellKey) -> GivenRun | None:
        """Return the run that was given for a cell; of whole networks, that of any variant.

        Raises:
            ConfigError: There are two.
        """
        found = [
            run
            for run in self._given
            if run.seed == key.seed
            and run.backbone in (key.backbone, "")
            and run.fits(self._dataset(key.dataset))
            and self._is_of(run, key)
        ]
        if key.system not in WHOLE_SYSTEMS and len(found) > 1:
            raise ConfigError(
                f"two runs were given for the {key.label()}: {found[0].folder} and "
                f"{found[1].folder}; leave one out"
            )
        return found[0] if found else None

    def _is_of(self, run: GivenRun, key: CellKey) -> bool:
        """Return whether a run holds the weights of a cell, as far as its settings say."""
        if key.system in WHOLE_SYSTEMS:
            return run.system == PHYDNN
        if run.system != key.system or (key.order and key.order not in run.orders):
            return False
        if key.system != PHYDNN:
            return True
        names = [name for name in Preset if name in self._config.variants]
        variant = run.variant_among({name: self._settings(key, name, PHYDNN) for name in names})
        if not variant:
            self._tell_of(run, names)
        if variant != key.variant:
            return False
        # Through another channel it is another PhyDNN, unless its giver says that it is this one.
        own = self._settings(key, key.variant, PHYDNN).link.channel
        return bool(run.variant) or run.channel == own

    def _tell_of(self, run: GivenRun, presets: Sequence[str]) -> None:
        """Note that nothing says which variant a run is."""
        wanted = " or ".join(presets) or "any preset"
        line = (
            f"{run.folder}: has not the settings of {wanted}, and was left out as a PhyDNN; name "
            "its variant: --runs NAME=FOLDER"
        )
        if line not in self._notes:
            self._notes.append(line)


def _content_digest(network: nn.Module) -> str:
    """Return a hash of what a network computes: its layers, and all they hold."""
    digest = hashlib.sha256(repr(network).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _network(key: CellKey) -> CellKey:
    """Return what the cells of one network have in common, whatever they are sent through."""
    return replace(key, kind=CellKind.ACCURACY, environment="none", protocol="")


def _missing(key: CellKey) -> MissingRunError:
    return MissingRunError(f"no run of the {key.label()} was given")


def _stored_weights(run: Path, key: CellKey) -> str:
    """Return the hash of what a run holds for a cell: of symbols both sides, as their cards say."""
    if key.system in WHOLE_SYSTEMS:
        return kept_file_sha256(run / BACKBONE_NAME)
    if not key.order:
        return kept_file_sha256(run / WEIGHTS_NAME)
    cards = [read_card(run / side / f"m{key.order}.safetensors") for side in ("head", "tail")]
    return "+".join(card.weights_sha256 for card in cards)


def _portable(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without what names places on this machine."""
    return {
        name: _portable(value) if isinstance(value, Mapping) else value
        for name, value in table.items()
        if name not in _PLACES
    }
