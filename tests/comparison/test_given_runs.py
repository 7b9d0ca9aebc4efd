"""Runs of elsewhere are recognised by what they hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.comparison.given_runs import find_given_runs, is_faithful
from phyemu.dnn import Lookup, Score
from phyemu.errors import ConfigError
from phyemu.training import LinkConfig, Preset, TrainConfig, named_preset

PAPER = named_preset(Preset.PAPER, "digits", "awgn:12")


def test_the_presets_are_told_apart() -> None:
    assert is_faithful(PAPER, PAPER)
    assert not is_faithful(named_preset(Preset.BEST, "digits", "awgn:12"), PAPER)


@pytest.mark.parametrize(
    "config",
    [
        replace(PAPER, phydnn=replace(PAPER.phydnn, score=Score.DISTANCE)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, lookup=Lookup.SOFT)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, distillation=0.5)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, commitment=0.1)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, beta=1e-5)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, beta_growth=1.0)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, binding=0.0)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, binding_share=0.125)),
        replace(PAPER, phydnn=replace(PAPER.phydnn, split="layer1")),
        replace(PAPER, phydnn=replace(PAPER.phydnn, final_temperature=0.1)),
        replace(PAPER, data=replace(PAPER.data, limit=1000)),
        replace(PAPER, link=LinkConfig(channel="awgn:12", modulation="qam")),
        replace(
            PAPER,
            phydnn=replace(
                PAPER.phydnn,
                orders=(16, 8, 4),
                epochs=(3, 2, 2),
                symbols_per_slice=(2, 1, 1),
            ),
        ),
        replace(
            PAPER,
            phydnn=replace(PAPER.phydnn, feature_distillation=20.0, feature_layers=("layer3",)),
        ),
    ],
)
def test_what_the_paper_does_not_have_is_not_the_papers(config: TrainConfig) -> None:
    assert not is_faithful(config, PAPER)


def test_schedules_and_rates_do_not_matter() -> None:
    settings = replace(
        PAPER.phydnn, orders=(8, 4), epochs=(1, 2), backbone_learning_rate=1e-3, freeze_epochs=0
    )
    assert is_faithful(replace(PAPER, phydnn=settings), PAPER)


def test_the_paper_is_as_this_comparison_has_it() -> None:
    # A comparison on a share of the images takes runs on that share.
    fewer = replace(PAPER, data=replace(PAPER.data, limit=1000))
    assert is_faithful(fewer, fewer)
    assert not is_faithful(PAPER, fewer)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        find_given_runs([str(tmp_path)])
    with pytest.raises(ConfigError, match="no such folder"):
        find_given_runs([f"best={tmp_path / 'nowhere'}"])
