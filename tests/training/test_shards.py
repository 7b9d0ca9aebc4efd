"""Shards: the gradient of the batch, the mean of the statistics, draws of their own."""

import pytest
import torch
from torch import Tensor, nn

from phyemu.datasets import Batch
from phyemu.errors import ConfigError
from phyemu.training.distributed import ALONE
from phyemu.training.shards import Shards


class NoisyTask:
    """A linear classifier of noisy images; `norm` decides on a batch norm before it."""

    def __init__(self, *, norm: bool) -> None:
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.BatchNorm1d(4) if norm else nn.Identity(), nn.Linear(4, 3)]
        self.model = nn.Sequential(*layers)
        self.generator = torch.Generator().manual_seed(7)
        self.noise: list[Tensor] = []

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the cross-entropy; remember what was drawn."""
        self.noise.append(torch.rand(2, generator=self.generator))
        logits = self.model(batch.images.float())
        return {"total": nn.functional.cross_entropy(logits, batch.labels)}


@pytest.fixture
def batch(generator: torch.Generator) -> Batch:
    images = torch.randint(0, 9, (7, 1, 2, 2), generator=generator, dtype=torch.uint8)
    return Batch(images, torch.arange(7) % 3)


def gradient(task: NoisyTask) -> Tensor:
    return torch.cat([p.grad.flatten() for p in task.model.parameters() if p.grad is not None])


def test_shards_of_unequal_length_have_the_gradient_of_the_batch(batch: Batch) -> None:
    whole, parts = NoisyTask(norm=False), NoisyTask(norm=False)
    Shards(whole, 1, ALONE).backward(whole, batch, epoch=0, step=0, num_steps=1)
    Shards(parts, 3, ALONE).backward(parts, batch, epoch=0, step=0, num_steps=1)
    torch.testing.assert_close(gradient(parts), gradient(whole))


def test_statistics_are_the_mean_of_those_of_the_shards(batch: Batch) -> None:
    task = NoisyTask(norm=True)
    Shards(task, 2, ALONE).backward(task, batch, epoch=0, step=0, num_steps=1)
    values = batch.images.float().flatten(1)
    means = [values[:4].mean(0), values[4:].mean(0)]
    variances = [values[:4].var(0), values[4:].var(0)]
    norm = task.model[1]
    torch.testing.assert_close(norm.running_mean, 0.1 * (means[0] + means[1]) / 2)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * (variances[0] + variances[1]) / 2)
    assert int(norm.num_batches_tracked) == 1


def test_each_shard_draws_from_a_generator_of_its_own(batch: Batch) -> None:
    task = NoisyTask(norm=False)
    shards = Shards(task, 2, ALONE)
    for step in (0, 1):
        shards.backward(task, batch, epoch=0, step=step, num_steps=2)
    assert len({tuple(noise.tolist()) for noise in task.noise}) == 4
    alone = NoisyTask(norm=False)
    Shards(alone, 1, ALONE).backward(alone, batch, epoch=0, step=0, num_steps=1)
    assert torch.equal(alone.noise[0], task.noise[0])  # the first shard's is the task's


def test_a_batch_that_is_too_small_is_refused(batch: Batch) -> None:
    task = NoisyTask(norm=False)
    with pytest.raises(ConfigError, match="7 images has no two for each of 4 shards"):
        Shards(task, 4, ALONE).backward(task, batch, epoch=0, step=0, num_steps=1)
