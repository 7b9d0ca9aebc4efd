"""Symbols to constellation points, and received points to posteriors and decisions."""

import math

import numpy as np
import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.constellation import Constellation

__all__ = [
    "decide",
    "modulate",
    "modulate_probabilities",
    "psk_symbol_error_rate",
    "squared_errors",
    "symbol_posteriors",
]


def modulate(symbols: Tensor, constellation: Constellation) -> Tensor:
    """Return the point of each symbol, (..., num_symbols), complex64.

    Args:
        symbols: Indices 0..M-1, (..., num_symbols), int64.
        constellation: The points, on the device of `symbols`.

    Raises:
        SignalError: `symbols` is not int64 or holds an index that is no symbol.
    """
    if symbols.dtype != torch.int64:
        raise SignalError(f"symbols must be int64, got {symbols.dtype}")
    if symbols.numel():
        low, high = int(symbols.min()), int(symbols.max())
        if low < 0 or high >= constellation.order:
            raise SignalError(
                f"symbols must be 0..{constellation.order - 1} for {constellation.name} of order "
                f"{constellation.order}, got {low}..{high}"
            )
    return constellation.points[symbols]


def modulate_probabilities(probabilities: Tensor, constellation: Constellation) -> Tensor:
    """Return the mean point under each distribution, (..., num_symbols), complex.

    x = sum_m p_m c_m; for one-hot (straight-through) probabilities it is the point of the symbol.
    Gradients flow to `probabilities` and to the points.

    Args:
        probabilities: (..., num_symbols, M), float32 or float64.
        constellation: The points c_m.

    Raises:
        SignalError: The last dimension is not M, or the type is not floating.
    """
    if not probabilities.is_floating_point() or probabilities.shape[-1:] != (constellation.order,):
        raise SignalError(
            f"probabilities must be floating, (..., num_symbols, {constellation.order}), got "
            f"{probabilities.dtype} {tuple(probabilities.shape)}"
        )
    coordinates = torch.view_as_real(constellation.points).to(probabilities.dtype)
    if probabilities.ndim > 1 and probabilities.stride(-1) != 1:  # symbols in rows, as in _logits
        real, imaginary = (coordinates.T @ probabilities.mT).unbind(-2)
        return torch.complex(real, imaginary)
    return torch.view_as_complex((probabilities @ coordinates).contiguous())


def _logits(
    points: Tensor, constellation: Constellation, noise_variance: Tensor | None = None
) -> Tensor:
    """Return 2 Re(y c_m*) - |c_m|^2 = |y|^2 - |y - c_m|^2, (..., M, num_symbols).

    Divided by the noise variance, (..., num_symbols) or (1,), where there is one. Symbols come
    last: over some ten contiguous values, torch's reductions are ten times slower.
    """
    if not points.is_complex():
        raise SignalError(f"points must be complex, got {points.dtype}")
    received = torch.stack([points.real, points.imag], dim=-2)
    coordinates = torch.view_as_real(constellation.points).to(received.dtype)
    energies = coordinates.square().sum(-1)[:, None]
    if noise_variance is None:
        return coordinates @ (2.0 * received) - energies
    # Scaled before the product, which has M rows for two.
    variance = noise_variance[..., None, :]
    return coordinates @ (received * (2.0 / variance)) - energies / variance


def symbol_posteriors(
    points: Tensor, constellation: Constellation, *, noise_variance: Tensor | float
) -> Tensor:
    """Return the probability of each symbol given its received point, equal priors.

    p_m = softmax_m(-|y - c_m|^2 / sigma^2),  sigma^2 the total complex variance of the noise on y.

    Args:
        points: Received points y, (..., num_symbols), complex, scaled as the constellation.
        constellation: The points c_m.
        noise_variance: sigma^2 > 0: a number, or a tensor that broadcasts with `points`.

    Returns:
        (..., num_symbols, M), float32 (float64 for complex128); differentiable in `points`, the
        constellation's points and `noise_variance`.

    Raises:
        SignalError: `points` is not complex.
        ConfigError: The variance is not positive and finite (looked at on the CPU alone).
    """
    if not points.is_complex():
        raise SignalError(f"points must be complex, got {points.dtype}")
    variance = torch.as_tensor(noise_variance, dtype=points.real.dtype, device=points.device)
    variance = variance.reshape(variance.shape or (1,))
    # On a GPU the answer would be waited for in each step of a training.
    on_host = variance.device.type == "cpu"
    if on_host and not bool((torch.isfinite(variance) & (variance > 0)).all()):
        raise ConfigError(f"noise_variance must be positive and finite, got {noise_variance}")
    return torch.softmax(_logits(points, constellation, variance), dim=-2).transpose(-1, -2)


def squared_errors(points: Tensor, constellation: Constellation) -> Tensor:
    """Return |y - c|^2 to the nearest constellation point, (..., num_symbols), float64.

    Args:
        points: Received points y, (..., num_symbols), complex.
        constellation: The points c_m.

    Raises:
        SignalError: `points` is not complex.
    """
    # Two numbers near 1 are subtracted: that needs double precision.
    exact = points.detach().to(torch.complex128)
    energy = exact.real.square() + exact.imag.square()
    return (energy - _logits(exact, constellation).amax(-2)).clamp(min=0.0)


def decide(points: Tensor, constellation: Constellation) -> Tensor:
    """Return the symbol whose point is nearest, (..., num_symbols), int64.

    Args:
        points: Received points, (..., num_symbols), complex.
        constellation: The points c_m.

    Raises:
        SignalError: `points` is not complex.
    """
    logits = _logits(points.detach(), constellation)
    # torch's argmax over some ten rows takes ten times as long as comparing them one by one.
    best = logits[..., 0, :]
    symbols = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
    for symbol in range(1, constellation.order):
        candidate = logits[..., symbol, :]
        symbols.masked_fill_(candidate > best, symbol)
        best = torch.maximum(best, candidate)
    return symbols


def psk_symbol_error_rate(order: int, snr_db: float) -> float:
    """Return the symbol error rate of M-PSK in white noise with perfect synchronisation.

    P = 1/pi int_0^{pi - pi/M} exp(-snr sin^2(pi/M) / sin^2 t) dt    (Craig, MILCOM 1991)

    Args:
        order: M >= 2.
        snr_db: Symbol power over the total complex noise variance [dB].

    Raises:
        ConfigError: A value is out of range.
    """
    if order < 2 or not math.isfinite(snr_db):
        raise ConfigError(f"need order >= 2 and a finite snr_db, got {order=}, {snr_db=}")
    # 200 Gauss-Legendre nodes: the integrand is smooth (its essential zero at t = 0 included).
    nodes, weights = np.polynomial.legendre.leggauss(200)
    end = math.pi - math.pi / order
    angles = (nodes + 1.0) * end / 2.0
    exponent = 10 ** (snr_db / 10) * math.sin(math.pi / order) ** 2 / np.sin(angles) ** 2
    return float(np.dot(weights, np.exp(-exponent)) * end / (2.0 * math.pi))
