"""Windows over a stream do not depend on how the stream is delivered."""

import numpy as np
import pytest

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.windows import OverlappingWindows


def _windows(iq: np.ndarray, block: int) -> list[tuple[int, list[complex]]]:
    windows = OverlappingWindows(hop=3, overlap=2)
    found = [
        (start, window.tolist())
        for first in range(0, len(iq), block)
        for start, window in windows.push(iq[first : first + block])
    ]
    return found + [(start, window.tolist()) for start, window in windows.finish()]


@pytest.mark.parametrize("block", [1, 2, 5, 7])
def test_any_block_size_gives_the_same_windows(block: int) -> None:
    iq = np.arange(7).astype(np.complex64)
    assert _windows(iq, block) == [(0, [0, 1, 2, 3, 4]), (3, [3, 4, 5, 6])]


def test_a_bad_sample_is_refused_with_its_index() -> None:
    windows = OverlappingWindows(hop=3, overlap=2)
    list(windows.push(np.zeros(10, np.complex64)))
    bad = np.zeros(4, np.complex64)
    bad[2] = np.nan
    with pytest.raises(SignalError, match="sample 12 is NaN"):
        list(windows.push(bad))


def test_real_samples_and_empty_hops_are_refused() -> None:
    with pytest.raises(SignalError, match="complex"):
        list(OverlappingWindows(hop=3, overlap=2).push(np.zeros(4)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="hop"):
        OverlappingWindows(hop=0, overlap=2)
