"""Several processes train what one trains, stop together, and speak with one voice."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from phyemu.dnn import Estimator, Score
from phyemu.training import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    PhyDnnConfig,
    Processes,
    TrainConfig,
    joined,
    read_checkpoint,
    to_toml,
    train_run,
)
from phyemu.training.distributed import ALONE, num_started_processes

SCRIPT = Path(__file__).with_name("distributed_run.py")
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without distributed"
)


@pytest.fixture
def config() -> TrainConfig:
    """Return settings of four steps an epoch, batch norms in head and tail, a removal."""
    return TrainConfig(
        seed=3,
        shards=2,
        checkpoint_interval_s=1e9,
        data=DataConfig(limit=64),
        backbone=BackboneConfig(depth=8, width=4, epochs=1, batch_size=16),
        phydnn=PhyDnnConfig(
            orders=(8, 4), epochs=(1, 1), batch_size=16, freeze_epochs=0, slices_per_image=16
        ),
        link=LinkConfig(channel="awgn:12"),
    )


# What `best` adds to Algorithm 1.
RESIDUAL = {
    "slice_size": (2, 2),
    "codebooks": 2,
    "symbols_per_slice": (6, 4),
    "estimator": Estimator.COPY,
    "score": Score.DISTANCE,
    "commitment": 0.3,
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


@pytest.mark.slow
@needs_gloo
@pytest.mark.parametrize("anew", [False, True], ids=["least-used", "k-means"])
def test_two_processes_interrupted_and_one_that_goes_on_equal_one(
    anew: bool, config: TrainConfig, tmp_path: Path
) -> None:
    if anew:
        config = replace(config, phydnn=replace(config.phydnn, removal="k-means", **RESIDUAL))
    settings, run = tmp_path / "run.toml", tmp_path / "two"
    settings.write_text(to_toml(config), encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=static"]
    launch += ["--master-addr=127.0.0.1", f"--master-port={free_port()}", "--nproc-per-node=2"]
    launch += [str(SCRIPT), "interrupt", "train", "--config", str(settings), "-o", str(run)]
    done = subprocess.run(
        [*launch, "--quiet"],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr.count("phyemu: ") == 1, done.stderr[-3000:]
    assert "phyemu: interrupted" in done.stderr
    assert not (run / "metrics.json").exists()
    _, record = read_checkpoint(run / "checkpoints" / "phydnn.safetensors")
    assert record["step"] == 3
    report = train_run(config, run, resume=True)

    expected = train_run(config, tmp_path / "one")
    assert report.phydnn == expected.phydnn
    for name in ("backbone.safetensors", "checkpoints/phydnn.safetensors"):
        ours, found = read_checkpoint(run / name)
        theirs, wanted = read_checkpoint(tmp_path / "one" / name)
        assert found == wanted
        assert ours.keys() == theirs.keys()
        # Two summands have one sum, in whichever order: nothing is off by even a bit.
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    history = [json.loads((f / "history.json").read_text()) for f in (run, tmp_path / "one")]
    assert history[0] == history[1]


@pytest.mark.slow
@needs_gloo
def test_an_error_in_one_process_ends_all_with_one_line(
    config: TrainConfig, tmp_path: Path
) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text(to_toml(config), encoding="utf-8")
    arguments = ["fail", "train", "--config", str(settings), "-o", str(tmp_path / "run")]
    common = os.environ | ENVIRONMENT | {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}
    common |= {"MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments, "--quiet"],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    lines = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [1, 1]
    assert lines == ["", "phyemu: the second process fails\n"]


@needs_gloo
def test_the_others_wait_however_long_the_first_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    store = torch.distributed.HashStore()
    monkeypatch.setattr("phyemu.training.distributed.rendezvous", lambda _: iter([(store, 1, 2)]))
    asked: dict[str, object] = {}
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda *_, **options: asked.update(options)
    )
    with joined(torch.device("cpu")) as processes:
        assert (processes.rank, processes.count) == (1, 2)
    # torch's own limit, half an hour, is less than a large network's export may take.
    assert asked["timeout"] >= timedelta(days=1)


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert num_started_processes() == 1
    with joined(torch.device("cpu")) as processes:
        assert processes == Processes() == ALONE
        values = torch.arange(3.0)
        processes.add_up([values])
        assert values.tolist() == [0, 1, 2]
        assert processes.any(False, True) == (False, True)
        assert processes.gathered({"loss": 0.1}) == [{"loss": 0.1}]
