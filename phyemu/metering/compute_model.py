"""Seconds for a network's work: a roofline of few numbers."""

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from phyemu.errors import ConfigError

from .work import OperationKind, Work, WorkShare

__all__ = ["Combination", "ComputeModel", "KindRates"]


class Combination(StrEnum):
    """How the time of arithmetic and that of memory make the time of a network.

    SUM: one after the other, operation by operation, as where each layer is carried out alone.
    OVERLAP: the longer of the two, as where normalisations and activations are fused into
    convolutions and memory is read while the arithmetic runs.
    """

    SUM = "sum"
    OVERLAP = "overlap"


@dataclass(frozen=True, kw_only=True, slots=True)
class KindRates:
    """What operations of one kind take.

    Attributes:
        operation_s: Each, whatever its size [s], >= 0: its launch.
        macs_per_s: Multiply-accumulates, > 0; None: they take no time.
        bytes_per_s: Read and written, > 0; None: they take no time.
    """

    operation_s: float
    macs_per_s: float | None = None
    bytes_per_s: float | None = None

    def __post_init__(self) -> None:
        """Check the rates."""
        if not (math.isfinite(self.operation_s) and self.operation_s >= 0):
            raise ConfigError(f"operation_s must not be negative, got {self.operation_s}")
        for name in ("macs_per_s", "bytes_per_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be positive, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeModel:
    """Seconds for a network's work, by kinds k of operations.

    t = sum_k n_k operation_s_k + (sum_k MACs_k / macs_per_s_k (+) sum_k bytes_k / bytes_per_s_k)

    with (+) by `combination`.

    Attributes:
        combination: Sum, or overlap.
        convolution: Of convolutions.
        product: Of linear layers, matrix products, attention.
        norm: Of normalisations.
        pooling: Of poolings.
        other: Of everything else: activations, sums, copies.
    """

    combination: Combination
    convolution: KindRates
    product: KindRates
    norm: KindRates
    pooling: KindRates
    other: KindRates

    def seconds(self, work: Work) -> float:
        """Return the time of the work [s]."""
        launches_s = arithmetic_s = memory_s = 0.0
        for item in fields(self):
            if item.name == "combination":
                continue
            rates: KindRates = getattr(self, item.name)
            share = work.shares.get(OperationKind(item.name), WorkShare())
            launches_s += share.num_operations * rates.operation_s
            if rates.macs_per_s is not None:
                arithmetic_s += share.macs / rates.macs_per_s
            if rates.bytes_per_s is not None:
                memory_s += share.bytes_moved / rates.bytes_per_s
        if self.combination is Combination.OVERLAP:
            return launches_s + max(arithmetic_s, memory_s)
        return launches_s + arithmetic_s + memory_s
