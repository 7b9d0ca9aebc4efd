"""An exported PhyDNN in a run folder, made in a second, and the content made of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.node.content import write_head_content, write_tail_content
from phyemu.training import preset, train_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with a PhyDNN of order 4, trained for a moment, 60 test images."""
    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=60),
        backbone=replace(config.backbone, width=4, epochs=4, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(2,), batch_size=20),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder


@pytest.fixture(scope="session")
def content(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds what both nodes need of 20 images."""
    folder = tmp_path_factory.mktemp("content") / "phydnn"
    write_head_content(run, folder, max_images=20)
    write_tail_content(run, folder, max_images=20)
    return folder
