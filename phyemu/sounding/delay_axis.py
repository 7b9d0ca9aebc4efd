"""One delay axis for several soundings: where their mean power delay profiles match."""

import numpy as np
from numpy.typing import NDArray

from phyemu.sounding.sounding import Sounding

__all__ = ["lateness_s", "mean_profile"]

_DELAY_OVERSAMPLING = 16
_BLOCK_FRAMES = 256


def mean_profile(sounding: Sounding) -> NDArray[np.float64]:
    """Return the mean power delay profile on a fine circular grid of one delay period."""
    frequencies_hz = sounding.frequencies_hz
    spacing = float(np.diff(frequencies_hz).min())
    index = np.round((frequencies_hz - frequencies_hz[0]) / spacing).astype(int)
    size = _DELAY_OVERSAMPLING * (int(index[-1]) + 1)
    window = np.hanning(len(index) + 2)[1:-1]
    profile = np.zeros(size)
    for start in range(0, sounding.num_frames, _BLOCK_FRAMES):
        block = sounding.transfer[start : start + _BLOCK_FRAMES]
        grid = np.zeros((len(block), size), np.complex64)
        grid[:, index] = block * window
        profile += np.square(np.abs(np.fft.ifft(grid, axis=1))).sum(axis=0)
    profile /= sounding.num_frames
    return profile


def lateness_s(
    profile: NDArray[np.float64],
    reference: NDArray[np.float64],
    frequencies_hz: NDArray[np.float64],
) -> float:
    """Return by how much `profile` is late against `reference` [s], within half a period."""
    size = len(profile)
    match = np.fft.irfft(np.fft.rfft(profile) * np.fft.rfft(reference).conj(), size)
    peak = int(match.argmax())
    left, middle, right = match[[peak - 1, peak, (peak + 1) % size]].tolist()
    bend = left - 2.0 * middle + right
    exact = peak + (0.5 * (left - right) / bend if bend < 0 else 0.0)
    exact = exact - size if exact > size / 2 else exact
    return exact / size / float(np.diff(frequencies_hz).min())
