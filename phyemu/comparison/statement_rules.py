"""How each of the paper's sentences with a number is computed from our cells."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .accuracy_tables import error_spread, snrs_of
from .cell import CellKind
from .cell_set import CellSet
from .config import FULL_STACK_SYSTEMS, PHYDNN
from .derived import Derived, derive, mean_derived
from .environment import OFFICE, TRAINING_SNR_DB, awgn_name
from .transfer_means import is_partial

__all__ = ["SIMULATED", "STATEMENTS", "statement_value"]

_JSCC = "DT-JSCC"
_STATED_BACKBONE = "resnet56"  # of Table III and Fig. 11
_KIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    """Costs and accuracies as the paper's sentences need them; TCP, as the paper's.

    A sentence about several systems is of the networks for which all of them are there.

    Attributes:
        cells: All of them.
        dataset: Of Table I.
        variant: Of the PhyDNN.
    """

    cells: CellSet
    dataset: str
    variant: str

    def cost(self, system: str, environment: str, backbone: str, figure: str) -> Derived | None:
        """Return a figure of the cost of a batch."""
        found = self._of(CellKind.COST, system).where(
            backbone=backbone, environment=environment, protocol=("tcp", "")
        )
        return _mean(found, figure)

    def networks(self, figure: str, environments: Sequence[str], *systems: str) -> list[str]:
        """Return the backbones for which each of the systems has a figure in each environment."""
        costs = self.cells.where(kind=CellKind.COST, dataset=self.dataset)
        return [
            name
            for name in ([_STATED_BACKBONE] if _JSCC in systems else costs.values("backbone"))
            if all(
                self.cost(system, environment, name, figure) is not None
                for system in systems
                for environment in environments
            )
        ]

    def ratio(
        self, system: str, figure: str, environments: Sequence[str] = OFFICE
    ) -> Derived | None:
        """Return a system's figure over the PhyDNN's: the mean over backbones and environments."""
        networks = self.networks(figure, environments, system, PHYDNN)
        return mean_derived(self.ratios(system, figure, environments, networks))

    def ratios(
        self, system: str, figure: str, environments: Sequence[str], networks: Sequence[str]
    ) -> list[Derived | None]:
        """Return that ratio for each."""
        return [
            _over(
                self.cost(system, environment, backbone, figure),
                self.cost(PHYDNN, environment, backbone, figure),
            )
            for backbone in networks
            for environment in environments
        ]

    def largest_ratio(self, figure: str) -> Derived | None:
        """Return the largest ratio of a full-stack system to the PhyDNN, where all are there."""
        networks = self.networks(figure, OFFICE, PHYDNN, *FULL_STACK_SYSTEMS)
        found = [
            ratio
            for system in FULL_STACK_SYSTEMS
            for ratio in self.ratios(system, figure, OFFICE, networks)
            if ratio is not None
        ]
        return max(found, key=lambda ratio: ratio.value, default=None)

    def mean_cost(
        self, system: str, figure: str, *, networks: Sequence[str] = (), scale: float = 1.0
    ) -> Derived | None:
        """Return a figure, the mean over the office and the backbones, times `scale`.

        Args:
            system: Whose.
            figure: Its name.
            networks: Of these backbones; none: of all for which it is there.
            scale: Factor.
        """
        mean = mean_derived(
            self.cost(system, environment, name, figure)
            for name in networks or self.networks(figure, OFFICE, system)
            for environment in OFFICE
        )
        return None if mean is None else mean.map(lambda value: value * scale)

    def accuracy(
        self, system: str, environments: Sequence[str], **wanted: object
    ) -> Derived | None:
        """Return an accuracy: mean over environments, of each over the seeds [%]."""
        found = self._of(CellKind.ACCURACY, system).where(**wanted)
        return mean_derived(
            _mean(found.where(environment=name), "accuracy") for name in environments
        )

    def _of(self, kind: CellKind, system: str) -> CellSet:
        found = self.cells.where(kind=kind, dataset=self.dataset, system=system)
        return found.where(variant=self.variant) if system == PHYDNN else found


def _mean(cells: CellSet, figure: str) -> Derived | None:
    mean = cells.mean(figure)
    if mean is None:
        return None
    return Derived(
        value=mean,
        backbones=frozenset(cells.values("backbone")),
        partial=frozenset(cell.key for cell in cells if is_partial(cell, figure)),
    )


def _more(ratio: Derived | None) -> Derived | None:
    """Return a ratio as percent more."""
    return derive(lambda value: 100 * (value - 1), ratio)


def _less(minuend: Derived | None, subtrahend: Derived | None) -> Derived | None:
    return derive(operator.sub, minuend, subtrahend)


def _over(numerator: Derived | None, denominator: Derived | None) -> Derived | None:
    if denominator is not None and not denominator.value:
        return None
    return derive(operator.truediv, numerator, denominator)


def _growth(reader: _Reader) -> Derived | None:
    """Return how much longer full-stack systems communicate in NLoS than in LoS [%]."""
    figure = "communication_s"
    ratios = [
        _over(
            reader.cost(system, OFFICE[1], backbone, figure),
            reader.cost(system, OFFICE[0], backbone, figure),
        )
        for backbone in reader.networks(figure, OFFICE, *FULL_STACK_SYSTEMS)
        for system in FULL_STACK_SYSTEMS
    ]
    return _more(mean_derived(ratios))


def _head_apart(reader: _Reader, figure: str, scale: float) -> Derived | None:
    """Return the PhyDNN's head less BF-1's: mean over backbones and office, times `scale`."""
    networks = reader.networks(figure, OFFICE, PHYDNN, "BF-1")
    return _less(
        reader.mean_cost(PHYDNN, figure, networks=networks, scale=scale),
        reader.mean_cost("BF-1", figure, networks=networks, scale=scale),
    )


def _share_apart(reader: _Reader) -> Derived | None:
    networks = reader.networks("head_j", OFFICE, PHYDNN, "BF-1")
    energy = reader.mean_cost("BF-1", "energy_j", networks=networks)
    return derive(lambda share: 100 * abs(share), _over(_head_apart(reader, "head_j", 1.0), energy))


def _stated(reader: _Reader, system: str, figure: str, scale: float) -> Derived | None:
    """Return a figure of the network whose numbers the paper states, mean of the office."""
    return reader.mean_cost(system, figure, networks=(_STATED_BACKBONE,), scale=scale)


def _sweep_change(reader: _Reader, backbone: str) -> Derived | None:
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
    if len(means) < 2:
        return None
    return Derived(value=max(means) - min(means), backbones=frozenset({backbone}))


def _drop(reader: _Reader, backbone: str, environment: str, order: int) -> Derived | None:
    whole = reader.accuracy("edge-only", ("none",), backbone=backbone)
    return _less(whole, reader.accuracy(PHYDNN, (environment,), backbone=backbone, order=order))


def _experiment_drop(reader: _Reader, order: int) -> Derived | None:
    """Return simulation at 12 dB less the office in LoS: mean over the backbones."""
    drops = [
        _less(
            reader.accuracy(PHYDNN, SIMULATED, backbone=backbone, order=order),
            reader.accuracy(PHYDNN, _LOS, backbone=backbone, order=order),
        )
        for backbone in reader.cells.where(dataset=reader.dataset, system=PHYDNN).values("backbone")
    ]
    return mean_derived(drop for drop in drops if drop is not None)


def _largest_compression_drop(reader: _Reader) -> Derived | None:
    """Return the largest drop from M = 16 to 4 over the backbones."""
    drops = [
        _less(
            reader.accuracy(PHYDNN, SIMULATED, backbone=backbone, order=16),
            reader.accuracy(PHYDNN, SIMULATED, backbone=backbone, order=4),
        )
        for backbone in reader.cells.where(dataset=reader.dataset, system=PHYDNN).values("backbone")
    ]
    known = [drop for drop in drops if drop is not None]
    return max(known, key=lambda drop: drop.value, default=None)


_ORDER = 4  # of the paper's 16 KB
_LOS, _NLOS = OFFICE[:1], OFFICE[1:]
SIMULATED = (awgn_name(TRAINING_SNR_DB),)

_Rule = Callable[[_Reader], Derived | None]
_RULES: Mapping[str, _Rule] = {
    "figure-6/latency-ratio/bf-1": lambda r: r.ratio("BF-1", "latency_s"),
    "figure-6/latency-ratio/bf-2": lambda r: r.ratio("BF-2", "latency_s"),
    "figure-6/latency-ratio/max": lambda r: r.largest_ratio("latency_s"),
    "figure-6/latency/phydnn": lambda r: _stated(r, PHYDNN, "latency_s", 1e3),
    "figure-6/latency/bottlefit": lambda r: _stated(r, "BF-2", "latency_s", 1e3),
    "figure-6/communication-share/bottlefit": lambda r: _over(
        _stated(r, "BF-2", "communication_s", 100),
        _stated(r, "BF-2", "latency_s", 1),
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
    "figure-9/head-difference": lambda r: derive(abs, _head_apart(r, "head_j", 1e3)),
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
    "figure-11/latency/dt-jscc": lambda r: _stated(r, _JSCC, "latency_s", 1e3),
    "figure-11/latency/phydnn": lambda r: _stated(r, PHYDNN, "latency_s", 1e3),
    "figure-11/latency-ratio": lambda r: r.ratio(_JSCC, "latency_s"),
    "figure-11/energy-ratio": lambda r: r.ratio(_JSCC, "energy_j"),
    "figure-11/head-latency-ratio": lambda r: r.ratio(_JSCC, "head_s"),
    "figure-11/head-energy-ratio": lambda r: r.ratio(_JSCC, "head_j"),
    "figure-11/bytes/dt-jscc": lambda r: _stated(r, _JSCC, "sent_bytes", 1 / _KIB),
    "figure-11/bytes/phydnn": lambda r: _stated(r, PHYDNN, "payload_bytes", 1 / _KIB),
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


STATEMENTS = frozenset(_RULES)
"""Ids of the published values that cells can give."""


def statement_value(name: str, cells: CellSet, *, dataset: str, variant: str) -> Derived | None:
    """Return what a sentence of the paper states, as our cells have it; None where they lack it.

    Args:
        name: Id of a published value.
        cells: Finished cells.
        dataset: Of Table I.
        variant: Of the PhyDNN.
    """
    rule = _RULES.get(name)
    return None if rule is None else rule(_Reader(cells=cells, dataset=dataset, variant=variant))
