from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phyemu.errors import ConfigError
from phyemu.training import (
    Preset,
    named_preset,
    pick_device,
    preset,
    resolve_config,
    to_toml,
)


def test_without_anything_given_it_is_the_preset_of_the_digits() -> None:
    assert resolve_config({}) == preset("digits", "awgn:12")


@pytest.mark.parametrize("name", [None, *Preset])
@pytest.mark.parametrize("dataset", ["digits", "cifar10:x"])
def test_the_settings_of_a_run_are_a_file_that_gives_them_again(
    tmp_path: Path, name: Preset | None, dataset: str
) -> None:
    made = preset(dataset, "awgn:9") if name is None else named_preset(name, dataset, "awgn:9")
    path = tmp_path / "config.toml"
    path.write_text(to_toml(made), "utf-8")
    assert resolve_config({}, file=path) == made


def test_options_come_before_the_file_before_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text('seed = 4\n[phydnn]\nbinding = 0.5\n[link]\nchannel = "awgn:3"\n', "utf-8")
    config = resolve_config({"seed": 9, "backbone.name": "resnet14"}, file=path)
    assert (config.seed, config.backbone.depth) == (9, 14)
    assert (config.phydnn.binding, config.link.channel) == (0.5, "awgn:3")
    assert config.phydnn.split == "layer2"  # of the preset


def test_one_number_of_epochs_serves_every_order() -> None:
    config = resolve_config({"phydnn.orders": [16, 8, 4], "phydnn.epochs": [3]})
    assert config.phydnn.epochs == (3, 3, 3)


def test_stages_without_epochs_take_those_of_the_preset() -> None:
    shorter = resolve_config({"phydnn.orders": [16, 4]}, named=Preset.PAPER).phydnn
    assert shorter.epochs == named_preset(Preset.PAPER, "digits", "awgn:12").phydnn.epochs[:2]
    assert resolve_config({"phydnn.orders": [16, 8]}).phydnn.epochs == (10, 10)


def test_stages_without_symbols_for_each_slice_take_those_of_their_order(tmp_path: Path) -> None:
    def symbols(*orders: int, **options: object) -> tuple[int, ...]:
        given = {f"phydnn.{name}": value for name, value in options.items()}
        found = resolve_config({"phydnn.orders": list(orders), **given}, named=Preset.BEST)
        return found.phydnn.symbols_per_slice

    # QPSK, of which four positions of M = 32 take ten; M = 3 has no such tuples.
    assert symbols(16) == (8,)
    assert symbols(8, 4) == (6, 4)
    assert symbols(32, 16, 8, 4, 3, 2) == (10, 8, 6, 4, 2, 2)
    assert symbols(16, 4, symbols_per_slice=[2]) == (2,)
    path = tmp_path / "t.toml"
    path.write_text("[phydnn]\norders = [16]\nsymbols_per_slice = [4]\n", encoding="utf-8")
    assert resolve_config({}, file=path, named=Preset.BEST).phydnn.symbols_per_slice == (4,)
    # Slices of one position: 16 and 4 are powers of 4, and 8 is none.
    single = {"slice_size": [1, 1], "codebooks": 1}
    assert symbols(16, 8, 4, **single) == (2, 1, 1)


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, ("layer3",)),
        ({"phydnn.split": "layer1"}, ("layer2", "layer3")),
        ({"phydnn.split": "layer3"}, ()),
        ({"phydnn.splits": ["layer1", "layer2"]}, ()),
        ({"backbone.model": "timm:resnet18", "phydnn.split": "layer2"}, ()),
        ({"compile": True}, ()),
        ({"phydnn.feature_distillation": 0.0}, ()),
        ({"phydnn.split": "layer1", "phydnn.feature_layers": ["layer3"]}, ("layer3",)),
    ],
)
def test_features_are_compared_behind_the_cut_where_they_can_be(
    options: dict[str, object], layers: tuple[str, ...]
) -> None:
    assert resolve_config(options, named=Preset.BEST).phydnn.feature_layers == layers


def test_a_named_preset_comes_below_options_and_above_a_resumed_run(tmp_path: Path) -> None:
    found = resolve_config({"link.channel": "awgn:3", "seed": 2}, named=Preset.BEST)
    assert found == replace(named_preset(Preset.BEST, "digits", "awgn:3"), seed=2)
    (tmp_path / "config.toml").write_text(to_toml(found), encoding="utf-8")
    paper = resolve_config({}, resumed=tmp_path, named=Preset.PAPER)
    assert paper == named_preset(Preset.PAPER, "digits", "awgn:12")


def test_a_resumed_run_begins_with_its_own_settings(tmp_path: Path) -> None:
    before = resolve_config({"seed": 3, "link.channel": "awgn:7"})
    (tmp_path / "config.toml").write_text(to_toml(before), encoding="utf-8")
    assert resolve_config({}, resumed=tmp_path) == before


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resnet20"):
        resolve_config({"backbone.name": "vgg"})
    path = tmp_path / "t.toml"
    path.write_text("[phydnn]\nbeta0 = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean beta"):
        resolve_config({}, file=path)


@pytest.mark.parametrize("named", [None, Preset.PAPER])
def test_shards_of_a_resumed_run_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Preset | None
) -> None:
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("WORLD_SIZE", "2")
    begun = resolve_config({}, named=named)
    assert begun.shards == 2
    (tmp_path / "config.toml").write_text(to_toml(begun), encoding="utf-8")
    for count in ("1", "4"):
        monkeypatch.setenv("WORLD_SIZE", count)
        assert resolve_config({}, resumed=tmp_path, named=named) == begun
    assert resolve_config({"shards": 4}, resumed=tmp_path, named=named).shards == 4


def test_devices_by_name() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="unknown"):
        pick_device("abacus")
    with pytest.raises(ConfigError, match="'meta' computes nothing"):
        pick_device("meta")
