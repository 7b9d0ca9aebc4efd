"""Table III, and the numbers behind Figs. 6 to 9 and 11, from cells."""

from collections.abc import Sequence
from dataclasses import replace

from .cell import Cell, CellKey, CellKind
from .cell_set import CellSet, Spread, mean_of
from .config import PHYDNN, SYSTEMS
from .environment import OFFICE
from .exhibit import Exhibit
from .labels import backbone_label, by_depth, phydnn_label
from .published import published_value
from .result_table import Entry, ResultTable
from .training_notes import images_note, training_note
from .transfer_means import failure_note

__all__ = ["COST_SYSTEMS", "cost_rows", "row_label", "table_3", "table_of_costs"]

_JSCC = "DT-JSCC"
COST_SYSTEMS = SYSTEMS
_TIMES = (("head", "head_s"), ("communication", "communication_s"), ("tail", "tail_s"))
_KIB = 1024


def table_3(cells: CellSet, dataset: str) -> ResultTable | None:
    """Return Table III: DT-JSCC and PhyDNN; None where no cell is of it."""
    of_dataset = cells.where(dataset=dataset)
    jscc = of_dataset.where(system=_JSCC)
    if not len(jscc):
        return None
    backbone = jscc.values("backbone")[0]
    # The cells of Fig. 11 state M; accuracies of other M are no part of this table.
    costs = of_dataset.where(kind=CellKind.COST, system=PHYDNN, backbone=backbone)
    orders = costs.values("order")
    order = min(orders or of_dataset.where(system=PHYDNN).values("order") or [0])
    phydnn = of_dataset.where(system=PHYDNN, backbone=backbone, order=order)
    columns = [(_JSCC, jscc, "dt-jscc")]
    columns += [
        (phydnn_label(variant), phydnn.where(variant=variant), "phydnn")
        for variant in phydnn.values("variant")
    ]
    is_paper = backbone == "resnet56" and dataset == "cifar-10"
    rows = []
    for label, figure, name, digits in (
        ("parameters of the head", "head_parameters", "parameters", 0),
        ("MACs of the head, an image", "head_macs", "macs", 0),
    ):
        entries = tuple(
            Entry(
                measured=found.where(kind=CellKind.COST, environment=OFFICE[0]).spread(figure),
                published=published_value(f"table-3/{key}/{name}") if is_paper else None,
                digits=digits,
            )
            for _, found, key in columns
        )
        rows.append(((label,), entries))
    accuracies = tuple(
        Entry(
            measured=_office_accuracy(found.where(kind=CellKind.ACCURACY)),
            published=published_value(f"table-3/{key}/accuracy") if is_paper else None,
        )
        for _, found, key in columns
    )
    rows.append((("accuracy, mean of LoS and NLoS [%]",), accuracies))
    accurate = CellSet([*jscc, *phydnn]).where(kind=CellKind.ACCURACY, environment=OFFICE)
    return ResultTable(
        name="table-3",
        title=f"{Exhibit.TABLE_3.heading}, {backbone_label(backbone)}, M = {order}",
        row_headings=("",),
        columns=tuple(label for label, _, _ in columns),
        rows=tuple(rows),
        notes=(
            "In brackets the paper's value and our difference. DT-JSCC is a network of its own; "
            "the backbone is the PhyDNN's.",
            images_note(accurate),
            training_note(accurate),
        ),
    )


def _office_accuracy(cells: CellSet) -> Spread | None:
    """Return the mean of LoS and NLoS of each seed that has both, over the seeds."""
    means = [
        mean_of(cells.mean("accuracy", seed=seed, environment=name) for name in OFFICE)
        for seed in cells.values("seed")
    ]
    return Spread.of([mean for mean in means if mean is not None])


def table_of_costs(
    cells: CellSet, exhibit: Exhibit, environments: Sequence[str], dataset: str
) -> ResultTable | None:
    """Return latency, bytes and energy of a batch in some places; None where no cell is of it."""
    rows = []
    shown: list[Cell] = []
    for key in cost_rows(cells, environments, dataset):
        one = cells.where(
            kind=CellKind.COST,
            **{name: getattr(key, name) for name in ("system", "variant", "dataset", "backbone")},
            **{name: getattr(key, name) for name in ("environment", "order", "protocol", "seed")},
        )
        times = [_scaled(one.spread(figure), 1e3) for _, figure in _TIMES]
        times.append(_scaled(one.spread("latency_s"), 1e3))
        sizes = [
            _scaled(one.spread(name), 1 / _KIB) for name in ("payload_bytes", "overhead_bytes")
        ]
        energies = [_scaled(one.spread(name), 1e3) for name in ("head_j", "transmit_j", "energy_j")]
        failed = _scaled(one.spread("failed_share"), 100)
        entries = tuple(Entry(measured=spread) for spread in (*times, *sizes, *energies, failed))
        shown += one
        engine = next(iter(one)).engine or "-"
        labels = (row_label(key), backbone_label(key.backbone), key.environment, engine)
        rows.append((labels, entries))
    if not rows:
        return None
    return ResultTable(
        name=str(exhibit),
        title=exhibit.heading,
        row_headings=("system", "backbone", "channel", "full stack by"),
        columns=(
            *(f"{name} [ms]" for name, _ in _TIMES),
            "latency [ms]",
            "payload [KB]",
            "overhead [KB]",
            "head [mJ]",
            "transmission [mJ]",
            "energy [mJ]",
            "failed [%]",
        ),
        rows=tuple(rows),
        notes=(
            "A batch of images, as the settings say (64 in the paper). KB are 1024 bytes; the "
            "paper's heights of bars are not published as numbers, what it states of them in words "
            "is in the table of statements. Failed: transfers through the full stack that did not "
            "deliver everything; all else is of those that did.",
            *filter(None, [failure_note(shown)]),
        ),
    )


def cost_rows(cells: CellSet, environments: Sequence[str], dataset: str) -> list[CellKey]:
    """Return the keys of costs in these places, by backbone, then system in the paper's order.

    What sends nothing (device-only) stands beside what does, never alone.
    """
    found = cells.where(kind=CellKind.COST, dataset=dataset)
    if not len(found.where(environment=tuple(environments))):
        return []
    places = (*environments, "none")
    keys = [cell.key for cell in found.where(environment=places)]
    return sorted(
        keys,
        key=lambda key: (
            by_depth(key.backbone),
            SYSTEMS.index(key.system),
            key.protocol,
            key.variant,
            places.index(key.environment),
        ),
    )


def row_label(key: CellKey) -> str:
    """Return a system with what distinguishes its rows."""
    if key.system == PHYDNN:
        return f"{phydnn_label(key.variant)}, M = {key.order}"
    return f"{key.system}, {key.protocol.upper()}" if key.protocol else key.system


def _scaled(spread: Spread | None, factor: float) -> Spread | None:
    if spread is None:
        return None
    return replace(spread, mean=spread.mean * factor, deviation=spread.deviation * factor)
