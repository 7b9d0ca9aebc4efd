"""Algorithm 1, step by step."""

import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from phyemu.channel import Awgn
from phyemu.datasets import Batch, Dataset, ImageSet
from phyemu.dnn import Estimator, Lookup, Normalise, ResNet, ResNetConfig, Score, resnet
from phyemu.errors import ConfigError
from phyemu.link import Fidelity, SymbolLink, build_link
from phyemu.training import TrainConfig, score_over_link, train_phydnn
from phyemu.training.phydnn import PhyDnnTask
from phyemu.training.seeds import SeedUse, derived_seed
from phyemu.waveform import psk


@pytest.fixture
def backbone() -> ResNet:
    return resnet(
        ResNetConfig(depth=8, num_classes=3, in_channels=1, width=4),
        generator=torch.Generator().manual_seed(1),
    )


def task_for(backbone: ResNet, dataset: Dataset, config: TrainConfig) -> PhyDnnTask:
    normalise = Normalise(dataset.mean, dataset.std)
    return PhyDnnTask(backbone, normalise, dataset, Awgn(12.0), config, "cpu")


def step(task: PhyDnnTask, dataset: Dataset, epoch: int, index: int = 0) -> None:
    task.model.train()
    batch = Batch(dataset.train.images[:24], dataset.train.labels[:24])
    losses = task.losses(batch, epoch=epoch, step=index, num_steps=4)
    task.optimizer.zero_grad()
    losses["total"].backward()
    task.optimizer.step()


def weights(task: PhyDnnTask) -> tuple[torch.Tensor, torch.Tensor]:
    head = torch.cat([p.detach().flatten() for p in task.model.backbone_parameters()])
    return task.model.embedding.vectors.detach().clone(), head


def test_head_and_tail_are_frozen_at_first_and_thawed_later(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    task = task_for(backbone, dataset, config)
    for epoch, moves in ((0, False), (1, True)):
        task.begin_epoch(epoch)
        before = weights(task)
        step(task, dataset, epoch)
        after = weights(task)
        assert not torch.equal(before[0], after[0])
        assert torch.equal(before[1], after[1]) is not moves


def test_batch_norms_of_frozen_parts_follow_the_training_images(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    """What stays in the frozen start are the parameters; running statistics are no parameters."""
    task = task_for(backbone, dataset, config)
    task.begin_epoch(0)
    norms = [m for m in task.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 7  # of head and tail: the first convolution, and two in each block
    scales = [norm.weight.detach().clone() for norm in norms]
    before = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    step(task, dataset, 0)
    for norm, scale, (mean, variance) in zip(norms, scales, before, strict=True):
        assert torch.equal(norm.weight, scale)
        assert norm.num_batches_tracked == 1  # once a step: the binding path does not count
        assert not torch.equal(norm.running_mean, mean)
        assert not torch.equal(norm.running_var, variance)
    images = Normalise(dataset.mean, dataset.std)(dataset.train.images[:24])
    with torch.no_grad():
        batch_mean = backbone.conv1(images).mean((0, 2, 3))  # before the first norm
    expected = 0.9 * before[0][0] + 0.1 * batch_mean  # its momentum is PyTorch's
    torch.testing.assert_close(norms[0].running_mean, expected)


def test_decay_is_of_head_and_tail_alone(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    learned = replace(
        config,
        link=replace(config.link, modulation="learned"),
        phydnn=replace(config.phydnn, weight_decay=0.5, freeze_epochs=0, lookup=Lookup.LEARNED),
    )
    task = task_for(backbone, dataset, learned)
    dictionaries = list(task.model.dictionary_parameters())
    assert len(dictionaries) > 2  # embeddings, points, demapper
    others = list(task.model.backbone_parameters())
    before = [[p.detach().clone() for p in part] for part in (dictionaries, others)]
    for parameter in (*dictionaries, *others):  # so that nothing moves but by decay
        parameter.grad = torch.zeros_like(parameter)
    task.optimizer.step()
    assert all(torch.equal(p, was) for p, was in zip(dictionaries, before[0], strict=True))
    for parameter, was in zip(others, before[1], strict=True):
        torch.testing.assert_close(parameter.detach(), was * (1 - 1e-3 * 0.5))


def test_a_step_behind_a_removal_moves_the_new_embeddings_on_the_same_channel(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    task = task_for(backbone, dataset, config)
    task.begin_epoch(0)
    step(task, dataset, 0)
    task.begin_epoch(2)
    assert task.order == 4
    assert isinstance(task._link, SymbolLink)
    assert task._link.model == Awgn(12.0)
    assert torch.equal(task._link.constellation.points, psk(4).points)
    before, _ = weights(task)
    step(task, dataset, 2)
    after, _ = weights(task)
    assert bool((before != after).any(-1).all())  # every row


def test_a_removal_keeps_those_that_the_training_images_use_most(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    # Negatives, which use other embeddings most.
    validation = replace(dataset.validation, images=255 - dataset.validation.images)
    by_distance = replace(config, phydnn=replace(config.phydnn, score=Score.DISTANCE))
    task = task_for(backbone, replace(dataset, validation=validation), by_distance)
    task.begin_epoch(0)
    task.model.eval()
    most_used = []
    for images in (dataset.train.images, validation.images):
        counts = torch.bincount(task.model.encode(images).flatten(), minlength=8)
        most_used.append(counts.argsort(stable=True)[4:])
    assert set(most_used[0].tolist()) != set(most_used[1].tolist())
    expected = task.model.embedding.vectors[most_used[0]]
    task.begin_epoch(2)
    kept = task.model.embedding.vectors
    assert {tuple(row) for row in kept.tolist()} == {tuple(row) for row in expected.tolist()}


def test_k_means_sees_every_slice_of_every_training_image_once(
    backbone: ResNet, dataset: Dataset, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def record(model: object, images: Iterable[torch.Tensor], **settings: object) -> None:
        calls.append((torch.cat(list(images)), settings["slices_per_image"]))

    monkeypatch.setattr("phyemu.training.phydnn.start_embeddings", record)
    task = task_for(backbone, dataset, config)
    for epoch in (0, 1):
        task.begin_epoch(epoch)
    ((images, slices_per_image),) = calls
    assert torch.equal(images, dataset.train.images)
    assert slices_per_image is None


def test_begin_epoch_called_again_changes_nothing(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    task = task_for(backbone, dataset, config)
    task.begin_epoch(0)
    step(task, dataset, 0)
    before, _ = weights(task)
    task.begin_epoch(0)
    assert torch.equal(weights(task)[0], before)


def test_rates_and_beta_follow_the_schedule(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    phydnn = replace(
        config.phydnn, final_learning_rate_ratio=0.0, temperature=2.0, final_temperature=0.25
    )
    task = task_for(backbone, dataset, replace(config, phydnn=phydnn))
    task.begin_epoch(0)
    step(task, dataset, 0)
    start = task.settings()
    assert start["embedding_learning_rate"] == pytest.approx(1e-2)
    assert start["backbone_learning_rate"] == pytest.approx(1e-3)
    assert start["beta"] == pytest.approx(1e-4)
    assert start["temperature"] == pytest.approx(2.0)
    step(task, dataset, 1)  # halfway through the first stage of two epochs
    assert task.settings()["embedding_learning_rate"] == pytest.approx(5e-3)
    assert task.settings()["beta"] == pytest.approx(1e-4 * (1 + 9 / 3))
    assert task.settings()["temperature"] == pytest.approx(1.0)  # a third of the way from 2 to 1/4


@pytest.mark.parametrize("final", [None, 0.1])
def test_the_gradient_has_the_temperature_of_the_schedule(
    backbone: ResNet,
    dataset: Dataset,
    config: TrainConfig,
    final: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phydnn = replace(
        config.phydnn, temperature=0.8, final_temperature=final, estimator="straight-through"
    )
    task = task_for(backbone, dataset, replace(config, phydnn=phydnn))
    task.begin_epoch(0)
    given = []
    forward = task.model.forward

    def record(*arguments: object, **settings: object) -> object:
        given.append((settings["temperature"], settings["estimator"]))
        return forward(*arguments, **settings)

    monkeypatch.setattr(task.model, "forward", record)
    step(task, dataset, 0)
    step(task, dataset, 1, index=2)
    halfway = 0.8 if final is None else (0.8 * final) ** 0.5
    assert given[0] == (pytest.approx(0.8), "straight-through")
    assert given[1] == (pytest.approx(halfway), "straight-through")


def test_each_stage_returns_the_epoch_that_did_best_on_validation(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    normalise = Normalise(dataset.mean, dataset.std)
    result = train_phydnn(backbone, normalise, dataset, Awgn(12.0), config)
    assert list(result.stages) == [8, 4]
    assert result.last is result.stages[4]
    first = [record for record in result.history if record.order == 8]
    best = max(first, key=lambda r: (r.validation_accuracy, -r.validation_loss))
    stage = result.stages[8]
    assert stage.epoch == best.epoch
    score = score_over_link(
        stage.phydnn,
        SymbolLink(Awgn(12.0), stage.constellation, config.frame),
        dataset.validation,
        seed=derived_seed(config.seed, SeedUse.VALIDATION),
    )
    assert score.accuracy == stage.validation_accuracy == best.validation_accuracy
    assert score.loss == best.validation_loss  # of these images, and no others


def test_the_test_images_are_never_touched(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    normalise = Normalise(dataset.mean, dataset.std)
    nothing = ImageSet(
        torch.empty((0, 1, 8, 8), dtype=torch.uint8),
        torch.empty(0, dtype=torch.int64),
        dataset.test.class_names,
    )
    blind = replace(dataset, test=nothing)
    found = train_phydnn(backbone, normalise, blind, Awgn(12.0), config)
    expected = train_phydnn(backbone, normalise, dataset, Awgn(12.0), config)
    assert found.history == expected.history


def test_every_term_with_a_weight_is_in_the_history_and_the_backbone_is_left_alone(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    phydnn = replace(
        config.phydnn,
        orders=(4,),
        epochs=(1,),
        num_samples=2,
        distillation=1.0,
        feature_distillation=0.5,
        feature_layers=("linear",),
        commitment=0.1,
    )
    normalise = Normalise(dataset.mean, dataset.std)
    result = train_phydnn(backbone, normalise, dataset, Awgn(12.0), replace(config, phydnn=phydnn))
    losses = result.history[0].losses
    others = {"binding", "distillation", "feature_distillation", "commitment"}
    assert set(losses) == {"total", "task", "entropy", *others}
    weighted = losses["task"] + losses["binding"] + losses["distillation"]
    weighted += 0.5 * losses["feature_distillation"] + 0.1 * losses["commitment"]
    # Beta has grown from 1e-4 towards 1e-3 over the epoch.
    assert 1e-4 < (losses["total"] - weighted) / losses["entropy"] < 1e-3
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_bfloat16_trains_too(backbone: ResNet, dataset: Dataset, config: TrainConfig) -> None:
    from phyemu.training import Precision

    normalise = Normalise(dataset.mean, dataset.std)
    fast = replace(config, precision=Precision.BFLOAT16, channels_last=True)
    result = train_phydnn(backbone, normalise, dataset, Awgn(12.0), fast)
    assert all(p.dtype == torch.float32 for p in result.last.phydnn.parameters())


def test_a_modulation_without_the_order_is_refused_before_training(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    normalise = Normalise(dataset.mean, dataset.std)
    bad = replace(
        config,
        link=replace(config.link, modulation="qam"),
        phydnn=replace(config.phydnn, orders=(16, 6), epochs=(1, 1)),
    )
    with pytest.raises(ConfigError, match="power of two"):
        train_phydnn(backbone, normalise, dataset, Awgn(12.0), bad)


def test_the_teacher_of_features_is_the_untouched_backbone(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    phydnn = replace(config.phydnn, feature_distillation=1.0, freeze_epochs=0)
    task = task_for(backbone, dataset, replace(config, phydnn=phydnn))
    task.begin_epoch(0)
    images = dataset.train.images[:24]
    normalise = Normalise(dataset.mean, dataset.std)
    backbone.eval()
    with torch.no_grad():
        expected = backbone.layer3(
            backbone.layer2(
                backbone.layer1(torch.relu(backbone.bn1(backbone.conv1(normalise(images)))))
            )
        )
    for index in range(2):  # the head has moved before the second
        _, (found,) = task._teach(images, phydnn.loss_weights(0.0))
        torch.testing.assert_close(found, expected)
        step(task, dataset, 0, index)


def test_a_layer_that_the_tail_lacks_is_refused_before_training(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    phydnn = replace(config.phydnn, feature_distillation=1.0, feature_layers=("layer2",))
    with pytest.raises(ConfigError, match="no submodule 'layer2'"):
        task_for(backbone, dataset, replace(config, phydnn=phydnn))


def test_pairs_of_qpsk_symbols_become_8_psk_and_qpsk(
    backbone: ResNet, dataset: Dataset, config: TrainConfig
) -> None:
    phydnn = replace(
        config.phydnn, orders=(16, 8, 4), symbols_per_slice=(2, 1, 1), epochs=(1, 1, 1)
    )
    normalise = Normalise(dataset.mean, dataset.std)
    result = train_phydnn(backbone, normalise, dataset, Awgn(12.0), replace(config, phydnn=phydnn))
    sent = {
        order: (stage.constellation.order, stage.phydnn.symbols_per_image)
        for order, stage in result.stages.items()
    }
    assert sent == {16: (4, 8), 8: (8, 4), 4: (4, 4)}
    stage = result.stages[16]
    link = SymbolLink(Awgn(12.0), stage.constellation, config.frame)
    score = score_over_link(
        stage.phydnn, link, dataset.validation,
        seed=derived_seed(config.seed, SeedUse.VALIDATION),
    )  # fmt: skip
    assert score.accuracy == stage.validation_accuracy


@pytest.mark.parametrize("fidelity", list(Fidelity))
def test_points_and_demapper_are_trained_and_kept_with_the_epoch(
    backbone: ResNet, dataset: Dataset, config: TrainConfig, fidelity: Fidelity
) -> None:
    learned = replace(
        config,
        link=replace(config.link, modulation="learned", fidelity=fidelity),
        phydnn=replace(config.phydnn, epochs=(2, 2), lookup=Lookup.LEARNED),
    )
    normalise = Normalise(dataset.mean, dataset.std)
    result = train_phydnn(backbone, normalise, dataset, Awgn(12.0), learned)
    for order, stage in result.stages.items():
        points = stage.constellation.points
        assert stage.constellation.name == "custom"
        assert not points.requires_grad
        assert float(points.abs().max()) == pytest.approx(1.0, abs=1e-6)
        assert not torch.allclose(points, psk(order).points, atol=1e-4)
        demapper = stage.phydnn.embedding.demapper
        assert demapper is not None
        assert bool(demapper.output.weight.any())
        score = score_over_link(
            stage.phydnn,
            build_link(Awgn(12.0), stage.constellation, config.frame, fidelity=fidelity),
            dataset.validation,
            seed=derived_seed(config.seed, SeedUse.VALIDATION),
            lookup=Lookup.LEARNED,
        )
        assert score.accuracy == stage.validation_accuracy


def test_learned_points_resume_where_they_were(
    backbone: ResNet, dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    learned = replace(
        config,
        link=replace(config.link, modulation="learned"),
        phydnn=replace(config.phydnn, epochs=(1, 2), lookup=Lookup.LEARNED),
    )
    normalise = Normalise(dataset.mean, dataset.std)
    expected = train_phydnn(backbone, normalise, dataset, Awgn(12.0), learned)
    steps = 0

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        nonlocal steps
        steps = done
        if done == 6:  # in the second epoch, behind the removal
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_phydnn(
            backbone, normalise, dataset, Awgn(12.0), learned, folder=tmp_path, progress=stop
        )
    assert steps == 6
    found = train_phydnn(
        backbone, normalise, dataset, Awgn(12.0), learned, folder=tmp_path, resume=True
    )
    assert found.history == expected.history
    assert torch.equal(found.last.constellation.points, expected.last.constellation.points)


def patches(config: TrainConfig) -> TrainConfig:
    """Return settings for slices of 2x2 positions, two codebooks, and k-means at each removal."""
    return replace(
        config,
        phydnn=replace(
            config.phydnn,
            split="layer1",
            orders=(4, 2),
            epochs=(1, 2),
            slice_size=(2, 2),
            codebooks=2,
            symbols_per_slice=(4, 2),
            estimator=Estimator.COPY,
            score=Score.DISTANCE,
            beta=0.0,
            removal="k-means",
        ),
    )


def test_a_stage_begins_anew_on_what_the_head_has_become(
    backbone: ResNet, dataset: Dataset, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = patches(config)
    # Four symbols a slice in either stage: QPSK, then BPSK.
    settings = replace(settings, phydnn=replace(settings.phydnn, symbols_per_slice=(4,)))
    task = task_for(backbone, dataset, settings)
    task.begin_epoch(0)
    assert torch.equal(task._link.constellation.points, psk(4).points)
    for parameter in task.model.backbone_parameters():
        parameter.requires_grad_(True)
    step(task, dataset, 0)
    trained = {
        name: value.clone()
        for name, value in task.model.state_dict().items()
        if not name.startswith("embedding")
    }
    task.begin_epoch(1)
    after = task.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in trained.items())
    assert task.order == 2
    assert torch.equal(task._link.constellation.points, psk(2).points)
    assert task.model.embedding.vectors.shape == (8, 16)
    # The same clusters as of a model that was given these weights at once.
    other = task_for(backbone, dataset, settings)
    other.restore_stage("2")
    other.model.load_state_dict(trained, strict=False)
    other._start_embeddings()
    assert torch.equal(other.model.embedding.vectors, task.model.embedding.vectors)
    before = weights(task)
    step(task, dataset, 1)
    assert not torch.equal(weights(task)[0], before[0])
    assert not torch.equal(weights(task)[1], before[1])


def test_patches_and_codebooks_train_and_resume_where_they_were(
    backbone: ResNet, dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    settings, normalise = patches(config), Normalise(dataset.mean, dataset.std)
    expected = train_phydnn(backbone, normalise, dataset, Awgn(12.0), settings)
    assert [record.losses.get("entropy") for record in expected.history] == [None] * 3
    sent = {
        order: (stage.constellation.order, stage.phydnn.symbols_per_image)
        for order, stage in expected.stages.items()
    }
    assert sent == {4: (4, 64), 2: (4, 32)}

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if done == 6:  # in the second epoch, behind the removal
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_phydnn(
            backbone, normalise, dataset, Awgn(12.0), settings, folder=tmp_path, progress=stop
        )
    found = train_phydnn(
        backbone, normalise, dataset, Awgn(12.0), settings, folder=tmp_path, resume=True
    )
    assert found.history == expected.history
    for order, stage in expected.stages.items():
        ours, theirs = stage.phydnn.state_dict(), found.stages[order].phydnn.state_dict()
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
