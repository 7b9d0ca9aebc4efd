"""The heads and tails of a run, written for devices."""

from collections.abc import Collection
from pathlib import Path

from phyemu.dnn import (
    DeviceCard,
    DeviceFormat,
    Part,
    PhyDnnHead,
    PhyDnnTail,
    export_for_device,
)
from phyemu.dnn.device_card import device_card_path
from phyemu.errors import ConfigError
from phyemu.evaluation import load_exported_head, load_exported_tail
from phyemu.evaluation.exported import check_exported, side_path
from phyemu.progress import ProgressCallback, no_progress

__all__ = ["SIDES", "export_run"]

SIDES = (Part.HEAD, Part.TAIL)
"""What a run on two devices is made of."""


def export_run(
    run: Path,
    folder: Path,
    device_format: DeviceFormat,
    *,
    parts: Collection[Part] = SIDES,
    order: int | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[Path, DeviceCard]:
    """Write the head and the tail of a run for devices, and return the cards by their files.

    They go into the folder's head/ and tail/, as the run's own; the folder may be the run.

    Args:
        run: Run folder.
        folder: Where they go.
        device_format: ONNX or TorchScript.
        parts: Which sides.
        order: M, where the run holds several; None: the smallest.
        force: Overwrite files that exist.
        progress: Told of the sides written.

    Raises:
        CheckpointError: The run holds no such export, or one cannot be translated.
        ConfigError: A file exists, or a package is missing.
    """
    if set(parts) == set(SIDES):
        check_exported(run)
    plan: list[tuple[Part, Path]] = []
    for part in SIDES:
        if part in parts:
            source = side_path(run, part, order)
            plan.append((part, folder / part / f"{source.stem}{device_format.suffix}"))
    taken = [
        str(path)
        for _, file in plan
        for path in (file, device_card_path(file))
        if path.exists() and not force
    ]
    if taken:
        raise ConfigError(f"{taken[0]}: exists already; give --force to overwrite it")
    written: dict[Path, DeviceCard] = {}
    for part, path in plan:
        progress("export", len(written), len(plan), str(part))
        side: PhyDnnHead | PhyDnnTail
        if part is Part.HEAD:
            side = load_exported_head(run, order=order).head
        else:
            side = load_exported_tail(run, order=order).tail
        try:
            written[path] = export_for_device(side, path, device_format)
        except OSError as exc:
            raise ConfigError(f"{path}: cannot be written ({exc.strerror})") from exc
    progress("export", len(plan), len(plan))
    return written
