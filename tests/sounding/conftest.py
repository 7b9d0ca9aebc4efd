"""Recordings made on the spot."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.iq import Recording, open_recording, write_recording

RecordingMaker = Callable[..., Recording]


@pytest.fixture
def make_recording(tmp_path: Path) -> Iterator[RecordingMaker]:
    """Return a function that writes samples to a recording and opens it until the test ends."""
    count = iter(range(1000))
    stack = ExitStack()

    def make(iq: NDArray[np.complex64], sample_rate_hz: float, **fields: Any) -> Recording:
        annotations = fields.pop("annotations", ())
        path = write_recording(
            tmp_path / f"made{next(count)}.sigmf",
            iq.astype(np.complex64),
            sample_rate_hz=sample_rate_hz,
            datatype="cf32_le",
            global_fields=fields.pop("global_fields", {}),
            annotations=annotations,
        )
        return stack.enter_context(open_recording(path))

    with stack:
        yield make
