"""The paper's sentences with a number, computed from our cells where those are there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .accuracy_tables import error_spread, snrs_of
from .cell import CellKind
from .cell_set import CellSet, Spread, mean_of
from .config import FULL_STACK_SYSTEMS, PHYDNN
from .environment import OFFICE, TRAINING_SNR_DB, awgn_name
from .exhibit import Exhibit
from .published import PublishedValue, published_values
from .result_table import Entry, ResultTable

__all__ = ["statement_value", "statements_table"]

_BOTTLEFIT = ("BF-1", "BF-2")
_JSCC = "DT-JSCC"
_STATED_BACKBONE = "resnet56"  # of Table III and Fig. 11
_KIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    """Costs and accuracies as the paper's sentences need them; TCP, as the paper's.

    Attributes:
        cells: All of them.
        dataset: Of Table I.
        variant: Of the PhyDNN.
    """

    cells: CellSet
    dataset: str
    variant: str

    def cost(self, system: str, environment: str, backbone: str, figure: str) -> float | None:
        """Return a figure of the cost of a batch."""
        found = self.cells.where(
            kind=CellKind.COST,
            dataset=self.dataset,
            system=system,
            backbone=backbone,
            environment=environment,
            protocol=("tcp", ""),
        )
        if system == PHYDNN:
            found = found.where(variant=self.variant)
        return found.mean(figure)

    def backbones(self) -> list[str]:
        """Return those with a PhyDNN in the office."""
        found = self.cells.where(
            kind=CellKind.COST, dataset=self.dataset, system=PHYDNN, environment=OFFICE
        )
        return found.values("backbone")

    def ratio(self, system: str, figure: str, environments: Sequence[str] = OFFICE) -> float | None:
        """Return a system's figure over the PhyDNN's: the mean over backbones and environments."""
        return mean_of(self.ratios(system, figure, environments))

    def ratios(self, system: str, figure: str, environments: Sequence[str]) -> list[float | None]:
        """Return that ratio for each; None where one of both is missing."""
        found = []
        for backbone in self.backbones() if system != _JSCC else [_STATED_BACKBONE]:
            for environment in environments:
                above = self.cost(system, environment, backbone, figure)
                below = self.cost(PHYDNN, environment, backbone, figure)
                found.append(None if above is None or not below else above / below)
        return found

    def largest_ratio(self, figure: str) -> float | None:
        """Return the largest ratio of a full-stack system to the PhyDNN, where all are there."""
        found = [
            ratio for system in FULL_STACK_SYSTEMS for ratio in self.ratios(system, figure, OFFICE)
        ]
        known = [ratio for ratio in found if ratio is not None]
        return max(known) if known and len(known) == len(found) else None

    def mean_cost(
        self, system: str, figure: str, *, backbone: str = "", scale: float = 1.0
    ) -> float | None:
        """Return a figure, the mean over the office and the backbones, times `scale`."""
        mean = mean_of(
            self.cost(system, environment, name, figure)
            for name in ([backbone] if backbone else self.backbones())
            for environment in OFFICE
        )
        return None if mean is None else mean * scale

    def accuracy(self, system: str, environments: Sequence[str], **wanted: object) -> float | None:
        """Return an accuracy: mean over environments, of each over the seeds [%]."""
        found = self.cells.where(
            kind=CellKind.ACCURACY, dataset=self.dataset, system=system, **wanted
        )
        if system == PHYDNN:
            found = found.where(variant=self.variant)
        return mean_of(found.mean("accuracy", environment=name) for name in environments)


def _more(ratio: float | None) -> float | None:
    """Return a ratio as percent more."""
    return None if ratio is None else 100 * (ratio - 1)


def _less(minuend: float | None, subtrahend: float | None) -> float | None:
    return None if minuend is None or subtrahend is None else minuend - subtrahend


def _over(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or not denominator else numerator / denominator


def _growth(reader: _Reader) -> float | None:
    """Return how much longer full-stack systems communicate in NLoS than in LoS [%]."""
    ratios = [
        _over(
            reader.cost(system, OFFICE[1], backbone, "communication_s"),
            reader.cost(system, OFFICE[0], backbone, "communication_s"),
        )
        for backbone in reader.backbones()
        for system in FULL_STACK_SYSTEMS
    ]
    return _more(mean_of(ratios))


def _head_apart(reader: _Reader, figure: str, scale: float) -> float | None:
    """Return the PhyDNN's head less BF-1's: mean over backbones and office, times `scale`."""
    ours = reader.mean_cost(PHYDNN, figure, scale=scale)
    return _less(ours, reader.mean_cost("BF-1", figure, scale=scale))


def _share_apart(reader: _Reader) -> float | None:
    apart = _head_apart(reader, "head_j", 1.0)
    share = _over(apart, reader.mean_cost("BF-1", "energy_j"))
    return None if share is None else 100 * abs(share)


def _absolute(value: float | None) -> float | None:
    return None if value is None else abs(value)


def _sweep_change(reader: _Reader, backbone: str) -> float | None:
    curve = reader.cells.where(
        kind=CellKind.ACCURACY,
        dataset=reader.dataset,
        system=PHYDNN,
        variant=reader.variant,
        backbone=backbone,
    )
    orders = curve.values("order")
    if not orders:
        return None
    curve = curve.where(order=max(orders))
    errors = [error_spread(curve, snr_db) for snr_db in snrs_of(curve)]
    means = [spread.mean for spread in errors if spread is not None]
    return max(means) - min(means) if len(means) > 1 else None


def _drop(reader: _Reader, backbone: str, environment: str, order: int) -> float | None:
    whole = reader.accuracy("edge-only", ("none",), backbone=backbone)
    return _less(whole, reader.accuracy(PHYDNN, (environment,), backbone=backbone, order=order))


def _experiment_drop(reader: _Reader, order: int) -> float | None:
    """Return simulation at 12 dB less the office in LoS: mean over the backbones."""
    found = reader.cells.where(
        kind=CellKind.ACCURACY, dataset=reader.dataset, system=PHYDNN, environment=OFFICE[0]
    )
    return mean_of(
        _less(
            reader.accuracy(PHYDNN, (awgn_name(TRAINING_SNR_DB),), backbone=backbone, order=order),
            reader.accuracy(PHYDNN, OFFICE[:1], backbone=backbone, order=order),
        )
        for backbone in found.values("backbone")
    )


def _largest_compression_drop(reader: _Reader) -> float | None:
    """Return the largest drop from M = 16 to 4 over the backbones."""
    drops = []
    simulated = (awgn_name(TRAINING_SNR_DB),)
    for backbone in reader.cells.where(dataset=reader.dataset, system=PHYDNN).values("backbone"):
        drops.append(
            _less(
                reader.accuracy(PHYDNN, simulated, backbone=backbone, order=16),
                reader.accuracy(PHYDNN, simulated, backbone=backbone, order=4),
            )
        )
    known = [drop for drop in drops if drop is not None]
    return max(known) if known else None


_ORDER = 4  # of the paper's 16 KB
_LOS, _NLOS = OFFICE[:1], OFFICE[1:]

_Rule = Callable[[_Reader], float | None]
_RULES: dict[str, _Rule] = {
    "figure-6/latency-ratio/bf-1": lambda r: r.ratio("BF-1", "latency_s"),
    "figure-6/latency-ratio/bf-2": lambda r: r.ratio("BF-2", "latency_s"),
    "figure-6/latency-ratio/max": lambda r: r.largest_ratio("latency_s"),
    "figure-6/latency/phydnn": lambda r: r.mean_cost(
        PHYDNN, "latency_s", backbone=_STATED_BACKBONE, scale=1e3
    ),
    "figure-6/latency/bottlefit": lambda r: r.mean_cost(
        "BF-2", "latency_s", backbone=_STATED_BACKBONE, scale=1e3
    ),
    "figure-6/communication-share/bottlefit": lambda r: _over(
        r.mean_cost("BF-2", "communication_s", backbone=_STATED_BACKBONE, scale=100),
        r.mean_cost("BF-2", "latency_s", backbone=_STATED_BACKBONE),
    ),
    "figure-6/head-difference": lambda r: _head_apart(r, "head_s", 1e3),
    "figure-6/communication-ratio/bf-1/los": lambda r: r.ratio("BF-1", "communication_s", _LOS),
    "figure-6/communication-ratio/bf-1/nlos": lambda r: r.ratio("BF-1", "communication_s", _NLOS),
    "figure-6/communication-increase/nlos": _growth,
    "figure-6/bytes/sc": lambda r: r.mean_cost("SC", "payload_bytes", scale=1 / _KIB),
    "figure-6/bytes/phydnn": lambda r: r.mean_cost(PHYDNN, "payload_bytes", scale=1 / _KIB),
    "figure-6/payload-ratio/bf-1": lambda r: r.ratio("BF-1", "payload_bytes"),
    "figure-6/payload-ratio/bf-2": lambda r: r.ratio("BF-2", "payload_bytes"),
    "figure-6/overhead/phydnn": lambda r: r.mean_cost(PHYDNN, "overhead_bytes"),
    "figure-6/overhead-ratio/bf-1/los": lambda r: r.ratio("BF-1", "overhead_bytes", _LOS),
    "figure-6/overhead-ratio/bf-2/los": lambda r: r.ratio("BF-2", "overhead_bytes", _LOS),
    "figure-6/overhead-ratio/bf-1/nlos": lambda r: r.ratio("BF-1", "overhead_bytes", _NLOS),
    "figure-6/overhead-ratio/bf-2/nlos": lambda r: r.ratio("BF-2", "overhead_bytes", _NLOS),
    "figure-6/bytes-ratio/max": lambda r: r.largest_ratio("sent_bytes"),
    "figure-9/energy-increase/bf-1/los": lambda r: _more(r.ratio("BF-1", "energy_j", _LOS)),
    "figure-9/energy-increase/bf-2/los": lambda r: _more(r.ratio("BF-2", "energy_j", _LOS)),
    "figure-9/energy-increase/bf-1/nlos": lambda r: _more(r.ratio("BF-1", "energy_j", _NLOS)),
    "figure-9/energy-increase/bf-2/nlos": lambda r: _more(r.ratio("BF-2", "energy_j", _NLOS)),
    "figure-9/transmit-ratio/bf-1/los": lambda r: r.ratio("BF-1", "transmit_j", _LOS),
    "figure-9/transmit-ratio/bf-1/nlos": lambda r: r.ratio("BF-1", "transmit_j", _NLOS),
    "figure-9/head-difference": lambda r: _absolute(_head_apart(r, "head_j", 1e3)),
    "figure-9/head-difference-share": _share_apart,
    "figure-9/energy-ratio/max": lambda r: r.largest_ratio("energy_j"),
    "figure-10/change/resnet20": lambda r: _sweep_change(r, "resnet20"),
    "figure-10/change/resnet110": lambda r: _sweep_change(r, "resnet110"),
    "table-1/drop/resnet56": lambda r: _drop(r, "resnet56", OFFICE[0], _ORDER),
    "table-1/drop/resnet110": lambda r: _drop(r, "resnet110", OFFICE[0], _ORDER),
    "table-1/nlos-drop/resnet56": lambda r: _less(
        _drop(r, "resnet56", OFFICE[1], _ORDER), _drop(r, "resnet56", OFFICE[0], _ORDER)
    ),
    "table-1/nlos-drop/resnet110": lambda r: _less(
        _drop(r, "resnet110", OFFICE[1], _ORDER), _drop(r, "resnet110", OFFICE[0], _ORDER)
    ),
    "table-1/experiment-drop": lambda r: _experiment_drop(r, _ORDER),
    "table-2/drop/max": _largest_compression_drop,
    "figure-11/latency/dt-jscc": lambda r: r.mean_cost(
        _JSCC, "latency_s", backbone=_STATED_BACKBONE, scale=1e3
    ),
    "figure-11/latency/phydnn": lambda r: r.mean_cost(
        PHYDNN, "latency_s", backbone=_STATED_BACKBONE, scale=1e3
    ),
    "figure-11/latency-ratio": lambda r: r.ratio(_JSCC, "latency_s"),
    "figure-11/energy-ratio": lambda r: r.ratio(_JSCC, "energy_j"),
    "figure-11/head-latency-ratio": lambda r: r.ratio(_JSCC, "head_s"),
    "figure-11/head-energy-ratio": lambda r: r.ratio(_JSCC, "head_j"),
    "figure-11/bytes/dt-jscc": lambda r: r.mean_cost(
        _JSCC, "sent_bytes", backbone=_STATED_BACKBONE, scale=1 / _KIB
    ),
    "figure-11/bytes/phydnn": lambda r: r.mean_cost(
        PHYDNN, "payload_bytes", backbone=_STATED_BACKBONE, scale=1 / _KIB
    ),
    "figure-11/bytes-ratio": lambda r: r.ratio(_JSCC, "sent_bytes"),
    "table-3/accuracy-difference": lambda r: _less(
        r.accuracy(_JSCC, OFFICE),
        r.accuracy(PHYDNN, OFFICE, backbone=_STATED_BACKBONE, order=_ORDER),
    ),
    "table-3/parameter-ratio": lambda r: r.ratio(_JSCC, "head_parameters", _LOS),
    "table-3/resnet20-parameters": lambda r: r.cost(
        "device-only", "none", "resnet20", "head_parameters"
    ),
    "table-3/resnet20-ratio": lambda r: _over(
        r.cost(_JSCC, OFFICE[0], _STATED_BACKBONE, "head_parameters"),
        r.cost("device-only", "none", "resnet20", "head_parameters"),
    ),
}


def statement_value(name: str, cells: CellSet, *, dataset: str, variant: str) -> float | None:
    """Return what a sentence of the paper states, as our cells have it; None where they lack it.

    Args:
        name: Id of a published value.
        cells: Finished cells.
        dataset: Of Table I.
        variant: Of the PhyDNN.
    """
    rule = _RULES.get(name)
    return None if rule is None else rule(_Reader(cells=cells, dataset=dataset, variant=variant))


def statements_table(cells: CellSet, exhibit: Exhibit, dataset: str) -> ResultTable | None:
    """Return the paper's sentences about an exhibit, each beside ours; None where we have none."""
    variants = cells.where(system=PHYDNN, dataset=dataset).values("variant")
    rows = []
    for item in published_values().values():
        if item.exhibit is not exhibit or item.id not in _RULES:
            continue
        found = [
            statement_value(item.id, cells, dataset=dataset, variant=variant)
            for variant in variants
        ]
        if all(value is None for value in found):
            continue
        entries = tuple(
            Entry(
                measured=None if value is None else Spread.of([value]),
                published=item.value,
                bound=item.bound,
            )
            for value in found
        )
        rows.append(((_words(item), item.unit or "-", item.source), entries))
    if not rows:
        return None
    return ResultTable(
        name=f"{exhibit}-statements",
        title=f"What the paper states: {exhibit.heading}",
        row_headings=("quantity", "unit", "source"),
        columns=tuple(f"ours, {variant} settings" for variant in variants),
        rows=tuple(rows),
        notes=(
            "In brackets what the paper states and our difference. Ratios are means of the ratios "
            "over backbones and places, full-stack systems over TCP. Which of ours come from a "
            "model is marked in the tables that they were computed from.",
        ),
    )


def _words(item: PublishedValue) -> str:
    words = item.quantity
    if item.backbone and item.backbone.removeprefix("resnet") not in words:
        words += f", ResNet-{item.backbone.removeprefix('resnet')}"
    return words
