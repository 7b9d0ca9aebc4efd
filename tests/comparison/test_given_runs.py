"""Runs of elsewhere are recognised by what they hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phyemu.comparison.given_runs import find_given_runs, has_settings_of
from phyemu.dnn import Estimator, Lookup, Score
from phyemu.errors import ConfigError
from phyemu.training import LinkConfig, Preset, TrainConfig, named_preset, preset

PAPER = named_preset(Preset.PAPER, "digits", "awgn:12")
BEST = named_preset(Preset.BEST, "digits", "awgn:12")


def test_the_presets_are_told_apart() -> None:
    presets = {"paper": PAPER, "best": BEST}
    beginners = preset("digits", "awgn:12")
    for own, config in (*presets.items(), ("", beginners)):
        fitting = [name for name, other in presets.items() if has_settings_of(config, other)]
        assert fitting == [own] * bool(own)


@pytest.mark.parametrize(
    "changes",
    [
        {"feature_distillation": 10.0},
        {"commitment": 0.0},
        {"codebooks": 4, "symbols_per_slice": (8, 4, 4)},
        {"slice_size": (4, 1)},
        {"symbols_per_slice": (4, 4, 4)},
        {"distillation_temperature": 4.0},
        {"estimator": Estimator.STRAIGHT_THROUGH},
        {"removal": "least-used"},
        {"split": "layer1", "feature_layers": ("layer2", "layer3")},
    ],
)
def test_other_methods_are_not_the_best(changes: dict[str, Any]) -> None:
    assert not has_settings_of(replace(BEST, phydnn=replace(BEST.phydnn, **changes)), BEST)


def test_the_best_of_fewer_orders_is_the_best() -> None:
    settings = replace(BEST.phydnn, orders=(4,), epochs=(30,), symbols_per_slice=(4,))
    assert has_settings_of(replace(BEST, phydnn=settings), BEST)
    assert has_settings_of(BEST, replace(BEST, phydnn=settings))


def test_the_committed_run_is_the_best() -> None:
    folder = Path(__file__).parents[2] / "docs" / "results" / "runs"
    runs, _ = find_given_runs([str(folder)])
    presets = {str(name): named_preset(name, "image-folder:images", "awgn:12") for name in Preset}
    assert {run.folder.name: run.variant_among(presets) for run in runs} == {
        "resnet20-best-seed0": "best"
    }


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
    assert not has_settings_of(config, PAPER)


def test_schedules_and_rates_do_not_matter() -> None:
    settings = replace(
        PAPER.phydnn, orders=(8, 4), epochs=(1, 2), backbone_learning_rate=1e-3, freeze_epochs=0
    )
    assert has_settings_of(replace(PAPER, phydnn=settings), PAPER)


def test_the_paper_is_as_this_comparison_has_it() -> None:
    # A comparison on a share of the images takes runs on that share.
    fewer = replace(PAPER, data=replace(PAPER.data, limit=1000))
    assert has_settings_of(fewer, fewer)
    assert not has_settings_of(PAPER, fewer)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        find_given_runs([str(tmp_path)])
    with pytest.raises(ConfigError, match="no such folder"):
        find_given_runs([f"best={tmp_path / 'nowhere'}"])
