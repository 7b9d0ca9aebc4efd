"""How likely frames are under a fit, and under the models one would take without a measurement.

Every model is a Gaussian response behind a common carrier phase, H = exp(j theta)(m + d) + noise.
Each gets the measured mean power, and a white model error whose power is chosen on the frames of
the fit, so that no model loses by a detail only because the noise is low.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from phyemu.channel import tgn_profile
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.rician_link import RicianLink
from phyemu.sounding.path_problem import steering_vectors

__all__ = ["compare_models"]

_MAX_FREQUENCIES = 96
_MAX_FRAMES = 200
_ERROR_DB = np.arange(-50.0, 1.0, 5.0)
_MAX_LEVELS = 4


@dataclass(frozen=True, eq=False, slots=True)
class _Response:
    """Mean m, (F,), and covariance of d, (F, F)."""

    mean: NDArray[np.complex128]
    covariance: NDArray[np.complex128]


def compare_models(
    fitted: LinkFrames, held_out: LinkFrames, *, delays_s: NDArray[np.float64], link: RicianLink
) -> Mapping[str, float]:
    """Return the mean log-likelihood of a held-out frame per frequency under each model [nat].

    Args:
        fitted: Frames of the fit; levels and model errors are taken from these.
        held_out: Frames to score.
        delays_s: Path delays of the fit, (P,) [s].
        link: The fit.

    Returns:
        By name: "fit"; "awgn" (one constant gain), "single-tap" (one Rician gain), "tgn-a" to
        "tgn-f" (Rayleigh, at the measured mean delay).
    """
    chosen = np.unique(np.linspace(0, len(fitted.frequencies_hz) - 1, _MAX_FREQUENCIES).astype(int))
    frequencies_hz = fitted.frequencies_hz[chosen]
    power = max(float(fitted.received_power.mean()), 1e-300)
    vectors = steering_vectors(frequencies_hz, delays_s)
    mean_delay_s = float(link.powers @ delays_s / link.powers.sum())
    flat = steering_vectors(frequencies_hz, np.array([mean_delay_s]))
    level = np.maximum(fitted.received_power, 0.0)
    spread = float(level.var()) / power**2
    k_share = math.sqrt(max(1.0 - spread, 0.0))  # of a Rician gain with that relative variance
    models = {
        "fit": _Response(vectors @ link.specular, vectors @ link.covariance @ vectors.conj().T),
        "awgn": _Response(
            math.sqrt(power) * flat[:, 0], np.zeros((len(chosen), len(chosen)), np.complex128)
        ),
        "single-tap": _Response(
            math.sqrt(power * k_share) * flat[:, 0],
            power * (1.0 - k_share) * (flat @ flat.conj().T),
        ),
    }
    for letter in "ABCDEF":
        profile = tgn_profile(letter)
        powers = np.array(profile.powers)
        taps_s = np.array(profile.delays_s)
        taps_s = taps_s - float(powers @ taps_s / powers.sum()) + mean_delay_s
        taps = steering_vectors(frequencies_hz, taps_s)
        models[f"tgn-{letter.lower()}"] = _Response(
            np.zeros(len(chosen), np.complex128), (taps * (power * powers)) @ taps.conj().T
        )
    train, test = _thinned(fitted, chosen), _thinned(held_out, chosen)
    result = {}
    for name, response in models.items():
        scores = [_score(train, response, power * 10.0 ** (error / 10.0)) for error in _ERROR_DB]
        error = power * 10.0 ** (float(_ERROR_DB[int(np.argmax(scores))]) / 10.0)
        result[name] = _score(test, response, error)
    return result


def _thinned(
    frames: LinkFrames, columns: NDArray[np.int64]
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    rows = np.unique(
        np.linspace(0, frames.num_frames - 1, min(frames.num_frames, _MAX_FRAMES)).astype(int)
    )
    return frames.transfer[np.ix_(rows, columns)], frames.noise_variance[np.ix_(rows, columns)]


def _score(
    frames: tuple[NDArray[np.complex128], NDArray[np.float64]], response: _Response, error: float
) -> float:
    """Return the mean log-likelihood per frame and frequency."""
    transfer, noise = frames
    order = np.argsort(noise.mean(axis=1), kind="stable")
    total = 0.0
    for index in np.array_split(order, min(_MAX_LEVELS, len(order))):
        values, vectors = np.linalg.eigh(
            response.covariance + np.diag(noise[index].mean(axis=0) + error)
        )
        values = np.maximum(values, 1e-12 * values[-1])
        white = (transfer[index] @ vectors.conj()) / np.sqrt(values)
        mean = (vectors.conj().T @ response.mean) / np.sqrt(values)
        exponent = 2.0 * np.abs(white @ mean.conj())
        likelihood = (
            -float(np.log(np.pi * values).sum())
            - np.square(np.abs(white)).sum(axis=1)
            - float(np.square(np.abs(mean)).sum())
            + np.log(special.i0e(exponent))
            + exponent
        )
        total += float(likelihood.sum())
    return total / transfer.size
