import math
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from phyemu.baselines import SystemConfig
from phyemu.baselines.dt_jscc import DtJsccResult, train_dt_jscc, untrained_dt_jscc
from phyemu.baselines.task_run import Surroundings
from phyemu.channel import Awgn
from phyemu.datasets import Dataset, ImageSet
from phyemu.dnn import Normalise, sampling
from phyemu.errors import ConfigError
from phyemu.link import build_link
from phyemu.training import score_over_link
from phyemu.training.seeds import SeedUse, derived_seed


class InterruptAt:
    """A progress callback that presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if done == self.step:
            self.step = -1
            signal.raise_signal(signal.SIGINT)


def train(
    dataset: Dataset, config: SystemConfig, surroundings: Surroundings | None = None
) -> DtJsccResult:
    return train_dt_jscc(dataset, Awgn(12.0), config, surroundings=surroundings or Surroundings())


def test_it_starts_as_its_authors_have_it(config: SystemConfig) -> None:
    model, architecture = untrained_dt_jscc(
        config, Normalise([0.3], [0.2]), image_shape=(1, 32, 32), num_classes=3
    )
    assert architecture["name"] == "dt-jscc"
    assert model.layout.shape == (16, 4, 4)
    vectors = model.embedding.vectors.detach()
    assert vectors.shape == (4, 16)
    assert vectors.abs().max() <= 1 / 4
    # Scores are inner products over the root of the length.
    slices = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(0))
    expected = (slices @ vectors.T / math.sqrt(16)).log_softmax(-1)
    torch.testing.assert_close(model.embedding.log_probabilities(slices).detach(), expected)


def test_it_learns_from_random_weights(dataset: Dataset, config: SystemConfig) -> None:
    settings = replace(config.dt_jscc, maps=32, epochs=20, halve_epochs=20, learning_rate=0.01)
    result = train(dataset, replace(config, dt_jscc=settings))
    assert result.validation_accuracy > 80  # chance is 33 %
    losses = result.history[0].losses
    assert losses["total"] == pytest.approx(losses["task"] - 1e-3 * losses["entropy"])
    score = score_over_link(
        result.phydnn,
        build_link(Awgn(12.0), result.constellation, config.frame, fidelity=config.link.fidelity),
        dataset.validation,
        seed=derived_seed(config.seed, SeedUse.VALIDATION),
    )
    # Of these images, and no others.
    assert score.loss == result.history[result.epoch - 1].validation_loss


def test_redundancy_keeps_symbols_unsure(dataset: Dataset, config: SystemConfig) -> None:
    settings = replace(config.dt_jscc, epochs=4, halve_epochs=4, learning_rate=0.01)
    entropies = [
        train(dataset, replace(config, dt_jscc=replace(settings, redundancy=redundancy)))
        .history[-1]
        .losses["entropy"]
        for redundancy in (0.0, 3.0)
    ]
    assert entropies[1] > entropies[0]


def test_the_rate_halves(dataset: Dataset, config: SystemConfig) -> None:
    rates = [record.settings["learning_rate"] for record in train(dataset, config).history]
    assert rates == [1e-3, 5e-4]


def test_gradients_are_cut(dataset: Dataset, config: SystemConfig) -> None:
    """With a bound of nearly nothing Adam still steps, so what is looked at are the gradients."""
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def spy(optimizer: torch.optim.AdamW, *args: object, **kwargs: object) -> object:
        groups = optimizer.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        norms.append(float(torch.stack([g.norm() for g in gradients]).norm()))
        return step(optimizer, *args, **kwargs)

    settings = replace(config.dt_jscc, epochs=1, largest_gradient=0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", spy)
        train(dataset, replace(config, dt_jscc=settings))
    assert len(norms) == 4
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_its_gradient_has_the_temperature_of_its_settings(
    dataset: Dataset, config: SystemConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    sample = sampling.gumbel_softmax

    def spy(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
        given.append(temperature)
        return sample(logits, temperature=temperature, generator=generator)

    monkeypatch.setattr(sampling, "gumbel_softmax", spy)
    train(dataset, replace(config, dt_jscc=replace(config.dt_jscc, epochs=1, temperature=0.4)))
    assert given == [0.4] * 4  # each step samples, and no validation does


@pytest.mark.parametrize("step", [3, 4])
def test_resume_equals_uninterrupted_bit_for_bit(
    dataset: Dataset, config: SystemConfig, tmp_path: Path, step: int
) -> None:
    expected = train(dataset, config)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, config, Surroundings(folder=tmp_path, progress=InterruptAt(step)))
    found = train(dataset, config, Surroundings(folder=tmp_path, resume=True))
    assert found.history == expected.history
    for name, value in expected.phydnn.state_dict().items():
        assert torch.equal(found.phydnn.state_dict()[name], value), name


def test_images_without_room_for_three_halvings_are_refused(config: SystemConfig) -> None:
    with pytest.raises(ConfigError, match="halves an image three times"):
        untrained_dt_jscc(config, Normalise([0.3], [0.2]), image_shape=(1, 4, 32), num_classes=3)


def test_an_order_that_the_modulation_lacks_is_refused_at_once(
    dataset: Dataset, config: SystemConfig
) -> None:
    empty = ImageSet(dataset.train.images[:0], dataset.train.labels[:0], ("a", "b", "c"))
    settings = replace(config.dt_jscc, order=6)
    link = replace(config.link, modulation="qam")
    with pytest.raises(ConfigError, match="6"):
        train(replace(dataset, train=empty), replace(config, dt_jscc=settings, link=link))
