"""Run folders: what is made, kept, refused, and read back."""

import copy
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from phyemu.baselines import (
    System,
    SystemConfig,
    SystemName,
    Transport,
    load_system,
    read_report,
    read_system_config,
    train_system,
)
from phyemu.channel import Awgn
from phyemu.datasets import Dataset, ImageSet
from phyemu.dnn import Normalise, PhyDnn, ResNet, ResNetConfig, describe_architecture, resnet
from phyemu.errors import CheckpointError, ConfigError
from phyemu.evaluation import EvaluationFidelity, evaluate_phydnn, run_test_images
from phyemu.toml_config import to_toml
from phyemu.training import LinkConfig, export_phydnn, preset
from phyemu.waveform import constellation

ALL = [name for name in SystemName if name is not SystemName.PHYDNN]


def test_every_system_is_read_back_as_it_was_scored(
    backbone: ResNet, dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    backbone = copy.deepcopy(backbone).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    images = dataset.test.images[:7]
    for name in ALL:
        made = train_system(name, backbone, dataset, config, tmp_path / name)
        read = load_system(tmp_path / name)
        assert (read.name, read.transport) == (name, made.transport)
        with torch.no_grad():
            assert torch.equal(read.logits(images), made.logits(images))
        report = read_report(tmp_path / name)
        assert (report.system, report.payload_bytes_per_image) == (
            name,
            read.payload_bytes_per_image,
        )
        if name is not SystemName.DT_JSCC:
            assert report.accuracy == read.accuracy(dataset.test, None, 0)
        written = read_system_config(tmp_path / name)
        assert written == replace(config, system=name)
        history = json.loads((tmp_path / name / "history.json").read_text(encoding="utf-8"))
        trained = name in ("BF-1", "BF-2", "DT-JSCC")
        assert bool(history["epochs"]) == trained == (report.epoch is not None)
        own = {parameter.data_ptr() for parameter in backbone.parameters()}
        parts = [part for part in (made.head, made.tail) if part is not None]
        assert own.isdisjoint(w.data_ptr() for part in parts for w in part.parameters())
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert backbone.training
    sizes = {name: load_system(tmp_path / name).payload_bytes_per_image for name in ALL}
    # 8x8 pixels of one byte; 4 maps, 1 and 2 maps of float32; one symbol of two bits.
    assert sizes == {
        "SC": 1024,
        "BF-1": 256,
        "BF-2": 512,
        "DT-JSCC": 0.25,
        "edge-only": 64,
        "device-only": 0,
    }


@pytest.fixture
def jscc(dataset: Dataset, config: SystemConfig, tmp_path: Path) -> System:
    """Return a DT-JSCC of 10 symbols and more for frames to carry."""
    settings = replace(config.dt_jscc, epochs=1)
    return train_system(
        SystemName.DT_JSCC, None, dataset, replace(config, dt_jscc=settings), tmp_path / "jscc"
    )


def test_dt_jscc_goes_on_the_air_as_a_phydnn_does(jscc: System, dataset: Dataset) -> None:
    assert jscc.transport is Transport.PHY
    assert jscc.phydnn is not None
    assert (jscc.symbols_per_image, jscc.phydnn.order) == (1, 4)
    assert jscc.constellation is not None
    assert jscc.constellation.name == "psk"
    channel = Awgn(20.0)
    by_frames = evaluate_phydnn(
        jscc.phydnn, channel, dataset.test, fidelity=EvaluationFidelity.FRAMES, seed=3
    )
    assert by_frames.frames_sent > 0
    assert by_frames.frames_lost == 0
    assert jscc.accuracy(dataset.test, channel, 3) == by_frames.accuracy
    # At an SNR without errors it is what arrives where everything does.
    assert by_frames.ser == 0
    assert by_frames.accuracy == jscc.accuracy(dataset.test, None, 3)
    # And where nothing can be understood, each symbol is a guess.
    noisy = evaluate_phydnn(
        jscc.phydnn, Awgn(-20.0), dataset.test, fidelity=EvaluationFidelity.SYMBOL, seed=3
    )
    assert noisy.ser > 0.5


def test_symbols_of_an_image_are_what_its_card_says(jscc: System, dataset: Dataset) -> None:
    assert jscc.head is not None
    symbols = jscc.head(dataset.test.images)
    assert symbols.shape == (30, 1)
    assert symbols.dtype == torch.int64
    assert 0 <= int(symbols.min()) <= int(symbols.max()) < 4


def test_test_images_of_a_dt_jscc_run_are_found_as_of_any_run(
    config: SystemConfig, tmp_path: Path
) -> None:
    from phyemu.datasets import load_dataset

    config = replace(
        config,
        data=replace(config.data, limit=40),
        dt_jscc=replace(config.dt_jscc, epochs=1, maps=8, batch_size=20),
    )
    digits = load_dataset("digits", seed=config.seed, limit=40)
    system = train_system(SystemName.DT_JSCC, None, digits, config, tmp_path / "run")
    assert system.phydnn is not None
    found = run_test_images(tmp_path / "run", system.phydnn)
    assert torch.equal(found.images, digits.test.images)


@pytest.mark.parametrize(("order", "kilobytes"), [(16, 32), (8, 24), (4, 16)])
def test_a_phydnn_run_is_a_system_and_sends_the_kilobytes_of_table_ii(
    order: int, kilobytes: int, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    network = resnet(ResNetConfig(depth=20, num_classes=2), generator=generator)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=generator)
    some = ImageSet(images, torch.arange(8) % 2, ("a", "b"))
    data = Dataset(
        name="pixels", train=some, validation=some, test=some, mean=(0.5,) * 3, std=(0.2,) * 3
    )
    config = preset("cifar10:none", "awgn:12")
    phydnn = PhyDnn.from_backbone(
        network,
        split="layer1",
        image_shape=data.image_shape,
        normalise=Normalise(data.mean, data.std),
        num_embeddings=order,
        generator=generator,
    )
    export_phydnn(
        tmp_path,
        phydnn,
        constellation("psk", order),
        config=config,
        dataset=data,
        architecture=describe_architecture(network),
        provenance={},
    )
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    system = load_system(tmp_path, order=order)
    assert (system.name, system.transport) == (SystemName.PHYDNN, Transport.PHY)
    assert system.symbols_per_image == 1024
    assert 64 * system.payload_bytes_per_image == kilobytes * 1024
    assert system.image_shape == (3, 32, 32)
    assert 0 <= system.accuracy(some, None, 0) <= 100


class InterruptAt:
    """A progress callback that presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if done == self.step:
            self.step = -1
            signal.raise_signal(signal.SIGINT)


def test_an_unfinished_run_is_no_system_until_it_is_resumed(
    backbone: ResNet, dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    name = SystemName.BOTTLEFIT_1
    expected = train_system(name, backbone, dataset, config, tmp_path / "whole")
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_system(name, backbone, dataset, config, run, progress=InterruptAt(3))
    with pytest.raises(CheckpointError, match="not finished; finish it: phyemu train-baseline BF"):
        load_system(run)
    found = train_system(name, backbone, dataset, config, run, resume=True)
    images = dataset.test.images
    with torch.no_grad():
        assert torch.equal(found.logits(images), expected.logits(images))


def test_a_network_of_the_users_own_is_split_and_read_back(
    dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    def own() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
        )

    settings = replace(config, split="1")
    made = train_system(SystemName.SPLIT_COMPUTING, own(), dataset, settings, tmp_path / "run")
    assert made.payload_bytes_per_image == 2 * 8 * 8 * 4
    with pytest.raises(CheckpointError, match="Sequential"):
        load_system(tmp_path / "run")
    read = load_system(tmp_path / "run", backbone=own())
    with torch.no_grad():
        assert torch.equal(read.logits(dataset.test.images), made.logits(dataset.test.images))


def test_mean_and_deviation_of_the_settings_come_before_those_of_the_weights(
    backbone: ResNet, dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    images = dataset.test.images
    said = replace(config, data=replace(config.data, mean=(0.3,), std=(0.2,)))
    wrong = Normalise([0.7], [0.05])
    name = SystemName.EDGE_ONLY
    for settings, folder, right in ((said, "said", True), (config, "stored", False)):
        made = train_system(name, backbone, dataset, settings, tmp_path / folder, normalise=wrong)
        with torch.no_grad():
            expected = backbone(Normalise([0.3], [0.2])(images))
            assert torch.allclose(made.logits(images), expected, atol=1e-5) is right
    three = replace(config, data=replace(config.data, mean=(0.5,) * 3, std=(0.2,) * 3))
    for each in (name, SystemName.DT_JSCC):
        with pytest.raises(ConfigError, match="3 values, but bars has 1 channels"):
            train_system(each, backbone, dataset, three, tmp_path / "no")
    other = Normalise([0.5] * 3, [0.2] * 3)
    with pytest.raises(CheckpointError, match="on 3 channels, but bars has 1"):
        train_system(name, backbone, dataset, config, tmp_path / "no", normalise=other)
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_made_is_refused(
    untrained: ResNet, dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(ConfigError, match="trained by phyemu train"):
        train_system(SystemName.PHYDNN, untrained, dataset, config, run)
    with pytest.raises(ConfigError, match="made from a trained network; none was given"):
        train_system(SystemName.BOTTLEFIT_1, None, dataset, config, run)
    other = replace(config, system=SystemName.BOTTLEFIT_2)
    with pytest.raises(ConfigError, match="settings are of BF-2, but BF-1"):
        train_system(SystemName.BOTTLEFIT_1, untrained, dataset, other, run)
    assert not run.exists()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (SystemName.SPLIT_COMPUTING, {"split": "layer9"}, "layer9"),
        (SystemName.DT_JSCC, {"link": LinkConfig(channel="no-such")}, "no-such"),
        (
            SystemName.DT_JSCC,
            {"link": LinkConfig(channel="awgn:9", modulation="qam")},
            "qam order must be a power",
        ),
    ],
)
def test_settings_that_cannot_work_leave_no_folder(
    untrained: ResNet,
    dataset: Dataset,
    config: SystemConfig,
    tmp_path: Path,
    name: SystemName,
    change: dict[str, Any],
    message: str,
) -> None:
    config = replace(config, dt_jscc=replace(config.dt_jscc, order=12), **change)
    with pytest.raises(ConfigError, match=message):
        train_system(name, untrained, dataset, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [name for name in ALL if name is not SystemName.DT_JSCC])
def test_a_network_for_other_classes_leaves_no_folder(
    dataset: Dataset, config: SystemConfig, tmp_path: Path, name: SystemName
) -> None:
    shape = ResNetConfig(depth=8, num_classes=4, in_channels=1, width=4)
    other = resnet(shape, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ConfigError, match=r"must give \(3,\) logits .* trained on bars"):
        train_system(name, other, dataset, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_without_stages_is_no_bottlefit_and_leaves_no_folder(
    dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(ConfigError, match="Sequential is none"):
        train_system(SystemName.BOTTLEFIT_2, own, dataset, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_and_other_settings_are_refused(
    untrained: ResNet, dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_system(SystemName.EDGE_ONLY, untrained, dataset, config, run)
    with pytest.raises(ConfigError, match="exists already"):
        train_system(SystemName.EDGE_ONLY, untrained, dataset, config, run)
    with pytest.raises(ConfigError, match="other settings"):
        train_system(
            SystemName.EDGE_ONLY, untrained, dataset, replace(config, seed=9), run, resume=True
        )
    with pytest.raises(ConfigError, match="no run folder"):
        load_system(tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "'system'"),
        ({"system": "BF-9"}, "BF-9"),
        ({"maps": "many"}, "many"),
        ({"maps": 99}, "1 to 3 maps, got 99"),
        ({"image_shape": 3}, "int"),
        ({"architecture": "resnet"}, "must be an object"),
        ({"architecture": {"name": "os.system"}}, "os.system"),
        ({"system": "DT-JSCC", "split": None}, "lacks normalise.mean"),
    ],
)
def test_weights_that_contradict_themselves_are_refused(
    untrained: ResNet,
    dataset: Dataset,
    config: SystemConfig,
    tmp_path: Path,
    record: dict[str, object],
    message: str,
) -> None:
    from phyemu.baselines.bottlefit_network import BottleFitNet
    from phyemu.baselines.stored_network import load_network, save_bottlefit
    from phyemu.training import read_checkpoint, write_checkpoint

    path = tmp_path / "weights.safetensors"
    network = BottleFitNet(untrained, Normalise([0.3], [0.2]), maps=1, generator=None)
    save_bottlefit(path, SystemName.BOTTLEFIT_1, network, untrained, dataset)
    assert load_network(path).payload_bytes_per_image == 256
    tensors, written = read_checkpoint(path)
    write_checkpoint(path, tensors, {**written, **record} if record else {})
    with pytest.raises(CheckpointError, match=message) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_truncated_files_are_refused(
    untrained: ResNet, dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_system(SystemName.DEVICE_ONLY, untrained, dataset, config, run)
    weights, metrics, settings = (
        run / name for name in ("weights.safetensors", "metrics.json", "config.toml")
    )
    content = metrics.read_bytes()
    metrics.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="tells of no finished system"):
        read_report(run)
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="damaged"):
        load_system(run)
    settings.write_text('system = "BF-3"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="system must be one of SC, BF-1"):
        load_system(run)


def test_two_trainings_do_not_share_a_folder(
    dataset: Dataset, config: SystemConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def again(stage: str, done: int, total: int, note: str = "") -> None:
        with pytest.raises(ConfigError, match="run: another process is training there"):
            train_system(SystemName.DT_JSCC, None, dataset, config, run, resume=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_system(SystemName.DT_JSCC, None, dataset, config, run, progress=again)


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line(
    dataset: Dataset, config: SystemConfig
) -> None:
    with pytest.raises(ConfigError, match="/proc/phyemu: cannot be written to"):
        train_system(SystemName.DT_JSCC, None, dataset, config, Path("/proc/phyemu"))
