"""A node below a folder of its own, a worker, and the content that a tiny PhyDNN makes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.node.content import write_head_content, write_tail_content
from phyemu.training import preset, train_run
from tests.node.driven_worker import DrivenWorker
from tests.node.scripted_node import ScriptedNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ScriptedNode]:
    """Return a node that is off; its processes end with the test."""
    found = ScriptedNode(tmp_path / "node")
    yield found
    found.close()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[DrivenWorker]:
    """Return a worker that has not been started; it is gone after the test."""
    driven = DrivenWorker(tmp_path / "worker")
    yield driven
    driven.close()


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
