"""Draws of a fit beside fresh draws of the world: a classifier is to tell them apart.

Classifier two-sample test (Lopez-Paz, Oquab 2017): trained on one half, its accuracy on the other
half is that of a coin when both come from one distribution. Features are what a receiver could
see: powers of the paths, their relative phases, and all that a while later, so that families,
K, correlation between paths and Doppler count.
"""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from phyemu.channel import EmpiricalChannel, FadingFamily, FadingProcess
from phyemu.fitting import FitConfig, fit_channel

DELAYS_S = (0.0, 150e-9, 350e-9)
RHO = 0.7
WORLD = FadingProcess(
    powers=(0.6, 0.25, 0.15),
    k_factor=(4.0, 0.0, 0.0),
    doppler_hz=(10.0,) * 3,
    correlation=((1.0, 0.0, 0.0), (0.0, 1.0, RHO), (0.0, RHO, 1.0)),
)
NUM_DRAWS = 1500
LAG_S = 15e-3


def features(fading: FadingProcess, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    gains = fading.draw(NUM_DRAWS, num_steps=2, interval_s=LAG_S, generator=generator).numpy()
    now, later = gains[:, 0], gains[:, 1]
    products = np.concatenate(
        [now[:, 1:] * now[:, :1].conj(), now[:, 1:2] * now[:, 2:].conj(), now.conj() * later],
        axis=1,
    )
    turns = products / np.abs(products)
    powers_db = 20 * np.log10(np.abs(np.concatenate([now, later], axis=1)))
    return np.concatenate([powers_db, turns.real, turns.imag], axis=1)


def accuracy(one: FadingProcess, other: FadingProcess) -> float:
    """Return the share of the unseen half that a quadratic classifier tells right."""
    samples = np.concatenate([features(one, seed=5), features(other, seed=6)])
    labels = np.repeat([0, 1], NUM_DRAWS)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = np.array_split(order, 2)
    classifier = make_pipeline(
        StandardScaler(), PolynomialFeatures(2), LogisticRegression(C=0.01, max_iter=300)
    )
    return float(classifier.fit(samples[train], labels[train]).score(samples[test], labels[test]))


@pytest.fixture(scope="module")
def model() -> EmpiricalChannel:
    from tests.fitting.conftest import sound_process

    sounding = sound_process(
        WORLD, DELAYS_S, num_frames=2500, cn0_dbhz=95.0, num_frequencies=32, seed=3
    )
    fitted = fit_channel([sounding], FitConfig(num_resamples=20)).model
    assert isinstance(fitted, EmpiricalChannel)
    return fitted


# A coin over 1500 unseen draws stays below 0.5 + 2.33 sqrt(0.25 / 1500) = 0.530 in 99 %. The fit
# has ten parameters from 180 independent frames: a divergence of 10 / (2 x 180) nat, which
# Pinsker's inequality bounds to 0.5 sqrt(0.028 / 2) = 0.059 more.
LIMIT = 0.530 + 0.059


def test_a_classifier_does_not_tell_draws_of_the_fit_from_draws_of_the_world(model) -> None:
    assert accuracy(WORLD, model.fading) < LIMIT


@pytest.mark.parametrize(
    "change",
    [
        {"correlation": ()},
        {"doppler_hz": (20.0,) * 3},
        {"k_factor": (0.0,) * 3, "family": (FadingFamily.RAYLEIGH,) * 3},
    ],
)
def test_it_does_tell_when_something_is_missing(model, change: dict[str, object]) -> None:
    assert accuracy(WORLD, dataclasses.replace(model.fading, **change)) > LIMIT + 0.03
