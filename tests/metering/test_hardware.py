import platform
from pathlib import Path

import pytest
import torch

from phyemu.metering import device_name


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Maker X: 2 cores\n", "Maker X: 2 cores"),
        ("processor : 0\nFeatures : asimd\n", ""),  # Arm's kernels name no model
    ],
)
def test_a_processor_is_called_by_its_model_or_its_architecture(
    content: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(content)
    monkeypatch.setattr("phyemu.metering.hardware._CPUINFO", file)
    found = device_name(torch.device("cpu"))
    assert found == (expected or platform.processor() or platform.machine())
