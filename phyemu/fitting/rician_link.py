"""Maximum likelihood of jointly Rician paths behind a common carrier phase.

A frame's gains are measured as x = exp(j theta) (mu + d) + e: specular parts mu, diffuse parts
d ~ CN(0, Sigma), estimation error e ~ CN(0, C) of known covariance, and a carrier phase theta that
is new in each frame (oscillators run between frames) and common to all paths. Integrated over theta
and d, with S = Sigma + C,

    ln p(x) = -ln det(pi S) - x^H S^-1 x - mu^H S^-1 mu + ln I0(2 |mu^H S^-1 x|),

so neither the phase nor the noise biases mu and Sigma. Maximised by expectation-maximisation
(Dempster, Laird, Rubin 1977): given x, theta is von Mises distributed about arg(mu^H S^-1 x).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from phyemu.fitting.path_gains import PathGains

__all__ = ["RicianLink", "fit_rician_link", "link_log_likelihoods"]

_MAX_ITERATIONS = 400
_TOLERANCE = 1e-6  # [nat per frame] gained by an iteration
_MIN_DIFFUSE = 1e-6  # of the link's power: no record can tell less
_MAX_LEVELS = 5
_LEVEL_RATIO = 1.1  # noise levels within this ratio are taken as one


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RicianLink:
    """Second-order description of a link.

    Attributes:
        specular: mu, (P,), complex128; the first non-zero entry is real.
        covariance: Sigma, (P, P), complex128, Hermitian, positive semidefinite.
        log_likelihood: Mean over the frames [nat].
    """

    specular: NDArray[np.complex128]
    covariance: NDArray[np.complex128]
    log_likelihood: float

    @property
    def powers(self) -> NDArray[np.float64]:
        """Mean power of each path, (P,)."""
        powers: NDArray[np.float64] = np.square(np.abs(self.specular)) + self.diffuse
        return powers

    @property
    def diffuse(self) -> NDArray[np.float64]:
        """Power of each path's diffuse part, (P,)."""
        return np.diag(self.covariance).real

    @property
    def k_factor(self) -> NDArray[np.float64]:
        """Rician K of each path, linear, (P,)."""
        factor: NDArray[np.float64] = np.square(np.abs(self.specular)) / np.maximum(
            self.diffuse, _MIN_DIFFUSE * self.powers.sum()
        )
        return factor


def fit_rician_link(
    paths: PathGains,
    *,
    specular: NDArray[np.bool_],
    correlated: bool,
    start: RicianLink | None = None,
    max_iterations: int = _MAX_ITERATIONS,
) -> RicianLink:
    """Return the link that makes the measured gains most likely.

    Args:
        paths: Measured gains and their error covariance.
        specular: Which paths may have a specular part, (P,).
        correlated: Whether diffuse parts may be correlated.
        start: Where to begin; by default from moments.
        max_iterations: Most iterations.
    """
    scale = float(np.sqrt(np.square(np.abs(paths.gains)).sum(axis=1).mean())) or 1.0
    groups = _noise_groups(paths, scale)
    if start is None:
        mean, covariance = _moments(groups, specular)
    else:
        mean, covariance = start.specular / scale, start.covariance / scale**2
        mean = np.where(specular, mean, 0.0)
    if not correlated:
        covariance = np.diag(np.diag(covariance).real).astype(np.complex128)
    previous = -np.inf
    for _ in range(max_iterations):
        likelihood, new_mean, new_covariance = _step(groups, mean, covariance, specular)
        if likelihood - previous < _TOLERANCE:
            break
        previous, mean = likelihood, new_mean
        covariance = (
            new_covariance
            if correlated
            else np.diag(np.diag(new_covariance).real).astype(np.complex128)
        )
    significant = np.flatnonzero(np.abs(mean) > 0)
    if len(significant):
        mean = mean * np.exp(-1j * np.angle(mean[significant[0]]))
    found = RicianLink(
        specular=mean * scale,
        covariance=0.5 * (covariance + covariance.conj().T) * scale**2,
        log_likelihood=0.0,
    )
    return RicianLink(
        specular=found.specular,
        covariance=found.covariance,
        log_likelihood=float(link_log_likelihoods(paths, found).mean()),
    )


def link_log_likelihoods(paths: PathGains, link: RicianLink) -> NDArray[np.float64]:
    """Return ln p(x_n) of each frame under `link`, (N,) [nat]."""
    result = np.empty(len(paths.gains))
    scale = float(np.sqrt(link.powers.sum())) or 1.0
    for group in _noise_groups(paths, scale):
        total = link.covariance / scale**2 + group.noise
        inverse, log_det = _inverse(total)
        mean = link.specular / scale
        projected = group.gains @ inverse.T
        exponent = 2.0 * np.abs(projected @ mean.conj())
        result[group.index] = (
            -log_det
            - paths.num_paths * np.log(np.pi * scale**2)
            - (group.gains.conj() * projected).sum(axis=1).real
            - float((mean.conj() @ inverse @ mean).real)
            + np.log(special.i0e(exponent))
            + exponent
        )
    return result


@dataclass(frozen=True, eq=False, slots=True)
class _Group:
    """Frames of nearly the same noise level."""

    index: NDArray[np.int64]
    gains: NDArray[np.complex128]
    noise: NDArray[np.complex128]
    second_moment: NDArray[np.complex128]


def _noise_groups(paths: PathGains, scale: float) -> list[_Group]:
    """Return the frames, scaled, in up to five groups of like noise level."""
    level = paths.noise_level
    order = np.argsort(level, kind="stable")
    ratio = float(level.max() / level.min())
    count = min(_MAX_LEVELS, len(level), 1 + int(np.log(ratio) / np.log(_LEVEL_RATIO)))
    groups = []
    for index in np.array_split(order, count):
        gains = paths.gains[index] / scale
        groups.append(
            _Group(
                index=index,
                gains=gains,
                noise=paths.noise_shape * (float(level[index].mean()) / scale**2),
                second_moment=gains.T @ gains.conj(),
            )
        )
    return groups


def _inverse(matrix: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], float]:
    """Return the inverse and the log-determinant of a Hermitian matrix, kept positive."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.conj().T))
    # Gains are scaled to unit power: what varies less than -200 dB of it does not vary.
    values = np.maximum(values, 1e-14 * max(float(values[-1]), 1e-6))
    return (vectors / values) @ vectors.conj().T, float(np.log(values).sum())


def _moments(
    groups: list[_Group], specular: NDArray[np.bool_]
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return a start: the strongest common direction, and what varies about it."""
    gains = np.concatenate([group.gains for group in groups])
    count = len(gains)
    second = gains.T @ gains.conj() / count
    noise = np.sum([group.noise * (len(group.index) / count) for group in groups], axis=0)
    _, vectors = np.linalg.eigh(second)
    mean = vectors[:, -1]
    for _ in range(5):
        mean = (gains * np.exp(-1j * np.angle(gains @ mean.conj()))[:, None]).mean(axis=0)
    mean = np.where(specular, mean, 0.0)
    covariance = second - noise - np.outer(mean, mean.conj())
    values, vectors = np.linalg.eigh(covariance)
    floor = 1e-6 * float(np.trace(second).real)
    return mean, (vectors * np.maximum(values, floor)) @ vectors.conj().T


def _step(
    groups: list[_Group],
    mean: NDArray[np.complex128],
    covariance: NDArray[np.complex128],
    specular: NDArray[np.bool_],
) -> tuple[float, NDArray[np.complex128], NDArray[np.complex128]]:
    """Return (log-likelihood per frame at the old values, new mean, new covariance)."""
    num_paths = len(mean)
    count = sum(len(group.index) for group in groups)
    likelihood = 0.0
    first = np.zeros(num_paths, np.complex128)
    second = np.zeros((num_paths, num_paths), np.complex128)
    for group in groups:
        inverse, log_det = _inverse(covariance + group.noise)
        share = len(group.index)
        match = group.gains @ (inverse.T @ mean.conj())
        exponent = 2.0 * np.abs(match)
        scaled = special.i0e(exponent)
        likelihood += (
            -share * (log_det + float((mean.conj() @ inverse @ mean).real))
            - float(np.einsum("ij,ji->", inverse, group.second_moment).real)
            + float((np.log(scaled) + exponent).sum())
        )
        # E[exp(-j theta)] of the von Mises posterior; then the derotated gains given that.
        turn = special.i1e(exponent) / scaled * np.exp(-1j * np.angle(match))
        derotated = turn @ group.gains
        weight = covariance @ inverse
        rest = mean - weight @ mean
        through = weight @ derotated
        first += share * rest + through
        cross = np.outer(through, rest.conj())
        second += (
            share * (covariance - weight @ covariance + np.outer(rest, rest.conj()))
            + weight @ group.second_moment @ weight.conj().T
            + cross
            + cross.conj().T
        )
    first, second = first / count, second / count
    new_mean = _constrained(first, covariance, specular)
    cross = np.outer(first, new_mean.conj())
    new_covariance = second - cross - cross.conj().T + np.outer(new_mean, new_mean.conj())
    return likelihood / count, new_mean, 0.5 * (new_covariance + new_covariance.conj().T)


def _constrained(
    mean: NDArray[np.complex128],
    covariance: NDArray[np.complex128],
    specular: NDArray[np.bool_],
) -> NDArray[np.complex128]:
    """Return the most likely mean whose entries outside `specular` are 0."""
    if specular.all():
        return mean
    constrained = np.zeros_like(mean)
    if specular.any():
        precision, _ = _inverse(covariance)
        kept, dropped = np.flatnonzero(specular), np.flatnonzero(~specular)
        block = precision[np.ix_(kept, kept)]
        pull = precision[np.ix_(kept, dropped)] @ mean[dropped]
        constrained[kept] = mean[kept] + np.linalg.solve(block, pull)
    return constrained
