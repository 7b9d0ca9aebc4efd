"""A comparison: every cell once, then its tables and figures."""

import logging
import platform
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import phyemu
from phyemu.errors import ConfigError, PhyemuError
from phyemu.evaluation import profile_for_costs
from phyemu.folder_lock import locked_folder
from phyemu.metering import DeviceProfile
from phyemu.progress import ProgressCallback, no_progress

from .accuracy_cell import accuracy_figures, accuracy_settings
from .cell import Cell, CellKey, CellKind, fingerprint_of
from .cell_states import PlannedCell, PlannedCells
from .cell_store import CellStore
from .config import ComparisonConfig
from .cost_cell import cost_figures, cost_settings
from .given_runs import GivenRun, find_given_runs
from .plan import plan
from .rendering import Rendered, render
from .settings_file import check_settings, keep_settings
from .systems import MissingRunError, Provided, Systems
from .training_record import record_of_run
from .trainings import Trainings

__all__ = [
    "Comparison",
    "ComparisonResult",
    "FailedCells",
    "planned_cells",
    "run_comparison",
]

# Of the provenance, by kind: what earlier versions did not write.
_BESIDE = {CellKind.ACCURACY: "training", CellKind.COST: "transfers"}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedCells:
    """Cells that one thing kept from being made.

    Attributes:
        keys: Which.
        reason: One line.
    """

    keys: tuple[CellKey, ...]
    reason: str

    def line(self) -> str:
        """Return what failed and why, for people."""
        more = len(self.keys) - 1
        others = f" and {more} more" if more else ""
        return f"{self.keys[0].label()}{others}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonResult:
    """How a comparison went.

    Attributes:
        computed: Cells made now.
        found: Cells that were there.
        left_out: Cells whose runs were not given, where none may be made.
        failed: Cells that could not be made, those with the same reason together.
        notes: Lines on runs that were passed over, cells that were made again, and an index that
            was left as it was.
        rendered: The pages; None where no cell is there.
    """

    computed: int
    found: int
    left_out: int
    failed: tuple[FailedCells, ...]
    notes: tuple[str, ...]
    rendered: Rendered | None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        page = None if self.rendered is None else self.rendered.index
        table = {name: getattr(self, name) for name in ("computed", "found", "left_out")}
        failed = [{"cells": [k.name for k in f.keys], "reason": f.reason} for f in self.failed]
        return {**table, "failed": failed, "notes": list(self.notes), "index": page and str(page)}


class Comparison:
    """The cells of a folder: which there are, which are missing, and how one is made."""

    def __init__(
        self,
        config: ComparisonConfig,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        progress: ProgressCallback = no_progress,
    ) -> None:
        """Look at what is there; nothing is made yet.

        Raises:
            ConfigError: A run that was given cannot be read.
        """
        self.config = config
        self.folder = folder
        self.store = CellStore(folder)
        given, notes = find_given_runs(config.runs)
        self._given: list[GivenRun] = given
        self.notes: list[str] = notes
        trainings = (
            Trainings(config, folder, device=device, progress=progress)
            if config.train_missing
            else None
        )
        self._device = torch.device(device)
        self._systems = Systems(config, given, trainings, notes=notes, device=self._device)
        self._failed_runs: dict[tuple[str, ...], Exception] = {}

    def request(self, key: CellKey) -> str:
        """Return the fingerprint of a cell: equal ones are the same result.

        Raises:
            MissingRunError: Its run was not given, and none may be made.
            PhyemuError: A run that was given, or settings of its training, are wrong.
        """
        source = self._systems.source(key)
        if key.kind is CellKind.ACCURACY:
            settings = accuracy_settings(key, self.config)
        else:
            settings = cost_settings(key, self.config, self._profile)
        return fingerprint_of(
            {
                "key": asdict(key),
                "source": source,
                "images": self._systems.images_digest(key.dataset),
                "settings": settings,
            }
        )

    @cached_property
    def _profile(self) -> DeviceProfile | None:
        """Of the mobile device, the same for every cell; None: this machine, measured."""
        return profile_for_costs(self.config.cost.device_profile)

    def find(self, key: CellKey, fingerprint: str) -> Cell | None:
        """Return the finished cell where it is the result asked for; note why another is not."""
        try:
            cell = self.store.find(key)
        except ConfigError as exc:
            self.notes.append(f"{exc}; it is computed again")
            return None
        if cell is not None and cell.fingerprint != fingerprint:
            self.notes.append(
                f"the {key.label()} was made with other settings, images or weights; it is "
                "computed again"
            )
            return None
        return cell

    def compute(self, key: CellKey, fingerprint: str) -> Cell:
        """Return a cell that is computed now, after the training behind it where that is missing.

        Raises:
            PhyemuError: It cannot be made.
            KeyboardInterrupt: Ctrl-C.
        """
        provided = self._provide(key)
        images = self._systems.test_images(key.dataset).to(self._device)
        if key.kind is CellKind.ACCURACY:
            figures, record = accuracy_figures(
                key, provided, images, self.config, symbols=self._systems.symbols(key)
            )
            modelled: frozenset[str] = frozenset()
            engine = ""
        else:
            figures, modelled, engine, record = cost_figures(
                key,
                provided,
                images,
                self.config,
                profile=self._profile,
                sibling=self._sibling(key, provided.weights),
            )
        return Cell(
            key=key,
            figures=figures,
            fingerprint=fingerprint,
            modelled=modelled,
            engine=engine,
            run=self._run_name(provided.run),
            provenance={
                "computed_on": _device_name(self._device),
                **record,
                "phyemu": phyemu.__version__,
                "torch": torch.__version__,
                "machine": platform.machine(),
                "made": datetime.now(UTC).isoformat(timespec="seconds"),
                "images": self._systems.images_digest(key.dataset),
                "weights_sha256": provided.weights,
                **self._beside(key, lambda: provided.run),
            },
        )

    def completed(self, cell: Cell) -> Cell:
        """Return a finished cell with what earlier versions did not write into it.

        Its figures and fingerprint stay; where its run is not at hand, so does all of it.
        """
        if _BESIDE[cell.key.kind] in cell.provenance:
            return cell
        beside = self._beside(cell.key, lambda: self._systems.run_at_hand(cell.key))
        return replace(cell, provenance={**cell.provenance, **beside}) if beside else cell

    def _beside(self, key: CellKey, run: Callable[[], Path | None]) -> dict[str, Any]:
        """Return what stands beside figures that do not depend on it."""
        if key.kind is CellKind.COST:
            return {_BESIDE[key.kind]: self.config.cost.links} if key.protocol else {}
        folder = run()
        record = None if folder is None else record_of_run(folder, key, self.config)
        return {} if record is None else {_BESIDE[key.kind]: record.to_dict()}

    def _sibling(self, key: CellKey, weights: str) -> Cell | None:
        """Return a finished cost of the same network, over another channel or protocol."""
        for other in plan(self.config):
            if replace(other, environment=key.environment, protocol=key.protocol) != key:
                continue
            try:
                cell = self.store.find(other)
                if (
                    cell is not None
                    and cell.provenance.get("weights_sha256") == weights
                    and cell.fingerprint == self.request(other)
                ):
                    return cell
            except PhyemuError:
                continue  # a damaged one is told of when its turn comes
        return None

    def _provide(self, key: CellKey) -> Provided:
        """Return the system of a cell; what failed once is not tried again for every cell."""
        run = (key.system, key.variant, key.dataset, key.backbone, str(key.seed))
        if run in self._failed_runs:
            raise self._failed_runs[run]
        try:
            return self._systems.of(key)
        except Exception as exc:
            self._failed_runs[run] = exc
            raise

    def planned(self, key: CellKey) -> PlannedCell:
        """Return how a cell stands; nothing is made."""
        trainings: tuple[str, ...] = ()
        try:
            if self.find(key, self.request(key)) is None:
                state = "to do"
                trainings = tuple(path.name for path in self._systems.missing_runs(key))
            else:
                state = "done"
        except Exception as exc:  # noqa: BLE001  whatever it is, the others are told of
            _LOG.debug("%s", key.label(), exc_info=True)
            state = _reason(exc)
        return PlannedCell(key=key, state=state, trainings=trainings)

    def _run_name(self, run: Path) -> str:
        try:
            return run.resolve().relative_to(self.folder.resolve()).as_posix()
        except ValueError:
            # Made elsewhere: its name, and nothing of the machine it lies on.
            return "/".join(run.resolve().parts[-2:])


def run_comparison(
    config: ComparisonConfig,
    folder: Path,
    *,
    of_this_call: Collection[str] = (),
    device: torch.device | str = "cpu",
    progress: ProgressCallback = no_progress,
) -> ComparisonResult:
    """Make every cell that is missing, and write tables and figures of all that are there.

    A cell that is finished is never computed again; a kill at any moment loses the one in work,
    whose training goes on at the step of its last checkpoint.

    Args:
        config: The settings; written to `comparison.toml`.
        folder: New, or that of an earlier comparison.
        of_this_call: Names of settings that are so now alone: where `comparison.toml` is there
            already, it keeps its own.
        device: Where networks run: trainings, accuracies, and what is measured of costs.
        progress: Told of each cell, and of each step of a training.

    Raises:
        ConfigError: The folder is no folder, is in use by another process, or is a run; a given run
            cannot be read; or there are no images where settings that are new to the folder say.
        KeyboardInterrupt: Ctrl-C; calling it again continues.
    """
    comparison = Comparison(config, folder, device=device, progress=progress)
    check_settings(config, folder)
    with locked_folder(folder, "another phyemu compare is at work there"):
        keep_settings(config, folder, of_this_call)
        keys = plan(config)
        counts = {"computed": 0, "found": 0, "left_out": 0}
        failed: dict[str, list[CellKey]] = {}
        for done, key in enumerate(keys):
            progress("cells", done, len(keys), key.label())
            try:
                fingerprint = comparison.request(key)
                cell = comparison.find(key, fingerprint)
                if cell is not None:
                    counts["found"] += 1
                    whole = comparison.completed(cell)
                    if whole is not cell:
                        comparison.store.save(whole)
                    continue
                comparison.store.save(comparison.compute(key, fingerprint))
                counts["computed"] += 1
            except MissingRunError:
                counts["left_out"] += 1
            except Exception as exc:  # noqa: BLE001  whatever it is, the others go on
                _LOG.debug("%s", key.label(), exc_info=True)
                failed.setdefault(_reason(exc), []).append(key)
        progress("cells", len(keys), len(keys))
        rendered = render(folder) if any(comparison.store.folder.glob("*/*.json")) else None
    return ComparisonResult(
        **counts,
        failed=tuple(FailedCells(keys=tuple(keys), reason=why) for why, keys in failed.items()),
        notes=(*comparison.notes, *(rendered.notes if rendered is not None else ())),
        rendered=rendered,
    )


def planned_cells(config: ComparisonConfig, folder: Path) -> PlannedCells:
    """Return every cell of a comparison and how it stands; nothing is made.

    Raises:
        ConfigError: A run that was given cannot be read.
    """
    comparison = Comparison(config, folder)
    return PlannedCells(cells=tuple(comparison.planned(key) for key in plan(config)))


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _reason(error: Exception) -> str:
    """Return what went wrong in one line; of what nobody foresaw with its kind."""
    text = " ".join(str(error).split())
    return text if isinstance(error, PhyemuError) else f"{type(error).__name__}: {text}"
