"""Phase noise and IQ imbalance from the residues that a linear channel cannot explain."""

import math

import numpy as np
from numpy.typing import NDArray

from phyemu.sounding.front_end import Estimate

__all__ = ["estimate_iq_imbalance", "estimate_linewidth"]


def estimate_linewidth(
    phase_rad: NDArray[np.float64], *, phase_variance: NDArray[np.float64], step_s: float
) -> Estimate:
    """Return the linewidth of Wiener phase noise from phases in consecutive stretches [Hz].

    A Wiener phase of linewidth L has increments of variance 2 pi L T. Averaged over stretches of
    T and detrended by a line (mean and CFO were fitted), its sum of squares has the mean
    2 pi L T tr(M C) + sigma^2 tr(M), with C the covariance of the averages at unit rate and M the
    projection off the line. The variance of that quadratic form gives the standard error.

    Args:
        phase_rad: N series of R phases, (N, R), R >= 4 [rad].
        phase_variance: Variance that the noise alone gives each phase, (N,) [rad^2].
        step_s: T, length of a stretch and distance of two [s].

    Returns:
        The linewidth, never below 0; unknown for fewer than 4 phases.
    """
    series, count = phase_rad.shape
    if count < 4:
        return Estimate()
    index = np.arange(count)
    # Averages over [k, k + 1] of a unit Wiener process W: cov = min(j, k) + 1/2, variance k + 1/3.
    covariance = np.minimum.outer(index, index) + 0.5
    covariance[index, index] = index + 1.0 / 3.0
    basis = np.linalg.qr(np.stack([np.ones(count), index - index.mean()], axis=1))[0]
    off_line = np.eye(count) - basis @ basis.T
    squares = np.einsum("nr,rs,ns->n", phase_rad, off_line, phase_rad)
    per_rate = float(np.trace(off_line @ covariance))
    excess = squares - phase_variance * (count - 2)
    rate = float(np.mean(excess)) / per_rate  # rad^2 per stretch
    model = max(rate, 0.0) * covariance + float(np.mean(phase_variance)) * np.eye(count)
    quadratic = off_line @ model
    variance = 2.0 * float(np.trace(quadratic @ quadratic)) / series / per_rate**2
    to_linewidth = 1.0 / (2.0 * np.pi * step_s)
    return Estimate(
        value=max(rate, 0.0) * to_linewidth, std=float(np.sqrt(variance)) * to_linewidth
    )


def estimate_iq_imbalance(
    received: NDArray[np.complex128], modelled: NDArray[np.complex128]
) -> tuple[Estimate, Estimate]:
    """Return the receiver's IQ gain [dB] and phase [rad] imbalance from its image.

    The receiver delivers I + j g (Q cos p - I sin p) = a u + b conj(u), a = (1 + g e^(-jp)) / 2,
    b = (1 - g e^(jp)) / 2. Against a model v of a u, the residue b conj(u) = k conj(v) with
    k = b / conj(a), and g e^(jp) = (1 - k) / (1 + k).

    Args:
        received: Samples without DC, of any shape.
        modelled: The same samples from the estimated paths, of the same shape.

    Returns:
        Gain of Q over I [dB] and phase [rad], with standard errors from what is left over.
    """
    image = modelled.conj().ravel()
    energy = float(np.vdot(image, image).real)
    if energy <= 0.0:
        return Estimate(), Estimate()
    # The samples are not proper (v v does not average out): fit v and conj(v) together.
    basis = np.stack([modelled.ravel(), image], axis=1)
    gram = basis.conj().T @ basis
    if np.linalg.cond(gram) > 1e6:
        return Estimate(), Estimate()
    solution = np.linalg.solve(gram, basis.conj().T @ received.ravel())
    residue = received.ravel() - basis @ solution
    noise = float(np.vdot(residue, residue).real) / residue.size
    ratio = complex(solution[1] / np.conj(solution[0]))
    std = math.sqrt(noise * float(np.linalg.inv(gram)[1, 1].real) / 2.0) / abs(complex(solution[0]))
    imbalance = (1.0 - ratio) / (1.0 + ratio)
    # d(g e^(jp)) = -2 dk / (1 + k)^2; each real part of k has the error `std`.
    error = 2.0 * std / abs(1.0 + ratio) ** 2
    return (
        Estimate(
            value=20.0 * math.log10(abs(imbalance)),
            std=20.0 / math.log(10.0) * error / abs(imbalance),
        ),
        Estimate(value=float(np.angle(imbalance)), std=error / abs(imbalance)),
    )
