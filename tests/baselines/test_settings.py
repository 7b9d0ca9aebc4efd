import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from phyemu.baselines import (
    BottleFitConfig,
    DtJsccConfig,
    SystemConfig,
    SystemName,
    load_backbone,
    resolve_system_config,
    system_preset,
)
from phyemu.dnn import ResNet
from phyemu.errors import CheckpointError, ConfigError
from phyemu.toml_config import from_table, to_toml
from phyemu.training import write_checkpoint


def test_settings_survive_their_file(config: SystemConfig, tmp_path: Path) -> None:
    config = replace(config, system=SystemName.BOTTLEFIT_2, backbone="weights.pth")
    path = tmp_path / "b.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert resolve_system_config(SystemName.BOTTLEFIT_2, {}, file=path) == config


def test_options_come_before_the_file_before_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text('[data]\ndataset = "cifar10:x"\nlimit = 9\n[dt_jscc]\norder = 8\n')
    config = resolve_system_config(SystemName.DT_JSCC, {"data.limit": 5}, file=path)
    assert (config.data.limit, config.dt_jscc.order, config.dt_jscc.maps) == (5, 8, 512)
    assert config.system is SystemName.DT_JSCC


def test_epochs_are_those_of_every_stage() -> None:
    narrow = resolve_system_config(SystemName.BOTTLEFIT_1, {"epochs": 3})
    assert (narrow.bottlefit.mimic_epochs, narrow.bottlefit.epochs) == (3, 3)
    assert resolve_system_config(SystemName.DT_JSCC, {"epochs": 3}).dt_jscc.epochs == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('system = "BF-2"', "of BF-2, but BF-1 was asked for"),
        ("[bottlefit]\nepoch = 3", "did you mean epochs"),
        ("[bottlefit]\nepochs = 0", "epochs must be at least 1"),
        ("[bottlefit]\nhard_label_share = 1.5", "in \\[0, 1\\], got 1.5"),
        ("[bottlefit]\ndecay_ratio = 0.0", "decay_ratio must lie in"),
        ("[bottlefit]\nmomentum = 1.0", "momentum must lie in"),
        ("[bottlefit]\ntemperature = 0.0", "temperature must be positive"),
        ("[bottlefit]\nweight_decay = -1.0", "weight_decay must be >= 0"),
        ("[dt_jscc]\nredundancy = -1.0", "redundancy must be >= 0"),
        ("[dt_jscc]\nlargest_gradient = 0.0", "largest_gradient must be positive"),
        ("seed = -1", "seed must be >= 0"),
        ("checkpoint_interval_s = -1.0", "checkpoint_interval_s must be >= 0"),
        ("bottlefit = 3", "must be a table"),
    ],
)
def test_bad_settings_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_system_config(SystemName.BOTTLEFIT_1, {}, file=path)
    assert "\n" not in str(caught.value)


def test_presets_train_digits_smaller() -> None:
    assert system_preset(SystemName.DT_JSCC, "cifar10:x").dt_jscc.maps == 512
    assert system_preset(SystemName.DT_JSCC, "digits").dt_jscc.maps == 64


def test_a_backbone_comes_with_its_normalisation_where_its_file_has_it(
    untrained: ResNet, tmp_path: Path
) -> None:
    bare, run = tmp_path / "bare.safetensors", tmp_path / "run"
    save_file(untrained.state_dict(), bare)
    network, normalise = load_backbone(bare)
    assert normalise is None
    assert torch.equal(network.state_dict()["linear.weight"], untrained.linear.weight)
    record = {"dataset": {"mean": [0.25], "std": [0.5]}}
    write_checkpoint(run / "backbone.safetensors", untrained.state_dict(), record)
    for place in (run, run / "backbone.safetensors"):
        network, normalise = load_backbone(place)
        assert normalise is not None
        assert (normalise.mean.item(), normalise.std.item()) == (0.25, 0.5)
        assert torch.equal(network.state_dict()["linear.weight"], untrained.linear.weight)


@pytest.mark.parametrize("dataset", [None, {}, {"mean": [0.1], "std": [0.0]}, {"mean": 1}])
def test_a_backbone_with_a_damaged_record_is_refused(
    untrained: ResNet, tmp_path: Path, dataset: object
) -> None:
    write_checkpoint(
        tmp_path / "backbone.safetensors", untrained.state_dict(), {"dataset": dataset}
    )
    with pytest.raises(CheckpointError, match="does not say what it was trained on"):
        load_backbone(tmp_path)


def test_a_folder_without_a_backbone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no backbone\.safetensors"):
        load_backbone(tmp_path)


@given(
    system=st.none() | st.sampled_from(SystemName),
    seed=st.integers(0, 2**31),
    order=st.integers(2, 64),
    rate=st.floats(1e-12, 1e3),
    share=st.floats(0, 1),
    backbone=st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
)
def test_any_settings_survive_their_file(
    system: SystemName | None,
    seed: int,
    order: int,
    rate: float,
    share: float,
    backbone: str | None,
) -> None:
    config = SystemConfig(
        system=system,
        seed=seed,
        backbone=backbone,
        bottlefit=BottleFitConfig(learning_rate=rate, hard_label_share=share),
        dt_jscc=DtJsccConfig(order=order, learning_rate=rate),
    )
    read = from_table(SystemConfig, tomllib.loads(to_toml(config)), where="settings")
    assert read == config
