"""Links under torchrun and DDP: two processes with a generator each against one process."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

SCRIPT = Path(__file__).with_name("distributed_step.py")


@pytest.fixture
def step() -> ModuleType:
    spec = importlib.util.spec_from_file_location("distributed_step", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_take_the_step_of_one(step: ModuleType, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # All by numbers: a machine without a network cannot look up its own name.
    launch = [sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=static"]
    launch += ["--master-addr=127.0.0.1", f"--master-port={port}", "--nproc-per-node=2"]
    launch += [str(SCRIPT), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        launch, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for fidelity in ("symbol", "waveform"):
        # One process, the whole batch: the mean over both halves, each with the draws of its rank.
        model = step.new_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        link = step.new_link(fidelity)
        (0.5 * (step.loss_of(model, 0, link) + step.loss_of(model, 1, link))).backward()
        optimizer.step()
        for rank in (0, 1):
            found = torch.load(tmp_path / f"{fidelity}{rank}.pt", weights_only=True)
            for name, value in model.state_dict().items():
                torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
        moved = [not torch.equal(before[name], value) for name, value in found.items()]
        assert sum(moved) >= 4  # the head's, the tail's and the embedding's
