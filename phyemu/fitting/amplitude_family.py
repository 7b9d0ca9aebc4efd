"""Which fading distribution the amplitudes of a path prefer, the estimation noise accounted for.

The least Bayesian information criterion decides (Schwarz 1978), counted in effective frames; as
steady and diffuse parts are what physics has to offer, Nakagami and log-normal must beat both Rice
and Rayleigh by ln 3, where positive evidence begins (Kass, Raftery 1995).

A measured amplitude is that of r exp(j phase) plus CN(0, c) with c known. Rician (Rayleigh) fading
stays Rician (Rayleigh) under that noise; Nakagami and log-normal fading are convolved with it
numerically: p(x) = integral of Rice(x; r, c) f(r) dr over the few sqrt(c) about x that count.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from phyemu.channel import FadingFamily
from phyemu.fitting.interval import Interval

__all__ = ["AmplitudeFit", "fit_amplitude_families"]

_NODES = np.linspace(-6.0, 6.0, 73)
_MAX_AMPLITUDES = 1000
_MAX_LOG_K = math.log(1e5)
_MIN_LOG_K = math.log(1e-4)
_PARAMETERS = {"rayleigh": 1, "rician": 2, "nakagami": 2, "lognormal": 2}
_MIN_PRICE = 1.0  # [nat] of a parameter, as in Akaike's criterion, where frames are few
_POSITIVE_EVIDENCE = math.log(3.0)
_STEP = 0.02  # of ln shape, for the curvature of the likelihood


@dataclass(frozen=True, kw_only=True, slots=True)
class AmplitudeFit:
    """The families at their most likely parameters.

    Attributes:
        family: The chosen one.
        log_likelihoods: Mean log-likelihood per frame of each [nat].
        k_factor: Most likely Rician K, linear.
        shapes: Most likely Nakagami m and standard deviation of the log-normal ln |g|, with the
            95 % interval that the curvature of the likelihood gives, by family.
    """

    family: FadingFamily
    log_likelihoods: dict[str, float]
    k_factor: float
    shapes: dict[str, Interval]


def fit_amplitude_families(
    amplitudes: NDArray[np.float64],
    *,
    error_variance: NDArray[np.float64],
    effective_frames: float,
) -> AmplitudeFit:
    """Return which of Rician, Rayleigh, Nakagami and log-normal the amplitudes prefer.

    Args:
        amplitudes: Measured |x_n|, (N,), >= 0.
        error_variance: Total complex variance c_n of the error of each, (N,), > 0.
        effective_frames: Independent frames that the N are worth, >= 1.
    """
    if len(amplitudes) > _MAX_AMPLITUDES:
        chosen = np.linspace(0, len(amplitudes) - 1, _MAX_AMPLITUDES).astype(int)
        amplitudes, error_variance = amplitudes[chosen], error_variance[chosen]
        effective_frames = min(effective_frames, float(_MAX_AMPLITUDES))
    mean_power = float(np.square(amplitudes).mean())
    scale = math.sqrt(mean_power) or 1.0
    x, c = amplitudes / scale, error_variance / scale**2
    noise = float(c.mean())
    power = max(1.0 - noise, 1e-3)
    # What Rice, Nakagami and log-normal have in common: the relative variance of the power.
    spread = max(float(np.square(x).var()) - noise**2 - 2.0 * power * noise, 1e-4) / power**2
    results: dict[str, float] = {}

    def rician(parameters: NDArray[np.float64]) -> float:
        total, k_factor = math.exp(parameters[0]), math.exp(parameters[1])
        diffuse = total / (1.0 + k_factor)
        return float(_rice_log_pdf(x, math.sqrt(total - diffuse), diffuse + c).mean())

    results["rayleigh"], _ = _maximise(
        lambda q: rician(np.array([q[0], -math.inf])), [math.log(power)], [(-7.0, 3.0)]
    )
    # Moment start (Greenstein 1999): E|x|^4 / (E|x|^2)^2 = 1 + (1 + 2K) / (1 + K)^2.
    root = math.sqrt(max(1.0 - spread, 0.0))
    start = math.log(min(max(root / max(1.0 - root, 1e-4), 1e-3), 1e4))
    results["rician"], best = _maximise(
        rician, [math.log(power), start], [(-7.0, 3.0), (_MIN_LOG_K, _MAX_LOG_K)]
    )
    k_factor = math.exp(best[1])
    radii, kernel = _kernel(x, c)

    def nakagami(parameters: NDArray[np.float64]) -> float:
        total, shape = math.exp(parameters[0]), math.exp(parameters[1])
        log_pdf = (
            math.log(2.0)
            + shape * (math.log(shape) - math.log(total))
            - special.gammaln(shape)
            + (2.0 * shape - 1.0) * np.log(radii)
            - shape / total * np.square(radii)
        )
        return _mixed(log_pdf, kernel)

    def lognormal(parameters: NDArray[np.float64]) -> float:
        centre, sigma = parameters[0], math.exp(parameters[1])
        deviation = (np.log(radii) - centre) / sigma
        log_pdf = (
            -0.5 * np.square(deviation)
            - np.log(radii)
            - math.log(sigma)
            - 0.5 * math.log(2.0 * math.pi)
        )
        return _mixed(log_pdf, kernel)

    shape = min(max(1.0 / spread, 0.3), 5e3)
    results["nakagami"], of_nakagami = _maximise(
        nakagami,
        [math.log(power), math.log(shape)],
        [(-7.0, 3.0), (math.log(0.2), math.log(1e4))],
    )
    sigma = 0.5 * math.sqrt(math.log1p(spread))
    results["lognormal"], of_lognormal = _maximise(
        lognormal,
        [0.5 * math.log(power) - sigma**2, math.log(max(sigma, 0.01))],
        [(-4.0, 2.0), (math.log(0.005), math.log(3.0))],
    )
    return AmplitudeFit(
        family=_choose(results, effective_frames),
        log_likelihoods=results,
        k_factor=k_factor,
        shapes={
            "nakagami": _shape(nakagami, of_nakagami, effective_frames),
            "lognormal": _shape(lognormal, of_lognormal, effective_frames),
        },
    )


def _choose(log_likelihoods: dict[str, float], effective_frames: float) -> FadingFamily:
    price = max(_MIN_PRICE, 0.5 * math.log(max(effective_frames, 2.0)))
    scores = {
        family: effective_frames * log_likelihoods[family]
        - price * _PARAMETERS[family]
        - (_POSITIVE_EVIDENCE if family.reshapes else 0.0)
        for family in FadingFamily
    }
    return max(scores, key=lambda family: scores[family])


def _shape(
    likelihood: Callable[[NDArray[np.float64]], float],
    best: NDArray[np.float64],
    effective_frames: float,
) -> Interval:
    """Return exp(best[1]) with its interval, from the curvature with best[0] free to follow."""

    def at(first: float, second: float) -> float:
        return likelihood(best + _STEP * np.array([first, second]))

    middle = at(0, 0)
    bend = np.array(
        [
            [2.0 * middle - at(1, 0) - at(-1, 0), 0.0],
            [0.0, 2.0 * middle - at(0, 1) - at(0, -1)],
        ]
    )
    bend[0, 1] = bend[1, 0] = -(at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4.0
    information = bend * effective_frames / _STEP**2
    value = math.exp(best[1])
    determinant = float(information[0, 0] * information[1, 1] - information[0, 1] ** 2)
    if not (determinant > 0 and information[0, 0] > 0):
        return Interval(value=value, low=0.0, high=math.inf)
    half = math.sqrt(float(information[0, 0]) / determinant)
    half *= float(special.stdtrit(max(effective_frames - 1.0, 1.0), 0.975))
    return Interval(
        value=value, low=value * math.exp(-half), high=value * math.exp(min(half, 50.0))
    )


def _rice_log_pdf(
    x: NDArray[np.float64], r: NDArray[np.float64] | float, c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ln of the density of |r + CN(0, c)| at x."""
    x = np.maximum(x, 1e-9)
    argument = 2.0 * x * r / c
    value: NDArray[np.float64] = (
        np.log(2.0 * x / c) - np.square(x - r) / c + np.log(special.i0e(argument))
    )
    return value


def _kernel(
    x: NDArray[np.float64], c: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return radii (N, nodes) about each amplitude and ln(Rice(x; r, c) dr) at them."""
    width = np.sqrt(c / 2.0)[:, None]
    low = np.maximum(x[:, None] + _NODES[0] * width, 1e-3 * width)
    high = x[:, None] + _NODES[-1] * width
    share = (np.arange(len(_NODES)) + 0.5) / len(_NODES)
    radii = low + (high - low) * share
    step = (high - low) / len(_NODES)
    return radii, _rice_log_pdf(x[:, None], radii, c[:, None]) + np.log(step)


def _mixed(log_pdf: NDArray[np.float64], kernel: NDArray[np.float64]) -> float:
    return float(special.logsumexp(log_pdf + kernel, axis=1).mean())


def _maximise(
    likelihood: Callable[[NDArray[np.float64]], float],
    start: list[float],
    bounds: list[tuple[float, float]],
) -> tuple[float, NDArray[np.float64]]:
    """Return the largest value within the bounds, and where."""
    inside = [min(max(value, low), high) for value, (low, high) in zip(start, bounds, strict=True)]
    low = np.array([bound[0] for bound in bounds])
    high = np.array([bound[1] for bound in bounds])

    def cost(parameters: NDArray[np.float64]) -> float:
        kept = np.clip(parameters, low, high)
        outside = float(np.square(parameters - kept).sum())
        return outside - likelihood(kept)

    found = optimize.minimize(
        cost,
        np.array(inside),
        method="Nelder-Mead",
        options={"xatol": 1e-3, "fatol": 1e-6, "maxiter": 120},
    )
    return -float(found.fun), np.clip(np.asarray(found.x, np.float64), low, high)
