"""Latency, bytes and energy of a batch in a system and an environment."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from phyemu.baselines import System
from phyemu.datasets import ImageSet
from phyemu.evaluation import (
    Communication,
    CostSettings,
    full_stack_cost,
    inference_cost,
    phydnn_cost,
)
from phyemu.fullstack import Engine, Protocol, Transfer, transfer, transfer_ns3, wifi_link
from phyemu.metering import InferenceCost, count_macs, count_parameters, load_device_profile

from .cell import CellKey
from .config import ComparisonConfig
from .environment import environment_channel
from .systems import Provided

__all__ = ["cost_figures", "cost_settings"]

_FIGURES = (
    "head_s",
    "communication_s",
    "tail_s",
    "head_j",
    "transmit_j",
    "payload_bytes",
    "overhead_bytes",
)
# Sums of figures, each modelled where one of its parts is.
_SUMS = {
    "latency_s": ("head_s", "communication_s", "tail_s"),
    "energy_j": ("head_j", "transmit_j"),
    "sent_bytes": ("payload_bytes", "overhead_bytes"),
}


def cost_settings(key: CellKey, config: ComparisonConfig) -> dict[str, Any]:
    """Return what a cost depends on besides the network, as JSON values."""
    cost = config.cost
    settings: dict[str, Any] = {"batch": cost.batch, "device_profile": cost.device_profile}
    if key.protocol:
        settings |= {"engine": str(cost.engine), "links": cost.links}
        if key.environment.startswith("urban"):
            settings["urban"] = repr(config.urban)
    return settings


@dataclass(frozen=True, kw_only=True, slots=True)
class _MeanTransfer:
    """The mean of transfers through draws of a link; meets `phyemu.evaluation.Transferred`."""

    duration_s: float
    payload_bytes: int
    overhead_bytes: Mapping[str, float]
    airtime_s: float

    @classmethod
    def of(cls, transfers: Sequence[Transfer]) -> "_MeanTransfer":
        """Return the mean of one or more."""
        mean = statistics.fmean
        return cls(
            duration_s=mean(item.duration_s for item in transfers),
            payload_bytes=transfers[0].payload_bytes,
            overhead_bytes={
                name: mean(item.overhead_bytes.get(name, 0.0) for item in transfers)
                for name in transfers[0].overhead_bytes
            },
            airtime_s=mean(item.airtime_s for item in transfers),
        )


def cost_figures(
    key: CellKey, provided: Provided, images: ImageSet, config: ComparisonConfig
) -> tuple[dict[str, float], frozenset[str], str, dict[str, Any]]:
    """Return the figures of a cost, which of them are modelled, the engine, and the rest.

    Args:
        key: Which one.
        provided: The system.
        images: The first of them make the batch, from the start again where they are fewer.
        config: How costs are found.

    Raises:
        PhyemuError: A profile, a meter, a link or ns-3 is missing or refuses.
    """
    system = provided.system
    batch = images.images[torch.arange(config.cost.batch) % len(images)]
    profile = config.cost.device_profile
    settings = CostSettings(profile=None if profile is None else load_device_profile(profile))
    figures: dict[str, float] = {}
    engine = ""
    if system.phydnn is not None:
        cost = phydnn_cost(system.phydnn, batch, lookup=system.lookup, settings=settings)
    elif key.protocol:
        transfers = _transfers(key, system, config)
        engine = str(transfers[0].engine)
        figures |= _of_transfers(transfers)
        cost = full_stack_cost(
            head=system.head,
            tail=system.tail,
            images=batch,
            transfer=_MeanTransfer.of(transfers),
            settings=settings,
        )
    else:
        cost = inference_cost(
            head=system.head,
            tail=system.tail,
            images=batch,
            communication=Communication(),
            settings=settings,
        )
    figures |= {name: float(getattr(cost, name)) for name in _FIGURES}
    figures |= {name: sum(figures[part] for part in parts) for name, parts in _SUMS.items()}
    figures |= _head_size(system)
    record = {"device": cost.device, "meter": cost.meter, "batch": config.cost.batch}
    return figures, _modelled(cost), engine, record


def _modelled(cost: InferenceCost) -> frozenset[str]:
    sums = {name for name, parts in _SUMS.items() if cost.modelled & set(parts)}
    return cost.modelled | sums


def _transfers(key: CellKey, system: System, config: ComparisonConfig) -> list[Transfer]:
    """Return transfers of the batch, each through a draw of the link of its own."""
    channel = environment_channel(key.environment, config.urban)
    payload = round(config.cost.batch * system.payload_bytes_per_image)
    run: Callable[..., Transfer] = transfer if config.cost.engine is Engine.MODEL else transfer_ns3
    seeds = range(key.seed, key.seed + config.cost.links)
    return [
        run(payload, wifi_link(channel, seed=seed), Protocol(key.protocol), seed=seed)
        for seed in seeds
    ]


def _of_transfers(transfers: Sequence[Transfer]) -> dict[str, float]:
    mean = statistics.fmean
    return {
        "delivered_share": mean(item.delivered_bytes / item.payload_bytes for item in transfers),
        "num_frames": mean(item.num_frames for item in transfers),
        "mac_retransmissions": mean(item.mac_retransmissions for item in transfers),
        "transport_retransmissions": mean(item.transport_retransmissions for item in transfers),
        "duration_deviation_s": (
            statistics.stdev(item.duration_s for item in transfers) if len(transfers) > 1 else 0.0
        ),
    }


def _head_size(system: System) -> dict[str, float]:
    """Return weights and multiply-accumulates of the device's side for one image."""
    if system.head is None:
        return {"head_parameters": 0.0, "head_macs": 0.0}
    one = torch.zeros((1, *system.image_shape), dtype=torch.uint8)
    return {
        "head_parameters": float(count_parameters(system.head)),
        "head_macs": float(count_macs(system.head, one)),
    }
