"""Fixtures that every test may use."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
import torch

# A busy machine is no fault of the code, and a gate answers the same twice.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gate")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded torch generator on the CPU."""
    return torch.Generator().manual_seed(20260101)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Return each device in turn; CUDA is skipped where there is none."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device(request.param)


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real data; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data not found at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def wifi_transmitter() -> ModuleType:
    """Return the module that makes 802.11 frames from the standard's equations."""
    path = Path(__file__).parent / "wifi" / "transmitter.py"
    spec = importlib.util.spec_from_file_location("wifi_tests_transmitter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
