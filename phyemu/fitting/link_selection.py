"""Which link the record supports: with or without specular parts, correlated or not."""

import math

import numpy as np
from numpy.typing import NDArray

from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink, fit_rician_link, link_log_likelihoods

__all__ = ["select_link", "with_marginal_k"]

_RANKS = (1, 2, 4, 8)
_MAX_CORRELATED_SHARE = 0.5  # at most this many parameters per independent frame and path


def select_link(paths: PathGains, *, effective_frames: float) -> RicianLink:
    """Return the link of least Bayesian information criterion.

    Candidates: no specular part; specular parts in the k most Rician paths, k = 1 ... P; each with
    independent diffuse parts; none, and the best of them, with diffuse parts that share 1, 2, 4 ...
    common causes, or are correlated at will. Taps closer than the band can tell apart show as
    several paths that fade as one: without common causes those would pass for steady, as their
    phases are fixed to one another. Frames that fading
    correlates repeat themselves, so the log-likelihood counts as many frames as they are worth:
    N_eff (mean log-likelihood) - (parameters / 2) ln N_eff.

    Args:
        paths: Measured gains.
        effective_frames: Independent frames that the record is worth, >= 1.
    """
    num_paths = paths.num_paths
    weight = max(effective_frames, 1.0)
    price = 0.5 * math.log(max(weight, 2.0))
    none = np.zeros(num_paths, bool)
    best = fit_rician_link(paths, specular=none, correlated=False)
    best_score = weight * best.log_likelihood - price * num_paths
    full = fit_rician_link(paths, specular=~none, correlated=False)
    order = np.argsort(-full.k_factor, kind="stable")
    mask = none.copy()
    for count, path in enumerate(order, start=1):
        mask[path] = True
        start = full if count == num_paths else _restricted(full, mask)
        link = fit_rician_link(paths, specular=mask.copy(), correlated=False, start=start)
        score = weight * link.log_likelihood - price * (num_paths + 2 * count - 1)
        if score > best_score:
            best, best_score = link, score
    if 1 < num_paths <= _MAX_CORRELATED_SHARE * weight:
        masks = {tuple(none): none, tuple(best.specular != 0): best.specular != 0}
        for chosen in masks.values():
            whole = fit_rician_link(paths, specular=chosen, correlated=True)
            for rank in _ranks(num_paths):
                link = _with_rank(whole, rank, paths) if rank < num_paths else whole
                shared = 2 * num_paths * rank - rank**2 if rank < num_paths else num_paths**2
                parameters = shared + (num_paths if rank < num_paths else 0)
                parameters += max(2 * int(chosen.sum()) - 1, 0)
                score = weight * link.log_likelihood - price * parameters
                if score > best_score:
                    best, best_score = link, score
    return best


def _ranks(num_paths: int) -> list[int]:
    """Return the numbers of common causes that are tried; the last is the full covariance."""
    return [rank for rank in _RANKS if rank < num_paths // 2] + [num_paths]


def _with_rank(link: RicianLink, rank: int, paths: PathGains) -> RicianLink:
    """Return the link with its correlation reduced to a few common causes of all paths.

    Principal factors: the strongest eigenvectors of the correlation matrix, and on the diagonal
    what they leave of each path's power.
    """
    size = np.sqrt(np.maximum(link.diffuse, 1e-300))
    values, vectors = np.linalg.eigh(link.covariance / np.outer(size, size))
    common = (vectors[:, -rank:] * values[-rank:]) @ vectors[:, -rank:].conj().T
    rest = np.maximum(1.0 - np.diag(common).real, 0.0)
    reduced = RicianLink(
        specular=link.specular,
        covariance=(common + np.diag(rest)) * np.outer(size, size),
        log_likelihood=0.0,
    )
    likelihood = float(link_log_likelihoods(paths, reduced).mean())
    return RicianLink(
        specular=reduced.specular, covariance=reduced.covariance, log_likelihood=likelihood
    )


def with_marginal_k(
    link: RicianLink, marginal_k: NDArray[np.float64], prefers_rice: NDArray[np.bool_]
) -> tuple[RicianLink, list[int]]:
    """Return the link with the K that amplitudes alone show, where the joint fit misses it.

    Specular parts whose phases wander against one another (a moving link) look diffuse to the joint
    fit, though each path's amplitude is Rician. Their powers are kept, their K is set.

    Args:
        link: The joint fit.
        marginal_k: K from the amplitudes, (P,), linear.
        prefers_rice: Which paths are Rician by their amplitudes, (P,).

    Returns:
        The link, and the indices of the paths that were changed.
    """
    missed = prefers_rice & (marginal_k > 1.0) & (link.k_factor < 0.5 * marginal_k)
    if not missed.any():
        return link, []
    powers = link.powers
    specular, covariance = link.specular.copy(), link.covariance.copy()
    diffuse = np.where(missed, powers / (1.0 + marginal_k), link.diffuse)
    phase = np.where(specular == 0, 0.0, np.angle(specular))
    size = np.where(missed, np.sqrt(powers - diffuse), np.abs(specular))
    specular = size * np.exp(1j * phase)
    shrink = np.sqrt(diffuse / np.maximum(link.diffuse, 1e-300))
    covariance = covariance * np.outer(shrink, shrink)
    changed = RicianLink(
        specular=specular, covariance=covariance, log_likelihood=link.log_likelihood
    )
    return changed, np.flatnonzero(missed).tolist()


def _restricted(link: RicianLink, mask: NDArray[np.bool_]) -> RicianLink:
    """Return the link with the specular power outside `mask` made diffuse."""
    dropped = np.where(mask, 0.0, np.square(np.abs(link.specular)))
    return RicianLink(
        specular=np.where(mask, link.specular, 0.0),
        covariance=link.covariance + np.diag(dropped),
        log_likelihood=link.log_likelihood,
    )
