"""A PhyDNN that was exported by a run of some seconds, and images for it."""

import dataclasses
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.datasets import ImageSet, load_dataset
from phyemu.evaluation import ExportedPhyDnn, load_exported
from phyemu.training import preset, train_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with a PhyDNN of order 4."""
    config = preset("digits", "awgn:12", seed=2)
    config = replace(
        config,
        # Long enough that the classes found differ: one and the same would hide a mix-up of images.
        data=replace(config.data, limit=160),
        backbone=replace(config.backbone, width=4, epochs=6, batch_size=16),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(2,), batch_size=16),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder


@pytest.fixture(scope="session")
def phydnn(run: Path) -> ExportedPhyDnn:
    """Return the PhyDNN of the run."""
    return load_exported(run)


@pytest.fixture(scope="session")
def short(phydnn: ExportedPhyDnn) -> ExportedPhyDnn:
    """Return the PhyDNN with frames so short that an image takes three of them."""
    frame_format = dataclasses.replace(phydnn.frame_format, max_payload_symbols=100)
    return dataclasses.replace(phydnn, frame_format=frame_format)


@pytest.fixture(scope="session")
def images() -> ImageSet:
    """Return 12 test images."""
    return load_dataset("digits", seed=2, limit=12).test


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that returns a port of this machine that nobody uses."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find
