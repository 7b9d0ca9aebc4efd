"""An interrupted training, continued, ends bit for bit where an uninterrupted one does."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from phyemu.channel import Awgn
from phyemu.datasets import Batch, Dataset, ImageSet
from phyemu.dnn import Normalise, ResNetConfig, resnet
from phyemu.errors import CheckpointError, ConfigError, TrainingError
from phyemu.training import (
    ALONE,
    PhyDnnResult,
    Processes,
    TrainConfig,
    read_checkpoint,
    train_backbone,
    train_phydnn,
    trainer,
    write_checkpoint,
)
from phyemu.training.phydnn import PhyDnnTask
from phyemu.training.state import TrainingState
from phyemu.training.trainer import Task


class InterruptAt:
    """A progress callback that presses Ctrl-C after a step."""

    def __init__(self, step: int | None) -> None:
        self.step = step

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if done == self.step:
            self.step = None
            signal.raise_signal(signal.SIGINT)


def train(
    dataset: Dataset,
    config: TrainConfig,
    folder: Path | None,
    interrupt: int | None = None,
    processes: Processes = ALONE,
) -> PhyDnnResult:
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=3, in_channels=1, width=4),
        generator=torch.Generator().manual_seed(1),
    )
    return train_phydnn(
        backbone,
        Normalise(dataset.mean, dataset.std),
        dataset,
        Awgn(12.0),
        config,
        folder=folder,
        resume=True,
        progress=InterruptAt(interrupt),
        processes=processes,
    )


def assert_equal(found: PhyDnnResult, expected: PhyDnnResult) -> None:
    assert found.history == expected.history
    for order, stage in expected.stages.items():
        twin = found.stages[order].phydnn.state_dict()
        for name, value in stage.phydnn.state_dict().items():
            assert torch.equal(value, twin[name]), name


# Four steps an epoch: inside the frozen epoch, at an epoch's end, inside the thawed one, at the end
# of a stage (before a removal), behind a removal.
@pytest.mark.parametrize("step", [2, 4, 6, 8, 10])
def test_resume_equals_uninterrupted_bit_for_bit(
    dataset: Dataset, config: TrainConfig, tmp_path: Path, step: int
) -> None:
    expected = train(dataset, config, None)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, config, tmp_path, interrupt=step)
    assert_equal(train(dataset, config, tmp_path), expected)


def test_resume_in_shards_and_behind_a_stage_that_ended_early_is_exact(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    still = replace(
        config.phydnn,
        epochs=(5, 3),
        early_stopping=1,
        embedding_learning_rate=1e-12,
        backbone_learning_rate=1e-12,
        beta=0.0,
    )
    settings = replace(config, phydnn=still, shards=2)
    expected = train(dataset, settings, None)
    assert len(expected.history) < 8
    for step in (7, 22):  # in the second epoch; in the next stage, from 20 on
        with pytest.raises(KeyboardInterrupt):
            train(dataset, settings, tmp_path, interrupt=step)
    assert_equal(train(dataset, settings, tmp_path), expected)


def test_a_stage_ends_where_patience_does(dataset: Dataset, config: TrainConfig) -> None:
    still = replace(
        config.phydnn,
        epochs=(6, 4),
        early_stopping=2,
        embedding_learning_rate=1e-12,
        backbone_learning_rate=1e-12,
        freeze_epochs=10,
        orders=(8, 4),
    )
    result = train(dataset, replace(config, phydnn=still), None)
    # Nothing is learned but batch-norm statistics: find what the rule says of what was scored.
    for order, begin, length in ((8, 0, 6), (4, 6, 4)):
        records = [r for r in result.history if r.order == order]
        assert [r.epoch for r in records] == list(range(begin + 1, begin + 1 + len(records)))
        scores = [(r.validation_accuracy, -r.validation_loss) for r in records]
        best = scores.index(max(scores))
        assert len(records) == min(best + 1 + 2, length)
    assert len(result.history) < 10


def test_early_stopping_of_a_backbone(dataset: Dataset, config: TrainConfig) -> None:
    still = replace(config.backbone, epochs=9, learning_rate=1e-12, early_stopping=3)
    result = train_backbone(dataset, replace(config, backbone=still))
    assert len(result.history) == min(result.epoch + 3, 9)


def test_processes_begin_an_epoch_with_equal_weights_and_moments(
    dataset: Dataset, config: TrainConfig
) -> None:
    heard: list[list[torch.Tensor]] = []

    class Hears(Processes):
        def follow_first(self, tensors: Sequence[torch.Tensor]) -> None:
            heard.append([tensor.clone() for tensor in tensors])

    result = train(dataset, config, None, processes=Hears())
    assert len(heard) == config.phydnn.total_epochs
    model = next(iter(result.stages.values())).phydnn.state_dict()
    assert len(heard[0]) == len(model)  # nothing has moved yet
    # In the frozen epoch the dictionary alone moves: its step and two moments.
    assert config.phydnn.freeze_epochs == 1
    assert len(heard[1]) == len(model) + 3
    # Behind the removal moments are those of the rows that stay.
    assert [len(moment) for moment in heard[-1][len(model) + 1 : len(model) + 3]] == [4, 4]


@pytest.mark.parametrize("poisoned", ["loss", "gradient", "buffer"])
@pytest.mark.parametrize(("interval_s", "noticed", "kept"), [(0.0, 3, 6), (1e9, 4, 4)])
def test_a_training_that_diverges_stops_and_keeps_its_last_good_checkpoint(
    dataset: Dataset,
    config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    poisoned: str,
    interval_s: float,
    noticed: int,
    kept: int,
) -> None:
    losses = PhyDnnTask.losses

    def diverging(
        self: PhyDnnTask, batch: Batch, *, epoch: int, step: int, num_steps: int
    ) -> dict[str, torch.Tensor]:
        if (epoch, step) == (1, 2) and poisoned == "buffer":
            norms = (m for m in self.model.modules() if isinstance(m, torch.nn.BatchNorm2d))
            variance = next(norms).running_var
            assert variance is not None
            variance.fill_(torch.inf)  # no loss of a training sees it
        terms = losses(self, batch, epoch=epoch, step=step, num_steps=num_steps)
        if (epoch, step) == (1, 2) and poisoned != "buffer":
            nothing = 0 * self.model.embedding.vectors.sum()
            # The root is 0, too, but its slope is infinite.
            terms["total"] = terms["total"] + (
                nothing / 0 if poisoned == "loss" else nothing.square().sqrt()
            )
        return terms

    monkeypatch.setattr(PhyDnnTask, "losses", diverging)
    with pytest.raises(TrainingError, match=f"epoch 2, by its step {noticed} of 4; begin anew"):
        train(dataset, replace(config, checkpoint_interval_s=interval_s), tmp_path)
    tensors, record = read_checkpoint(tmp_path / "checkpoints" / "phydnn.safetensors")
    assert record["step"] == kept
    assert all(bool(value.isfinite().all()) for value in tensors.values())


def test_weights_are_looked_at_once_for_each_checkpoint(
    dataset: Dataset, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    check = trainer._check_finite

    def noted(task: Task, state: TrainingState, steps: int, processes: Processes) -> None:
        looked.append(state.step)
        check(task, state, steps, processes)

    monkeypatch.setattr(trainer, "_check_finite", noted)
    settings = replace(config, checkpoint_interval_s=0.0)  # one behind each step
    train_backbone(dataset, settings, folder=tmp_path)
    _, record = read_checkpoint(tmp_path / "checkpoints" / "backbone.safetensors")
    assert looked == list(range(1, record["step"] + 1))


def test_shards_that_processes_cannot_share_are_refused(
    dataset: Dataset, config: TrainConfig
) -> None:
    with pytest.raises(ConfigError, match="3 shards cannot be shared equally by 2 processes"):
        train_backbone(dataset, replace(config, shards=3), processes=Processes(0, 2))
    with pytest.raises(ConfigError, match=r"batch_size 24 leaves less than two images for each"):
        replace(config, shards=13)


def test_resume_of_a_backbone_equals_uninterrupted(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    expected = train_backbone(dataset, config)
    with pytest.raises(KeyboardInterrupt):
        train_backbone(dataset, config, folder=tmp_path, progress=InterruptAt(3))
    found = train_backbone(dataset, config, folder=tmp_path, resume=True)
    assert found.history == expected.history
    for name, value in expected.backbone.state_dict().items():
        assert torch.equal(found.backbone.state_dict()[name], value)


def test_a_finished_training_resumes_to_its_result(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    assert_equal(train(dataset, config, tmp_path), train(dataset, config, tmp_path))


def test_a_training_goes_on_on_another_kind_of_device(
    dataset: Dataset, config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(dataset, config, tmp_path, interrupt=6)
    path = tmp_path / "checkpoints" / "phydnn.safetensors"
    tensors, record = read_checkpoint(path)
    assert record["device"] == "cpu"
    # As CUDA's generators have it: a seed and an offset.
    tensors["generator/link/0"] = torch.zeros(16, dtype=torch.uint8)
    found = []
    for _ in range(2):
        write_checkpoint(path, tensors, {**record, "device": "cuda"})
        found.append(train(dataset, config, tmp_path))
    assert f"{path}: was written on cuda and goes on on cpu" in caplog.text
    assert_equal(*found)
    expected = train(dataset, config, None)
    assert len(found[0].history) == len(expected.history)
    assert found[0].history[0] == expected.history[0]  # from before the move
    assert found[0].history[1:] != expected.history[1:]
    assert read_checkpoint(path)[1]["device"] == "cpu"


def test_a_checkpoint_of_other_data_is_refused(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    train_backbone(dataset, config, folder=tmp_path)
    swapped = ImageSet(
        dataset.train.images, dataset.train.labels.flip(0), dataset.train.class_names
    )
    other = Dataset(
        name="bars",
        train=swapped,
        validation=dataset.validation,
        test=dataset.test,
        mean=dataset.mean,
        std=dataset.std,
    )
    with pytest.raises(CheckpointError, match="belongs to a run with labels"):
        train_backbone(other, config, folder=tmp_path, resume=True)


def test_curves_are_written_for_tensorboard(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    train_backbone(dataset, config, folder=tmp_path)
    assert list((tmp_path / "tensorboard" / "backbone").glob("events*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo's own
def test_a_compiled_training_is_the_same_and_resumes_exactly(
    dataset: Dataset, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = []

    def as_traced(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    settings = replace(config, phydnn=replace(config.phydnn, orders=(8,), epochs=(2,)))
    expected = train(dataset, settings, None)
    # The graphs are run as they were traced: what a C++ compiler makes of them takes minutes.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=as_traced))
    compiled = replace(settings, compile=True)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, compiled, tmp_path, interrupt=6)
    assert len(graphs) >= 2  # of the head, of the tail
    found = train(dataset, compiled, tmp_path)
    assert_equal(found, expected)
    names = found.last.phydnn.state_dict().keys()
    assert list(names) == list(expected.last.phydnn.state_dict())
