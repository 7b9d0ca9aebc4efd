from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from phyemu.errors import CheckpointError
from phyemu.training import read_checkpoint, write_checkpoint


def test_tensors_and_floats_come_back_bit_for_bit(
    tmp_path: Path, generator: torch.Generator
) -> None:
    path = tmp_path / "deep" / "c.safetensors"
    shared = torch.randn(3, 4, generator=generator)
    tensors = {"a": shared, "b": shared[1], "state": generator.get_state()}
    write_checkpoint(path, tensors, {"loss": 0.1 + 0.2, "epoch": 3})
    read, record = read_checkpoint(path)
    assert all(torch.equal(read[name], value) for name, value in tensors.items())
    assert record == {"loss": 0.1 + 0.2, "epoch": 3}


def test_tensors_in_another_memory_layout_come_back(
    tmp_path: Path, generator: torch.Generator
) -> None:
    weight = torch.randn(4, 3, 3, 3, generator=generator).to(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    write_checkpoint(tmp_path / "c.safetensors", {"w": weight, "t": weight[0, 0].T}, {})
    read, _ = read_checkpoint(tmp_path / "c.safetensors")
    assert torch.equal(read["w"], weight)
    assert torch.equal(read["t"], weight[0, 0].T)


def test_a_failed_write_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, {"a": torch.zeros(1)}, {})

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CheckpointError, match="disk full"):
        write_checkpoint(path, {"a": torch.ones(1)}, {})
    assert read_checkpoint(path)[0]["a"].item() == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_failed_write_leaves_what_another_process_is_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    partial = tmp_path / ".c.safetensors.partial"
    replace = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        found = replace(self, target)
        partial.write_bytes(b"of another process")
        return found

    monkeypatch.setattr(Path, "replace", replaced)
    write_checkpoint(path, {"a": torch.zeros(1)}, {})
    assert partial.read_bytes() == b"of another process"


def test_damaged_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_checkpoint(path)
    path.write_bytes(b"no tensors at all")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="holds no phyemu-checkpoint"):
        read_checkpoint(path)
