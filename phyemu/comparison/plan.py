"""Which cells each table and figure is made of."""

from collections.abc import Iterator, Sequence
from itertools import product

from .cell import CellKey, CellKind
from .config import FULL_STACK_SYSTEMS, PHYDNN, ComparisonConfig
from .environment import (
    COLOSSEUM,
    CONFERENCE,
    NO_CHANNEL,
    OFFICE,
    TRAINING_SNR_DB,
    awgn_name,
)
from .exhibit import Exhibit

__all__ = ["cells_of", "plan"]

_JSCC = "DT-JSCC"


def plan(config: ComparisonConfig) -> list[CellKey]:
    """Return every cell of the exhibits asked for, once each, those of one training together."""
    wanted = dict.fromkeys(key for exhibit in config.exhibits for key in cells_of(exhibit, config))
    return sorted(
        wanted,
        key=lambda key: (
            list(config.datasets).index(key.dataset),
            key.backbone,
            key.seed,
            key.system,
            key.variant,
            -key.order,
        ),
    )


def cells_of(exhibit: Exhibit, config: ComparisonConfig) -> list[CellKey]:
    """Return the cells that a table or figure shows, as far as the systems asked for go.

    Args:
        exhibit: Table or figure.
        config: Systems, backbones, seeds and so on.
    """
    main, backbones = (config.main_dataset,), config.backbones
    jscc_backbones = (config.jscc_backbone,)
    match exhibit:
        case Exhibit.TABLE_1:
            return [
                *_whole(config, main, backbones),
                *_phydnn(config, main, backbones, OFFICE, config.orders),
            ]
        case Exhibit.TABLE_2:
            datasets = tuple(config.datasets)
            simulated = (awgn_name(TRAINING_SNR_DB),)
            return [
                *_whole(config, datasets, backbones, ("edge-only",)),
                *_phydnn(config, datasets, backbones, simulated, config.orders),
            ]
        case Exhibit.TABLE_3:
            order = (config.cost.order,)
            return [
                *_jscc(config, OFFICE),
                *_phydnn(config, main, jscc_backbones, OFFICE, order),
                *_costs(config, (_JSCC, PHYDNN), jscc_backbones, OFFICE[:1]),
            ]
        case Exhibit.FIGURE_6 | Exhibit.FIGURE_9:
            return list(_costs(config, config.systems, backbones, OFFICE))
        case Exhibit.FIGURE_7:
            return list(_costs(config, config.systems, backbones, CONFERENCE))
        case Exhibit.FIGURE_8:
            return list(_costs(config, config.systems, backbones, COLOSSEUM))
        case Exhibit.FIGURE_10:
            sweep = tuple(awgn_name(snr_db) for snr_db in config.snrs_db)
            datasets = tuple(config.datasets)
            return list(_phydnn(config, datasets, backbones, sweep, config.sweep_orders))
        case Exhibit.FIGURE_11:
            return list(_costs(config, (_JSCC, PHYDNN), jscc_backbones, OFFICE))


def _whole(
    config: ComparisonConfig,
    datasets: Sequence[str],
    backbones: Sequence[str],
    systems: Sequence[str] = ("edge-only", *FULL_STACK_SYSTEMS),
) -> Iterator[CellKey]:
    """Yield the accuracies of systems whose data arrive intact."""
    for dataset, backbone, system, seed in product(datasets, backbones, systems, config.seeds):
        if system in config.systems:
            yield CellKey(
                kind=CellKind.ACCURACY,
                system=system,
                dataset=dataset,
                backbone=backbone,
                environment=NO_CHANNEL,
                seed=seed,
            )


def _phydnn(
    config: ComparisonConfig,
    datasets: Sequence[str],
    backbones: Sequence[str],
    environments: Sequence[str],
    orders: Sequence[int],
) -> Iterator[CellKey]:
    if PHYDNN not in config.systems:
        return
    for dataset, backbone, variant, seed, order, environment in product(
        datasets, backbones, config.variants, config.seeds, orders, environments
    ):
        yield CellKey(
            kind=CellKind.ACCURACY,
            system=PHYDNN,
            variant=variant,
            dataset=dataset,
            backbone=backbone,
            environment=environment,
            order=order,
            seed=seed,
        )


def _jscc(config: ComparisonConfig, environments: Sequence[str]) -> Iterator[CellKey]:
    if _JSCC not in config.systems:
        return
    for seed, environment in product(config.seeds, environments):
        yield CellKey(
            kind=CellKind.ACCURACY,
            system=_JSCC,
            dataset=config.main_dataset,
            backbone=config.jscc_backbone,
            environment=environment,
            order=config.jscc_order,
            seed=seed,
        )


def _costs(
    config: ComparisonConfig,
    systems: Sequence[str],
    backbones: Sequence[str],
    environments: Sequence[str],
) -> Iterator[CellKey]:
    """Yield costs, of the first seed: they do not depend on weights."""
    for backbone, system, environment in product(backbones, systems, environments):
        if system not in config.systems or (system == _JSCC and backbone != config.jscc_backbone):
            continue
        symbols = {PHYDNN: config.cost.order, _JSCC: config.jscc_order}
        stacked = system in (*FULL_STACK_SYSTEMS, "edge-only")
        variants = config.variants if system == PHYDNN else ("",)
        for variant, protocol in product(variants, config.cost.protocols if stacked else ("",)):
            yield CellKey(
                kind=CellKind.COST,
                system=system,
                variant=variant,
                dataset=config.main_dataset,
                backbone=backbone,
                environment=NO_CHANNEL if system == "device-only" else environment,
                order=symbols.get(system, 0),
                protocol=protocol,
                seed=config.seeds[0],
            )
