"""BottleFit's two stages: what learns in which, and what the training comes to."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import phyemu.baselines.bottlefit as bottlefit
from phyemu.baselines import BottleFitConfig, SystemConfig
from phyemu.baselines.bottlefit import BottleFitResult, train_bottlefit
from phyemu.baselines.bottlefit_network import BottleFitNet, BottleFitTail
from phyemu.baselines.task_run import Surroundings
from phyemu.datasets import Batch, Dataset
from phyemu.dnn import Normalise, ResNet
from phyemu.training import score_images
from phyemu.training.trainer import TrainingState


class InterruptAt:
    """A progress callback that presses Ctrl-C after a step of a stage."""

    def __init__(self, stage: str, step: int) -> None:
        self.stage, self.step = stage, step

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if (stage, done) == (self.stage, self.step):
            self.step = -1
            signal.raise_signal(signal.SIGINT)


def train(
    backbone: nn.Module,
    dataset: Dataset,
    config: SystemConfig,
    surroundings: Surroundings | None = None,
) -> BottleFitResult:
    return train_bottlefit(
        backbone,
        Normalise(dataset.mean, dataset.std),
        dataset,
        config,
        maps=1,
        surroundings=surroundings or Surroundings(),
    )


def snapshots(
    monkeypatch: pytest.MonkeyPatch, backbone: nn.Module, dataset: Dataset, config: SystemConfig
) -> list[dict[str, Tensor]]:
    """Return the state of the network before the first, between, and after the second stage."""
    taken: list[dict[str, Tensor]] = []
    run = bottlefit.run_task

    def spy(task: bottlefit._StageTask, *args: object, **kwargs: object) -> TrainingState:
        if not taken:
            taken.append({k: v.clone() for k, v in task.network.state_dict().items()})
        state = run(task, *args, **kwargs)  # type: ignore[arg-type]
        taken.append({k: v.clone() for k, v in task.network.state_dict().items()})
        return state

    monkeypatch.setattr(bottlefit, "run_task", spy)
    train(backbone, dataset, config)
    return taken


def changed(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> set[str]:
    return {
        name
        for name in before
        if name.startswith(prefix) and not torch.equal(before[name], after[name])
    }


INHERITED = ("tail.layer2", "tail.layer3", "tail.linear")


def test_the_first_stage_leaves_the_tail_as_it_was_and_the_second_does_not(
    monkeypatch: pytest.MonkeyPatch, untrained: ResNet, dataset: Dataset, config: SystemConfig
) -> None:
    start, mimicked, end = snapshots(monkeypatch, untrained, dataset, config)
    for prefix in INHERITED:  # weights and running statistics alike
        assert not changed(start, mimicked, prefix)
        assert changed(mimicked, end, prefix)
    for prefix in ("head.conv1", "head.narrowed.", "tail.restorer.0.0", "tail.restorer.1.0"):
        assert changed(start, mimicked, prefix)
        assert changed(mimicked, end, prefix)


def test_the_freezing_test_sees_a_tail_that_learns(
    monkeypatch: pytest.MonkeyPatch, untrained: ResNet, dataset: Dataset, config: SystemConfig
) -> None:
    """The mutant whose first stage leaves the norms of the tail in training mode is found."""
    monkeypatch.setattr(BottleFitTail, "inherited", lambda self: ())
    start, mimicked, _ = snapshots(monkeypatch, untrained, dataset, config)
    assert any("running_mean" in name for name in changed(start, mimicked, "tail.layer2"))


def task_of(
    kind: type[bottlefit._StageTask], teacher: ResNet, dataset: Dataset, config: SystemConfig
) -> bottlefit._StageTask:
    """Return a stage whose teacher, like its student, is in training mode, as after loading."""
    for module in teacher.modules():  # statistics of other images than those of a batch
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.2)
            module.running_var.fill_(1.7)
    generator = torch.Generator().manual_seed(2)
    network = BottleFitNet(
        teacher, Normalise(dataset.mean, dataset.std), maps=1, generator=generator
    )
    teacher.train()
    return kind(network.train(), teacher, dataset.validation, config, generator)


def loss_and_teacher(
    task: bottlefit._StageTask, batch: Batch
) -> tuple[float, tuple[Tensor, Tensor, Tensor], Tensor]:
    """Return the loss of a step, and stages and logits of the teacher in evaluation mode."""
    loss = task.losses(batch, epoch=0, step=0, num_steps=1)["total"].item()
    teacher = task.teacher
    assert teacher.training  # given back as it was
    for module in teacher.modules():  # and not a statistic of it moved
        if isinstance(module, nn.BatchNorm2d):
            assert bool((module.running_mean == 0.2).all())
            assert module.num_batches_tracked == 0
    teacher.eval()
    with torch.no_grad():
        x = task.network.head.normalise(batch.images)
        first = teacher.layer1(torch.relu(teacher.bn1(teacher.conv1(x))))
        second = teacher.layer2(first)
        third = teacher.layer3(second)
        return loss, (first, second, third), teacher.linear(third.mean((2, 3)))


def test_the_first_stage_mimics_all_three_stages_of_the_teacher_as_it_is_used(
    untrained: ResNet, dataset: Dataset, config: SystemConfig
) -> None:
    task = task_of(bottlefit._MimicTask, untrained, dataset, config)
    batch = Batch(dataset.train.images[:12], dataset.train.labels[:12])
    loss, wanted, _ = loss_and_teacher(task, batch)
    with torch.no_grad():
        first = task.network.tail.restorer(task.network.head(batch.images))
        second = task.network.tail.layer2(first)
        own = (first, second, task.network.tail.layer3(second))
    terms = [
        float(((a - b) ** 2).sum()) / 12  # over maps and positions, the mean over images
        for a, b in zip(own, wanted, strict=True)
    ]
    assert min(terms) > 1e-3 * sum(terms)  # none of them could be missed
    assert loss == pytest.approx(sum(terms), rel=1e-5)


def test_the_second_stage_has_labels_and_the_teacher_as_it_is_used_in_their_shares(
    untrained: ResNet, dataset: Dataset, config: SystemConfig
) -> None:
    settings = replace(config.bottlefit, hard_label_share=0.3, temperature=2.0)
    config = replace(config, bottlefit=settings)
    task = task_of(bottlefit._DistillationTask, untrained, dataset, config)
    batch = Batch(dataset.train.images[:12], dataset.train.labels[:12])
    loss, _, teacher_logits = loss_and_teacher(task, batch)
    with torch.no_grad():
        logits = task.network(batch.images)
    hard = -logits.softmax(-1)[torch.arange(12), batch.labels].log().mean()
    p, q = (teacher_logits / 2).softmax(-1), (logits / 2).softmax(-1)
    soft = 4 * (p * (p / q).log()).sum(-1).mean()
    assert loss == pytest.approx(float(0.3 * hard + 0.7 * soft), rel=1e-5)


def test_it_learns_from_a_trained_network(
    backbone: ResNet, dataset: Dataset, config: SystemConfig
) -> None:
    settings = replace(
        config.bottlefit, mimic_epochs=6, epochs=4, mimic_learning_rate=0.01, decay_ratio=1.0
    )
    longer = replace(config, bottlefit=settings)
    result = train(backbone, dataset, longer)
    assert result.validation_accuracy > 80  # chance is 33 %
    mimicry = [record.losses["total"] for record in result.history if record.task == "mimic"]
    assert mimicry[-1] < mimicry[0] / 2
    score = score_images(result.network, result.network, dataset.validation)
    assert score.accuracy == result.validation_accuracy
    losses = {record.validation_loss for record in result.history if record.task != "mimic"}
    assert score.loss in losses  # of these images, and no others
    assert [record.task for record in result.history] == ["mimic"] * 6 + ["distillation"] * 4


def test_rates_fall_in_the_middle_of_each_stage(
    untrained: ResNet, dataset: Dataset, config: SystemConfig
) -> None:
    rates = [
        record.settings["learning_rate"] for record in train(untrained, dataset, config).history
    ]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-2, 1e-3])


# Four steps an epoch, two epochs a stage: in the first stage, at its end, in the second.
@pytest.mark.parametrize(("stage", "step"), [("mimic", 3), ("mimic", 8), ("distillation", 6)])
def test_resume_equals_uninterrupted_bit_for_bit(
    untrained: ResNet,
    dataset: Dataset,
    config: SystemConfig,
    tmp_path: Path,
    stage: str,
    step: int,
) -> None:
    expected = train(untrained, dataset, config)
    with pytest.raises(KeyboardInterrupt):
        train(
            untrained,
            dataset,
            config,
            Surroundings(folder=tmp_path, progress=InterruptAt(stage, step)),
        )
    found = train(untrained, dataset, config, Surroundings(folder=tmp_path, resume=True))
    assert found.history == expected.history
    for name, value in expected.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value), name


def test_defaults_are_those_of_its_authors() -> None:
    settings = BottleFitConfig()
    assert (settings.mimic_epochs, settings.epochs, settings.batch_size) == (10, 10, 64)
    assert (settings.hard_label_share, settings.temperature) == (0.5, 1.0)
