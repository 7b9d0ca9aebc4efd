"""A run folder with an exported PhyDNN, made in a second."""

from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.training import preset, train_run


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with a PhyDNN of order 4; copy it before writing to it."""
    config = preset("digits", "awgn:12")
    config = replace(
        config,
        data=replace(config.data, limit=40),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(1,), batch_size=20),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder
