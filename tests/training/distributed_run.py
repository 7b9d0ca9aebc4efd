"""What `test_distributed.py` runs in several processes: `phyemu train`, and trouble at a step."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import phyemu_cli.train
from phyemu_cli.main import main

from phyemu.errors import DatasetError
from phyemu.progress import ProgressCallback
from phyemu.training.shards import Shards

STEP = 3  # of the PhyDNN


@contextmanager
def pressing_ctrl_c(quiet: bool) -> Iterator[ProgressCallback]:
    """Yield a progress callback that presses Ctrl-C behind a step."""

    def press(stage: str, done: int, total: int, note: str = "") -> None:
        if (stage, done) == ("phydnn", STEP):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)  # torchrun passes on what the terminal sent too

    yield press


def failing(*_arguments: Any, **_settings: Any) -> Any:
    """Fail as a process may that loses its disk."""
    raise DatasetError("the second process fails")


if __name__ == "__main__":
    trouble, *arguments = sys.argv[1:]
    rank = int(os.environ["RANK"])
    if trouble == "interrupt" and rank == 0:
        phyemu_cli.train.progress_bars = pressing_ctrl_c
    if trouble == "fail" and rank == 1:
        Shards.backward = failing  # type: ignore[method-assign]
    main(arguments)
