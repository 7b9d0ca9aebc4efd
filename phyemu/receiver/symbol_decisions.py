"""What points say of the symbols sent, of a stream of frames: in one pass, without gradients."""

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import Constellation
from phyemu.waveform.posterior_kernel import least_errors, posteriors

__all__ = ["nearest_errors", "probabilities"]


def probabilities(
    points: NDArray[np.complex64],
    constellation: Constellation,
    noise_variance: NDArray[np.floating],
    *,
    out: NDArray[np.float32],
) -> None:
    """Write what `symbol_posteriors` says of points to `out`, (num_symbols, M).

    Args:
        points: (num_symbols,), contiguous.
        constellation: On the CPU.
        noise_variance: Total complex variance of the noise, of each or of all, (num_symbols,) or
            (1,), > 0.
        out: Contiguous.
    """
    x, y = _coordinates(constellation)
    posteriors(points, noise_variance.astype(np.float32, copy=False), x, y, out)


def nearest_errors(
    points: NDArray[np.complex64], constellation: Constellation
) -> NDArray[np.float32]:
    """Return what `squared_errors` says of points, (num_symbols,).

    Args:
        points: (num_symbols,), contiguous.
        constellation: On the CPU.
    """
    errors = np.empty(len(points), np.float32)
    least_errors(points, *_coordinates(constellation), errors)
    return errors


def _coordinates(
    constellation: Constellation,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    values = constellation.points.detach().numpy()
    return np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag)
