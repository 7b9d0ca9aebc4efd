"""The parts of a run, written for devices."""

from collections.abc import Sequence
from pathlib import Path

from phyemu.dnn import (
    DeviceCard,
    DeviceFormat,
    Part,
    PhyDnnHead,
    PhyDnnRelay,
    PhyDnnTail,
    export_for_device,
    load_head,
    load_relay,
    load_tail,
)
from phyemu.dnn.device_card import device_card_path
from phyemu.errors import ConfigError
from phyemu.evaluation import relay_name, relay_numbers
from phyemu.evaluation.exported import check_exported
from phyemu.evaluation.exported_parts import part_path
from phyemu.progress import ProgressCallback, no_progress

__all__ = ["export_run"]


def export_run(
    run: Path,
    folder: Path,
    device_format: DeviceFormat,
    *,
    parts: Sequence[str] | None = None,
    order: int | None = None,
    model: str | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[Path, DeviceCard]:
    """Write the parts of a run for devices, and return the cards by their files.

    They go into the folder's head/, relay1/, ... and tail/, as the run's own; the folder may be the
    run.

    Args:
        run: Run folder.
        folder: Where they go.
        device_format: ONNX or TorchScript.
        parts: Which of them, as `head`, `relay1`, `tail`; None: all that the run has.
        order: M, where the run holds several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).
        force: Overwrite files that exist.
        progress: Told of the parts written.

    Raises:
        CheckpointError: The run holds no such export, or one cannot be translated.
        ConfigError: A file exists, or a package is missing.
    """
    if parts is None:
        check_exported(run)
        parts = [Part.HEAD, *map(relay_name, relay_numbers(run)), Part.TAIL]
    plan: list[tuple[str, Path, Path]] = []
    for part in parts:
        source = part_path(run, part, order)
        plan.append((part, source, folder / part / f"{source.stem}{device_format.suffix}"))
    taken = [
        str(path)
        for _, _, file in plan
        for path in (file, device_card_path(file))
        if path.exists() and not force
    ]
    if taken:
        raise ConfigError(f"{taken[0]}: exists already; give --force to overwrite it")
    written: dict[Path, DeviceCard] = {}
    for part, source, path in plan:
        progress("export", len(written), len(plan), part)
        try:
            loaded = _loaded(part, source, model)
            written[path] = export_for_device(loaded, path, device_format)
        except OSError as exc:
            raise ConfigError(f"{path}: cannot be written ({exc.strerror})") from exc
    progress("export", len(plan), len(plan))
    return written


def _loaded(part: str, path: Path, model: str | None) -> PhyDnnHead | PhyDnnRelay | PhyDnnTail:
    if part == Part.HEAD:
        return load_head(path, model=model)
    if part == Part.TAIL:
        return load_tail(path, model=model)
    return load_relay(path, model=model)
