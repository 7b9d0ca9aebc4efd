"""What the tests of live streams share."""

import socket
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.complex64]


@pytest.fixture
def iq() -> Samples:
    """Return 30 000 samples of noise, -17 dBFS."""
    rng = np.random.default_rng(20260101)
    parts = rng.standard_normal((30_000, 2)) * 0.1
    return (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that returns a port nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
