"""A device's rates from timed networks, and how far off they are for networks not among those."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from phyemu.errors import FitError

from .compute_model import Combination, ComputeModel, KindRates
from .work import OperationKind, Work, WorkShare

__all__ = ["TimedWork", "fit_compute_model", "relative_errors"]

# Operations, MACs, bytes: scaled so that their coefficients are near one.
_SCALES = np.array([1e-6, 1e-10, 1e-10])


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedWork:
    """Some work and what it took.

    Attributes:
        name: Of the network.
        work: What it did.
        seconds: What that took [s], > 0.
        weight: What an error of it counts in a fit, > 0.
    """

    name: str
    work: Work
    seconds: float
    weight: float = 1.0


def fit_compute_model(timed: Sequence[TimedWork]) -> ComputeModel:
    """Return the rates that fit, by non-negative least squares of relative errors.

    min_x sum_i w_i^2 (a_i x / t_i - 1)^2, x >= 0, with a_i the operations, MACs and bytes of work i
    by kind, t_i its time and x what each of them takes.

    Args:
        timed: Of every kind of operation, at least one.

    Raises:
        FitError: A time is not positive, or a kind of operation occurs nowhere.
    """
    if any(not item.seconds > 0 for item in timed):
        raise FitError("a profile needs times above zero; measure with a finer clock")
    for kind in OperationKind:
        if not any(item.work.shares.get(kind, WorkShare()).num_operations for item in timed):
            raise FitError(f"nothing that was timed has an operation of kind {kind}")
    counts = np.array([_counts(item.work) for item in timed])
    scales = np.tile(_SCALES, len(OperationKind))
    weights = np.array([item.weight for item in timed])
    times = np.array([item.seconds for item in timed])
    found, _ = nnls(counts * scales * (weights / times)[:, None], weights)
    rates = (found * scales).reshape(-1, 3)
    by_kind = {
        str(kind): KindRates(
            operation_s=float(row[0]),
            macs_per_s=1 / float(row[1]) if row[1] > 0 else None,
            bytes_per_s=1 / float(row[2]) if row[2] > 0 else None,
        )
        for kind, row in zip(OperationKind, rates, strict=True)
    }
    return ComputeModel(combination=Combination.SUM, **by_kind)


def relative_errors(model: ComputeModel, timed: Sequence[TimedWork]) -> dict[str, float]:
    """Return model over measurement, less one, by name."""
    return {item.name: model.seconds(item.work) / item.seconds - 1 for item in timed}


def _counts(work: Work) -> list[float]:
    counts: list[float] = []
    for kind in OperationKind:
        share = work.shares.get(kind, WorkShare())
        counts += [share.num_operations, share.macs, share.bytes_moved]
    return counts
