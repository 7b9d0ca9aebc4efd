"""The joint Rician likelihood against numerical integration and known worlds."""

import numpy as np
import pytest

from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink, fit_rician_link, link_log_likelihoods


def _complex_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def _measured(
    specular: np.ndarray,
    covariance: np.ndarray,
    *,
    noise_level: np.ndarray,
    noise_shape: np.ndarray,
    seed: int,
) -> PathGains:
    rng = np.random.default_rng(seed)
    count, paths = len(noise_level), len(specular)
    diffuse = _complex_normal(rng, count, paths) @ np.linalg.cholesky(covariance).T
    phase = np.exp(2j * np.pi * rng.random((count, 1)))
    noise = _complex_normal(rng, count, paths) @ np.linalg.cholesky(noise_shape).T
    return PathGains(
        delays_s=np.arange(paths) * 1e-7,
        gains=phase * (specular + diffuse) + np.sqrt(noise_level)[:, None] * noise,
        noise_level=noise_level,
        noise_shape=noise_shape.astype(complex),
    )


def test_the_likelihood_is_the_gaussian_density_averaged_over_the_carrier_phase() -> None:
    specular = np.array([1.0, 0.4j])
    covariance = np.array([[0.3, 0.1j], [-0.1j, 0.2]])
    shape = np.array([[1.0, 0.3], [0.3, 1.0]])
    paths = _measured(specular, covariance, noise_level=np.full(7, 0.1), noise_shape=shape, seed=1)
    link = RicianLink(specular=specular, covariance=covariance, log_likelihood=0.0)
    total = covariance + 0.1 * shape
    inverse, norm = np.linalg.inv(total), np.pi**2 * np.linalg.det(total).real
    phases = np.exp(2j * np.pi * np.arange(4096) / 4096)
    expected = []
    for gains in paths.gains:
        error = gains - phases[:, None] * specular
        density = np.exp(-np.einsum("ti,ij,tj->t", error.conj(), inverse, error).real) / norm
        expected.append(np.log(density.mean()))
    np.testing.assert_allclose(link_log_likelihoods(paths, link), expected, rtol=1e-9)


@pytest.mark.parametrize("noise", [1e-3, 0.1])
def test_a_known_link_is_recovered_within_its_standard_errors(noise: float) -> None:
    specular = np.array([1.0, 0.3j, 0.0])
    covariance = np.diag([0.2, 0.1, 0.1]).astype(complex)
    count = 2000
    paths = _measured(
        specular, covariance, noise_level=np.full(count, noise), noise_shape=np.eye(3), seed=2
    )
    link = fit_rician_link(paths, specular=np.array([True, True, False]), correlated=False)
    # Mean of N complex normals of variance s: s / N; their variance: s^2 / N; allow five of each.
    total = np.diag(covariance).real + noise
    assert np.all(np.abs(link.specular - specular) < 5 * np.sqrt(total / count))
    assert np.all(np.abs(link.diffuse - np.diag(covariance).real) < 5 * total / np.sqrt(count))


def test_different_noise_in_different_frames_is_taken_out() -> None:
    noise_level = np.where(np.arange(4000) % 2, 0.5, 0.05)
    covariance = np.diag([0.6, 0.4]).astype(complex)
    paths = _measured(
        np.zeros(2), covariance, noise_level=noise_level, noise_shape=np.eye(2), seed=3
    )
    link = fit_rician_link(paths, specular=np.zeros(2, bool), correlated=False)
    np.testing.assert_allclose(link.powers, [0.6, 0.4], atol=5 * 1.1 / np.sqrt(4000))


def test_correlation_between_paths_is_recovered() -> None:
    covariance = np.array([[1.0, 0.6j], [-0.6j, 1.0]])
    paths = _measured(
        np.zeros(2), covariance, noise_level=np.full(3000, 0.1), noise_shape=np.eye(2), seed=4
    )
    link = fit_rician_link(paths, specular=np.zeros(2, bool), correlated=True)
    np.testing.assert_allclose(link.covariance, covariance, atol=5 * 1.1 / np.sqrt(3000))


def test_each_iteration_raises_the_likelihood() -> None:
    paths = _measured(
        np.array([0.8, 0.2]),
        np.diag([0.3, 0.3]).astype(complex),
        noise_level=np.full(200, 0.3),
        noise_shape=np.eye(2),
        seed=5,
    )
    reached = [
        fit_rician_link(
            paths, specular=np.ones(2, bool), correlated=True, max_iterations=iterations
        ).log_likelihood
        for iterations in (1, 2, 4, 8, 16, 64)
    ]
    assert np.all(np.diff(reached) >= -1e-9)


def test_paths_that_neither_fade_nor_have_noise_are_specular() -> None:
    """A loop through a cable in numbers: every frame is the same, bit for bit."""
    gains = np.array([0.25, 0.125 + 0.03j])
    paths = PathGains(
        delays_s=np.array([0.0, 7e-6]),
        gains=np.tile(gains, (12, 1)),
        noise_level=np.full(12, np.finfo(float).tiny),
        noise_shape=np.eye(2, dtype=complex) / 1000,
    )
    still = RicianLink(specular=gains, covariance=np.zeros((2, 2)), log_likelihood=0.0)
    both = np.array([True, True])
    link = fit_rician_link(paths, specular=both, correlated=False, start=still)
    np.testing.assert_allclose(link.specular, gains, rtol=1e-6)
    assert np.isfinite(link.log_likelihood)
    # 1e-14 of the power is what rounding leaves.
    assert np.trace(link.covariance).real < 1e-12
