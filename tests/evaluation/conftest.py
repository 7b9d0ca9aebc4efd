"""An exported PhyDNN in a run folder, made in a second."""

from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.datasets import ImageSet, load_dataset
from phyemu.evaluation import ExportedPhyDnn, load_exported
from phyemu.training import preset, train_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with PhyDNNs of order 8 and 4, trained for a moment."""
    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=60),
        backbone=replace(config.backbone, width=4, epochs=2, batch_size=20),
        phydnn=replace(config.phydnn, orders=(8, 4), epochs=(1, 1), batch_size=20),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder


@pytest.fixture(scope="session")
def phydnn(run: Path) -> ExportedPhyDnn:
    """Return the smallest PhyDNN of the run."""
    return load_exported(run)


@pytest.fixture(scope="session")
def images() -> ImageSet:
    """Return 60 test images."""
    return load_dataset("digits", seed=1, limit=60).test
