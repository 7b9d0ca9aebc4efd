"""802.11 traffic made by the tests' transmitter, which shares nothing with the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

__all__ = ["STATION", "data_octets", "stream_of", "transmitter"]

GAP_SAMPLES = 400
STATION, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def transmitter() -> ModuleType:
    """Return the module tests/wifi/transmitter.py."""
    path = Path(__file__).parents[1] / "tests" / "wifi" / "transmitter.py"
    spec = importlib.util.spec_from_file_location("wifi_tests_transmitter", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path}: not found; run the benchmarks from a checkout")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def data_octets(num_octets: int) -> bytes:
    """Return a QoS data frame with that many octets of random payload."""
    payload = np.random.default_rng(1).integers(0, 256, num_octets).astype(np.uint8).tobytes()
    frame: bytes = transmitter().data_mpdu(STATION, OTHER, payload)
    return frame


def stream_of(frames: list[np.ndarray], *, snr_db: float, seed: int) -> np.ndarray:
    """Return the frames with silence between them, in white noise; signal power is 1."""
    gap = np.zeros(GAP_SAMPLES, np.complex64)
    clean = np.concatenate([part for frame in frames for part in (gap, frame)] + [gap])
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(2 * len(clean), dtype=np.float32).view(np.complex64)
    return clean + noise * np.float32(10 ** (-snr_db / 20) / 2**0.5)
