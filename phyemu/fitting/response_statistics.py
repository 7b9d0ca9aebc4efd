"""What a response does to a link, frame by frame: spread, coherence, SNR left."""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "coherence_bandwidth_hz",
    "coherence_steps",
    "effective_snr_db",
    "frame_delay_spread_s",
]

_COHERENCE = 0.5
_GRID = 256
_LIKENESS = 0.7


def frame_delay_spread_s(
    gains: NDArray[np.complex128], delays_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the RMS delay spread of each frame, (N,) [s].

    Args:
        gains: Path gains, (N, P).
        delays_s: (P,) [s].
    """
    power = np.square(np.abs(gains))
    total = np.maximum(power.sum(axis=1), 1e-300)
    mean = power @ delays_s / total
    spread: NDArray[np.float64] = np.sqrt(
        np.maximum(power @ np.square(delays_s) / total - np.square(mean), 0.0)
    )
    return spread


def coherence_bandwidth_hz(
    gains: NDArray[np.complex128], delays_s: NDArray[np.float64], *, bandwidth_hz: float
) -> NDArray[np.float64]:
    """Return the offset at which each frame's frequency correlation falls to 1/2, (N,) [Hz].

    |sum_p |g_p|^2 exp(-j 2 pi f tau_p)| / sum_p |g_p|^2; `bandwidth_hz` where it does not fall that
    far within the band.

    Args:
        gains: Path gains, (N, P).
        delays_s: (P,) [s].
        bandwidth_hz: Band of the measurement [Hz].
    """
    power = np.square(np.abs(gains))
    offsets_hz = np.linspace(0.0, bandwidth_hz, _GRID)
    turned = np.exp(-2j * np.pi * np.outer(delays_s, offsets_hz))
    correlation = np.abs(power @ turned) / np.maximum(power.sum(axis=1, keepdims=True), 1e-300)
    below = correlation < _COHERENCE
    first = np.where(below.any(axis=1), below.argmax(axis=1), _GRID - 1)
    width: NDArray[np.float64] = offsets_hz[first]
    # On the straight line between the points beside the crossing.
    rows = np.flatnonzero(below.any(axis=1))
    high, low = correlation[rows, first[rows] - 1], correlation[rows, first[rows]]
    width[rows] -= (offsets_hz[1]) * (_COHERENCE - low) / np.maximum(high - low, 1e-12)
    return width


def effective_snr_db(
    transfer: NDArray[np.complex128],
    *,
    noise_density: NDArray[np.float64],
    bandwidth_hz: float,
) -> NDArray[np.float64]:
    """Return the SNR behind an ideal MMSE equaliser of a single carrier over the band, (N,) [dB].

    1 / mean_f(1 / (1 + |H(f)|^2 / (N0 B))) - 1: what decides a PhyDNN's symbol errors.

    Args:
        transfer: Responses, (N, F).
        noise_density: N0, (N,) [full scale^2 / Hz].
        bandwidth_hz: B [Hz].
    """
    snr = np.square(np.abs(transfer)) / (noise_density * bandwidth_hz)[:, None]
    error = (1.0 / (1.0 + snr)).mean(axis=1)
    result: NDArray[np.float64] = 10.0 * np.log10(np.maximum(1.0 / error - 1.0, 1e-12))
    return result


def coherence_steps(gains: NDArray[np.complex128], *, look_ahead: int) -> NDArray[np.int64]:
    """Return after how many steps the response of each frame is another one, (S, N - look_ahead).

    The likeness of frames n and n + k, whatever their carrier phases, is
    2 |x_n^H x_m| / (|x_n|^2 + |x_m|^2), m = n + k: 1 for the same response, less as its paths move
    against one another or its power changes. Counted is the first k below 0.7; look_ahead + 1 where
    there is none.

    Args:
        gains: Responses on orthogonal axes at equal steps of time, (S, N, P): S stretches.
        look_ahead: Steps to look ahead, 1 ... N - 1.
    """
    count = gains.shape[1] - look_ahead
    energy = np.square(np.abs(gains)).sum(axis=2)
    steps = np.full((len(gains), count), look_ahead + 1, np.int64)
    for step in range(look_ahead, 0, -1):
        product = (gains[:, :count].conj() * gains[:, step : step + count]).sum(axis=2)
        mean = 0.5 * (energy[:, :count] + energy[:, step : step + count])
        steps[np.abs(product) < _LIKENESS * mean] = step
    return steps
