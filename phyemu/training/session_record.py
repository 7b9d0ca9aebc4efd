"""On what a run was computed, each time that somebody worked on it."""

import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import phyemu
from phyemu.datasets import Dataset
from phyemu.errors import CheckpointError
from phyemu.metering import device_name
from phyemu.run_files import SESSIONS_NAME

from .distributed import ALONE, Processes
from .run_folder import write_json

__all__ = ["recorded_session"]

_BEGUN: Final = "begun"
_LOG = logging.getLogger(__name__)


@contextmanager
def recorded_session(
    folder: Path, dataset: Dataset, device: torch.device | str, *, processes: Processes = ALONE
) -> Iterator[None]:
    """Add what computes, and on which images, to a run's `sessions.json`; at the end, how it ended.

    A session that nobody ended in good order, as by a power cut, stays `begun`. What cannot be read
    of an earlier record is kept beside it as `sessions.json.unreadable`.

    Args:
        folder: Of the run; held by this process.
        dataset: The images.
        device: Where it computes.
        processes: Who computes.

    Raises:
        CheckpointError: The record cannot be begun. That it cannot be ended is a warning.
    """
    path = folder / SESSIONS_NAME
    session = _session(dataset, torch.device(device), processes)
    sessions = [*_earlier(path), session]
    write_json(path, {"sessions": sessions})
    begin = time.monotonic()
    ended = "failed"
    try:
        yield
        ended = "finished"
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    finally:
        session |= {"ended": ended, "duration_s": round(time.monotonic() - begin, 1)}
        try:
            write_json(path, {"sessions": sessions})
        except CheckpointError as exc:  # what was computed counts, and so does why it ended
            _LOG.warning("%s; how this session ended is not recorded", exc)


def _session(dataset: Dataset, device: torch.device, processes: Processes) -> dict[str, Any]:
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": _BEGUN,
        "duration_s": None,
        "phyemu": phyemu.__version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": device.type,
        "computed_on": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": processes.count,
        "images": {
            name: {"number": len(images), "sha256": images.sha256()}
            for name, images in splits.items()
        },
    }


def _earlier(path: Path) -> list[Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["sessions"]
        if isinstance(found, list):
            return found
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        pass
    # A record of machines is no reason to lose a training, nor a training one to lose the record.
    path.replace(path.with_name(f"{path.name}.unreadable"))
    return []
