"""Which cells there are."""

from dataclasses import replace
from itertools import pairwise

from phyemu.comparison import CellKind, Exhibit, cells_of, comparison_preset, plan
from phyemu.comparison.trainings import training_settings


def test_the_papers_comparison_has_every_row() -> None:
    config = comparison_preset("paper")
    keys = plan(config)
    assert len(set(keys)) == len(keys)
    assert {key.system for key in keys} == set(config.systems)
    # Two settings, three networks, two datasets, three seeds, three sizes.
    simulated = [key for key in keys if key.environment == "awgn-12" and key.system == "PhyDNN"]
    assert len(simulated) == 2 * 3 * 2 * 3 * 3
    # The sweep has one size, and shares its 12 dB with Table II.
    sweep = cells_of(Exhibit.FIGURE_10, config)
    assert len(sweep) == 2 * 3 * 2 * 3 * 9
    assert sum(key in simulated for key in sweep) == 2 * 3 * 2 * 3


def test_cells_of_one_training_follow_each_other() -> None:
    keys = plan(comparison_preset("paper"))
    runs = [(key.dataset, key.backbone, key.seed, key.system, key.variant) for key in keys]
    changes = sum(one != other for one, other in pairwise(runs))
    assert changes == len(set(runs)) - 1


def test_only_what_is_asked_for_is_planned() -> None:
    config = replace(
        comparison_preset("paper"),
        exhibits=(Exhibit.FIGURE_9,),
        systems=("BF-1", "PhyDNN"),
        backbones=("resnet20",),
    )
    keys = plan(config)
    assert {key.kind for key in keys} == {CellKind.COST}
    assert {key.environment for key in keys} == {"office-los", "office-nlos"}
    assert {(key.system, key.protocol) for key in keys} == {
        ("BF-1", "tcp"),
        ("BF-1", "udp"),
        ("PhyDNN", ""),
    }
    # Costs do not depend on the seed of a training.
    assert {key.seed for key in keys} == {0}


def test_a_variant_s_symbols_for_each_slice_follow_the_orders() -> None:
    quick = comparison_preset("quick")
    settings = {"dataset": "digits", "backbone": "resnet8", "seed": 0, "system": "PhyDNN"}
    wide = training_settings(
        replace(quick, orders=(16, 4), sweep_orders=(16,)), variant="best", **settings
    ).phydnn
    assert (wide.orders, wide.symbols_per_slice) == ((16, 4), (8, 4))
    assert wide.epochs == (1, 1)  # [training.all] has one number
    assert (wide.split, wide.feature_layers) == ("layer1", ("layer2", "layer3"))
    narrow = training_settings(quick, variant="best", **settings).phydnn
    assert (narrow.orders, narrow.symbols_per_slice) == ((8, 4), (6, 4))
