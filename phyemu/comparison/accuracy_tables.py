"""Tables I and II, and the numbers behind Fig. 10, from cells."""

from collections.abc import Iterable, Sequence

from .cell import CellKind
from .cell_set import CellSet, Spread
from .config import FULL_STACK_SYSTEMS, PHYDNN
from .environment import NO_CHANNEL, OFFICE, TRAINING_SNR_DB, awgn_name, is_simulation
from .exhibit import Exhibit
from .labels import backbone_label, by_depth, dataset_label, phydnn_label
from .published import published_value
from .result_table import Entry, ResultTable
from .training_notes import images_note, training_note

__all__ = [
    "error_spread",
    "snrs_of",
    "table_1",
    "table_2",
    "table_2_drops",
    "table_of_sweep",
]

_NEAR_SNRS_DB = (8.0, 20.0)
_BRACKETS = "Means over seeds ± sample deviation; in brackets the paper's value and our difference."


def table_1(cells: CellSet, dataset: str) -> ResultTable | None:
    """Return Table I: accuracy in the office; None where no cell is of it."""
    of_dataset = cells.where(kind=CellKind.ACCURACY, dataset=dataset)
    office = of_dataset.where(system=PHYDNN, environment=OFFICE)
    if not len(office):
        return None
    backbones = _backbones(office)
    whole = of_dataset.where(
        system=("edge-only", *FULL_STACK_SYSTEMS),
        environment=NO_CHANNEL,
        backbone=tuple(backbones),
    )
    rows = []
    for system in ("edge-only", *FULL_STACK_SYSTEMS):
        entries = tuple(
            Entry(
                measured=whole.spread("accuracy", system=system, backbone=backbone),
                published=_published(dataset, f"table-1/{backbone}/baseline"),
            )
            for backbone in backbones
        )
        if _any(entries):
            rows.append(((f"{system} (baseline)", "any", ""), entries))
    for variant in office.values("variant"):
        for order in sorted(office.values("order"), reverse=True):
            for environment in OFFICE:
                wanted = {"variant": variant, "order": order, "environment": environment}
                entries = tuple(
                    Entry(
                        measured=office.spread("accuracy", backbone=backbone, **wanted),
                        published=_published(dataset, f"table-1/{backbone}/{environment}"),
                    )
                    for backbone in backbones
                )
                if _any(entries):
                    label = (phydnn_label(variant), environment, str(order))
                    rows.append((label, entries))
    return ResultTable(
        name="table-1",
        title=f"{Exhibit.TABLE_1.heading}, {dataset_label(dataset)} [%]",
        row_headings=("system", "channel", "M"),
        columns=tuple(backbone_label(name) for name in backbones),
        rows=tuple(rows),
        notes=(
            _BRACKETS,
            "The paper names no M for Table I; its Table III gives the mean of its ResNet-56 "
            "column as the accuracy at 16 KB, M = 4. Its office is a room with two USRP B210; "
            "ours are the emulated worlds office-los and office-nlos.",
            images_note(CellSet([*office, *whole])),
            training_note(CellSet([*office, *whole])),
        ),
    )


def table_2(cells: CellSet, dataset: str) -> ResultTable | None:
    """Return Table II: accuracy at 12 dB over what is sent; None where no cell is of it."""
    simulated, orders = _simulated(cells, dataset)
    if not len(simulated):
        return None
    rows = []
    for variant in simulated.values("variant"):
        for backbone in _backbones(simulated):
            network = simulated.where(variant=variant, backbone=backbone, order=orders[0])
            entries = [Entry(measured=network.spread("backbone_accuracy"))]
            entries += [
                Entry(
                    measured=simulated.spread(
                        "accuracy", variant=variant, backbone=backbone, order=order
                    ),
                    published=published_value(f"table-2/{dataset}/{backbone}/m{order}"),
                )
                for order in orders
            ]
            if _any(entries[1:]):
                rows.append(((phydnn_label(variant), backbone_label(backbone)), tuple(entries)))
    return ResultTable(
        name=f"table-2-{dataset}",
        title=f"{Exhibit.TABLE_2.heading}, {dataset_label(dataset)} [%]",
        row_headings=("system", "backbone"),
        columns=("no radio", *_size_headings(simulated, orders)),
        rows=tuple(rows),
        notes=(
            _BRACKETS,
            _symbols_on_air(simulated, orders),
            images_note(simulated),
            training_note(simulated),
        ),
    )


def table_2_drops(cells: CellSet, dataset: str) -> ResultTable | None:
    """Return what the radio costs: each PhyDNN's own network without it, less Table II."""
    simulated, orders = _simulated(cells, dataset)
    rows = []
    for variant in simulated.values("variant"):
        for backbone in _backbones(simulated):
            entries = []
            for order in orders:
                ours = simulated.where(variant=variant, backbone=backbone, order=order)
                entries.append(
                    Entry(
                        measured=_drop(ours),
                        published=_published_drop(dataset, backbone, order),
                    )
                )
            if _any(entries):
                rows.append(((phydnn_label(variant), backbone_label(backbone)), tuple(entries)))
    if not rows:
        return None
    return ResultTable(
        name=f"table-2-drops-{dataset}",
        title=f"Table II as drops from the network without a radio, {dataset_label(dataset)} "
        "[points]",
        row_headings=("system", "backbone"),
        columns=_size_headings(simulated, orders),
        rows=tuple(rows),
        notes=(
            f"{_BRACKETS} The paper's drop is its Table II against the baseline of its Table I, "
            "which is of CIFAR-10.",
            _symbols_on_air(simulated, orders),
            images_note(simulated),
            training_note(simulated),
        ),
    )


def table_of_sweep(cells: CellSet, dataset: str) -> ResultTable | None:
    """Return Fig. 10 as numbers: error rates over the SNR; None where no cell is of it."""
    swept = cells.where(kind=CellKind.ACCURACY, dataset=dataset, system=PHYDNN)
    snrs = snrs_of(swept)
    if len(snrs) < 2:
        return None
    shown = swept.where(environment=tuple(map(awgn_name, snrs)))
    rows = []
    for variant in swept.values("variant"):
        for backbone in _backbones(swept):
            for order in sorted(swept.values("order"), reverse=True):
                curve = swept.where(variant=variant, backbone=backbone, order=order)
                own = snrs_of(curve)
                if len(own) < 2:
                    continue
                entries = [Entry(measured=error_spread(curve, snr_db)) for snr_db in snrs]
                entries += [Entry(measured=_change(curve, snr_db)) for snr_db in _NEAR_SNRS_DB]
                limit = f"figure-10/change/{backbone}"
                entries.append(
                    Entry(
                        measured=_largest_change(curve, own),
                        published=_published(dataset, limit),
                        bound="less than" if _published(dataset, limit) is not None else "",
                    )
                )
                label = (phydnn_label(variant), backbone_label(backbone), str(order))
                rows.append((label, tuple(entries)))
    return ResultTable(
        name=f"figure-10-{dataset}",
        title=f"{Exhibit.FIGURE_10.heading}, {dataset_label(dataset)} [%]",
        row_headings=("system", "backbone", "M"),
        columns=(
            *(f"{snr_db:g} dB" for snr_db in snrs),
            *(f"12 to {snr_db:g} dB [points]" for snr_db in _NEAR_SNRS_DB),
            "largest change [points]",
        ),
        rows=tuple(rows),
        notes=(
            "Error rates: means over seeds ± sample deviation. A change is of the mean over "
            "seeds; the largest one is between any two SNRs of the sweep, beside what the paper "
            "states of its curves (4 to 20 dB).",
            images_note(shown),
            training_note(shown),
        ),
    )


def snrs_of(cells: CellSet) -> list[float]:
    """Return the SNRs at which there are simulations, rising [dB]."""
    names = [name for name in cells.values("environment") if is_simulation(name)]
    return sorted(float(name.removeprefix("awgn-")) for name in names)


def error_spread(cells: CellSet, snr_db: float) -> Spread | None:
    """Return the error rate at an SNR over the seeds [%]."""
    found = cells.where(environment=awgn_name(snr_db))
    return Spread.of([100 - cell.figures["accuracy"] for cell in found])


def _change(curve: CellSet, snr_db: float) -> Spread | None:
    base, other = error_spread(curve, TRAINING_SNR_DB), error_spread(curve, snr_db)
    return None if base is None or other is None else Spread.of([other.mean - base.mean])


def _largest_change(curve: CellSet, snrs_db: Iterable[float]) -> Spread | None:
    errors = [
        spread.mean for spread in map(lambda snr: error_spread(curve, snr), snrs_db) if spread
    ]
    return Spread.of([max(errors) - min(errors)])


def _simulated(cells: CellSet, dataset: str) -> tuple[CellSet, list[int]]:
    found = cells.where(
        kind=CellKind.ACCURACY,
        system=PHYDNN,
        dataset=dataset,
        environment=awgn_name(TRAINING_SNR_DB),
    )
    return found, sorted(found.values("order"), reverse=True)


def _drop(cells: CellSet) -> Spread | None:
    """Return what was lost against the network that each run began with, over the seeds."""
    return Spread.of(
        [
            cell.figures["backbone_accuracy"] - cell.figures["accuracy"]
            for cell in cells
            if "backbone_accuracy" in cell.figures
        ]
    )


def _published(dataset: str, name: str) -> float | None:
    """Return the number of an id that is about CIFAR-10."""
    return published_value(name) if dataset == "cifar-10" else None


def _published_drop(dataset: str, backbone: str, order: int) -> float | None:
    whole = _published(dataset, f"table-1/{backbone}/baseline")
    sent = published_value(f"table-2/{dataset}/{backbone}/m{order}")
    return None if whole is None or sent is None else round(whole - sent, 2)


def _size_headings(cells: CellSet, orders: Sequence[int]) -> tuple[str, ...]:
    """Return "M = 16 (32 KB)" and so on: of a batch of 64, as the cells counted it."""
    headings = []
    for order in orders:
        payload = cells.mean("payload_bytes", order=order)
        size = "" if payload is None else f" ({payload / 1024:g} KB)"
        headings.append(f"M = {order}{size}")
    return tuple(headings)


def _symbols_on_air(cells: CellSet, orders: Sequence[int]) -> str:
    """Return how many channel symbols an image takes: equal bytes may be unequal air time."""
    parts = []
    for variant in cells.values("variant"):
        counts = [cells.mean("symbols_per_image", variant=variant, order=order) for order in orders]
        said = ", ".join("-" if count is None else f"{count:g}" for count in counts)
        parts.append(f"{phydnn_label(variant)} {said}")
    return f"M is what a position at the cut may say. Channel symbols an image: {'; '.join(parts)}."


def _backbones(cells: CellSet) -> list[str]:
    return sorted(cells.values("backbone"), key=by_depth)


def _any(entries: Iterable[Entry]) -> bool:
    return any(entry.measured is not None for entry in entries)
