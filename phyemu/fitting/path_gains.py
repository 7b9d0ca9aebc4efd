"""Gains of the paths in every frame, with the covariance of their estimation error."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.fitting.link_frames import LinkFrames
from phyemu.sounding.path_problem import steering_vectors
from phyemu.sounding.paths import PathModel, extract_paths

__all__ = ["PathGains", "find_paths", "project_frames"]

_DYNAMIC_RANGE_DB = 35.0
_FALSE_PATH_RATE = 1e-3
# Closer paths would share the fading of one tap among them, and K would be that of none.
_MIN_DISTANCE = 0.7
_PARAMETERS_OF_A_PATH = 3  # delay, power, K


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PathGains:
    """Least-squares gains x_n = g_n + e_n, e_n ~ CN(0, noise_level_n noise_shape).

    Attributes:
        delays_s: Common delays, (P,), float64, ascending [s].
        gains: x_n, (N, P), complex128.
        noise_level: Mean error variance of a response value, (N,), float64.
        noise_shape: Error covariance of the gains at unit level, (P, P), complex128, Hermitian.
    """

    delays_s: NDArray[np.float64]
    gains: NDArray[np.complex128]
    noise_level: NDArray[np.float64]
    noise_shape: NDArray[np.complex128]

    @property
    def num_paths(self) -> int:
        """Number of paths, P."""
        return len(self.delays_s)

    @property
    def error_variance(self) -> NDArray[np.float64]:
        """Variance of the error of each gain, (N, P)."""
        variance: NDArray[np.float64] = np.outer(self.noise_level, np.diag(self.noise_shape).real)
        return variance

    def select(self, index: NDArray[np.int64]) -> "PathGains":
        """Return the gains of the frames at `index`."""
        return PathGains(
            delays_s=self.delays_s,
            gains=self.gains[index],
            noise_level=self.noise_level[index],
            noise_shape=self.noise_shape,
        )

    def scaled(self, amplitude: NDArray[np.float64]) -> "PathGains":
        """Return the gains times a positive factor of each frame, (N,), errors alike."""
        return PathGains(
            delays_s=self.delays_s,
            gains=self.gains * amplitude[:, None],
            noise_level=self.noise_level * np.square(amplitude),
            noise_shape=self.noise_shape,
        )


def project_frames(frames: LinkFrames, delays_s: NDArray[np.float64]) -> PathGains:
    """Return the weighted least-squares gains at known delays.

    x_n = (A^H W A)^-1 A^H W H_n, W the inverse of the noise's mean shape over frequency; together
    with `noise_level` and `noise_shape` they hold all that H_n says about the gains.

    Args:
        frames: Frames of a link.
        delays_s: (P,), distinct, P <= F [s].
    """
    level = frames.noise_variance.mean(axis=1)
    shape = (frames.noise_variance / level[:, None]).mean(axis=0)
    vectors = steering_vectors(frames.frequencies_hz, delays_s) / np.sqrt(shape)[:, None]
    basis, triangle = np.linalg.qr(vectors)
    inverse = np.linalg.pinv(triangle)
    gains = (frames.transfer / np.sqrt(shape)) @ basis.conj() @ inverse.T
    return PathGains(
        delays_s=delays_s,
        gains=gains,
        noise_level=level,
        noise_shape=inverse @ inverse.conj().T,
    )


def find_paths(frames: LinkFrames, *, max_paths: int) -> PathGains:
    """Return the paths that the Bayesian information criterion supports, with their gains.

    Sounding's pursuit proposes delays; a path stays when it raises the likelihood of the frames by
    more than (3 / 2) ln N (Schwarz 1978), noise against noise plus a fading path.

    Args:
        frames: Frames of a link.
        max_paths: Most paths, >= 1.
    """
    response = extract_paths(
        frames.transfer.astype(np.complex64),
        noise_variance=frames.noise_variance,
        frequencies_hz=frames.frequencies_hz,
        period_s=frames.period_s,
        interval_s=max(frames.interval_s, 1e-9),
        model=PathModel(
            max_paths=max_paths,
            dynamic_range_db=_DYNAMIC_RANGE_DB,
            false_path_rate=_FALSE_PATH_RATE,
            min_distance=_MIN_DISTANCE,
        ),
    )
    paths = project_frames(frames, np.sort(response.delays_s.numpy()))
    price = 0.5 * _PARAMETERS_OF_A_PATH * math.log(max(frames.num_frames, 2))
    while paths.num_paths > 1:
        worth = _evidence(paths)
        if worth.min() >= price:
            break
        paths = project_frames(frames, np.delete(paths.delays_s, int(worth.argmin())))
    return paths


def _evidence(paths: PathGains) -> NDArray[np.float64]:
    """Return the gain in log-likelihood that each path brings over noise alone, (P,)."""
    # In units of the noise, y = |x|^2 / c is exponential of mean 1, with a path of mean 1 + s.
    normalised = np.square(np.abs(paths.gains)) / paths.error_variance
    mean = np.maximum(normalised.mean(axis=0), 1.0)
    evidence: NDArray[np.float64] = (-np.log(mean) + normalised * (1.0 - 1.0 / mean)).sum(axis=0)
    return evidence
