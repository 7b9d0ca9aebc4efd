"""Several transfers of one payload in one: means, spread, and how many came to their end."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from phyemu.errors import ConfigError
from phyemu.fullstack.transfer import Engine, Transfer

__all__ = ["TransferSummary", "summarise"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferSummary:
    """Means over transfers of one payload, each with its seed.

    Attributes:
        engine: Who worked them out.
        num_transfers: How many.
        num_complete: How many delivered every byte.
        num_empty: How many delivered none.
        payload_bytes: Of each.
        delivered_bytes: Mean.
        duration_s: Mean over those that delivered something [s]; None: none did.
        duration_std_s: Standard deviation over these [s]; 0 of a single one, None as above.
        goodput_mbps: All that was delivered over all durations [Mbit/s].
        overhead_bytes: Means, by origin as in `Transfer`.
        num_frames: Mean.
        mac_retransmissions: Mean.
        transport_retransmissions: Mean.
        transmit_s: Mean time in which the device sent [s].
        receive_s: Mean time in which the edge server sent [s].
    """

    engine: Engine
    num_transfers: int
    num_complete: int
    num_empty: int
    payload_bytes: int
    delivered_bytes: float
    duration_s: float | None
    duration_std_s: float | None
    goodput_mbps: float
    overhead_bytes: dict[str, float]
    num_frames: float
    mac_retransmissions: float
    transport_retransmissions: float
    transmit_s: float
    receive_s: float

    @property
    def total_overhead_bytes(self) -> float:
        """Return the mean overhead of every origin."""
        return sum(self.overhead_bytes.values())

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {**asdict(self), "total_overhead_bytes": self.total_overhead_bytes}


def summarise(transfers: Sequence[Transfer]) -> TransferSummary:
    """Return the means over transfers.

    Raises:
        ConfigError: There is none, or they are of different payloads or engines.
    """
    kinds = {(item.engine, item.protocol, item.payload_bytes) for item in transfers}
    if len(kinds) != 1:
        raise ConfigError(
            f"only transfers of one payload by one protocol and engine can be put together; "
            f"got {len(transfers)} of {len(kinds)} sorts"
        )
    count = len(transfers)
    first = transfers[0]
    durations = [item.duration_s for item in transfers if item.delivered_bytes]
    delivered = sum(item.delivered_bytes for item in transfers)
    mean_s, deviation_s = _mean_and_deviation(durations)
    return TransferSummary(
        engine=first.engine,
        num_transfers=count,
        num_complete=sum(item.delivered_bytes == item.payload_bytes for item in transfers),
        payload_bytes=first.payload_bytes,
        delivered_bytes=delivered / count,
        num_empty=count - len(durations),
        duration_s=mean_s,
        duration_std_s=deviation_s,
        goodput_mbps=8e-6 * delivered / sum(durations) if durations else 0.0,
        overhead_bytes={
            name: sum(item.overhead_bytes[name] for item in transfers) / count
            for name in first.overhead_bytes
        },
        num_frames=sum(item.num_frames for item in transfers) / count,
        mac_retransmissions=sum(item.mac_retransmissions for item in transfers) / count,
        transport_retransmissions=sum(item.transport_retransmissions for item in transfers) / count,
        transmit_s=sum(item.transmit_s for item in transfers) / count,
        receive_s=sum(item.receive_s for item in transfers) / count,
    )


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    if not values:
        return None, None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
