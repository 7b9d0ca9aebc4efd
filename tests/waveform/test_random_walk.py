"""The smoother, against a dense Gaussian computation."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from phyemu.waveform.random_walk import smooth_walk


def test_the_path_is_the_mean_of_the_gaussian_posterior() -> None:
    rng = np.random.default_rng(1)
    count, q = 30, 0.04
    information = rng.uniform(0.0, 20.0, count)
    information[5:9] = 0.0
    values = rng.standard_normal(count)
    path = smooth_walk(values[None], information[None], np.array([q]))[0][0]
    # Dense: flat priors on start and drift as very wide ones.
    index = np.arange(count)
    prior = q * np.minimum.outer(index, index) + 1e6 + 1e6 * np.outer(index, index)
    seen = information > 0
    noise = np.diag(1.0 / information[seen])
    gain = prior[:, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)] + noise)
    np.testing.assert_allclose(path, gain @ values[seen], atol=1e-4)


@pytest.mark.parametrize("q", [1e-4, 1e-2, 1.0])
def test_the_step_variance_of_the_largest_evidence_is_near_the_true_one(q: float) -> None:
    rng = np.random.default_rng(2)
    count = 400
    path = np.cumsum(np.sqrt(q) * rng.standard_normal(count)) + 0.01 * np.arange(count)
    values = path + 0.1 * rng.standard_normal(count)
    candidates = np.array([1e-6, 1e-4, 1e-2, 1.0])
    found, _, variance = smooth_walk(values[None], np.full((1, count), 100.0), candidates)
    assert variance[0] == q
    assert np.mean((found[0] - path) ** 2) < 0.1**2


def test_the_evidence_orders_candidates_as_the_density_does() -> None:
    rng = np.random.default_rng(3)
    count = 12
    values = np.cumsum(rng.standard_normal(count))
    index = np.arange(count)

    def density(q: float) -> float:
        prior = q * np.minimum.outer(index, index) + 1e4 + 1e4 * np.outer(index, index)
        return float(multivariate_normal.logpdf(values, cov=prior + 0.25 * np.eye(count)))

    candidates = np.array([1e-3, 1e-2, 0.1, 1.0, 10.0])
    best = candidates[int(np.argmax([density(q) for q in candidates]))]
    _, _, variance = smooth_walk(values[None], np.full((1, count), 4.0), candidates)
    assert variance[0] == best


def test_one_or_two_blocks_get_their_mean() -> None:
    both = np.array([[1.0, 3.0]])
    path, drift, variance = smooth_walk(both, both, np.array([0.1]))
    np.testing.assert_allclose(path, 2.5)
    assert drift[0] == 0.0
    assert variance[0] == 0.1


def test_rows_are_smoothed_each_on_their_own() -> None:
    rng = np.random.default_rng(4)
    values = rng.standard_normal((5, 20)).cumsum(-1)
    information = rng.uniform(0.5, 9.0, values.shape)
    candidates = np.array([1e-3, 0.1, 10.0])
    whole = smooth_walk(values, information, candidates)
    for row in range(5):
        alone = smooth_walk(values[row : row + 1], information[row : row + 1], candidates)
        for together, single in zip(whole, alone, strict=True):
            np.testing.assert_array_equal(together[row], single[0])
