"""Latency, bytes and energy of a batch in a system and an environment."""

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from phyemu.baselines import System
from phyemu.datasets import ImageSet
from phyemu.evaluation import (
    Communication,
    CostSettings,
    full_stack_communication,
    inference_cost,
    phy_communication,
    phydnn_cost,
)
from phyemu.fullstack import Protocol, Transfer, run_transfer, wifi_link
from phyemu.metering import (
    DeviceProfile,
    count_macs,
    count_parameters,
    read_device_profile,
)
from phyemu.toml_config import to_toml

from .cell import Cell, CellKey
from .config import ComparisonConfig
from .environment import environment_channel
from .systems import Provided
from .transfer_means import SUMS

__all__ = ["cost_figures", "cost_settings"]

_COMPUTING = ("head_s", "tail_s", "head_j")
# Whose transmit power stands where this machine, which has no radio, is the device.
_RADIO_PROFILE = "jetson-orin-nano"


def cost_settings(
    key: CellKey, config: ComparisonConfig, profile: DeviceProfile | None
) -> dict[str, Any]:
    """Return what a cost depends on besides network and images, as JSON values."""
    cost = config.cost
    settings: dict[str, Any] = {
        "batch": cost.batch,
        "device_profile": None if profile is None else to_toml(profile),
        "transmit_w": _radio(profile).powers.transmit_w,
    }
    if key.protocol:
        settings |= {"engine": str(cost.engine), "links": cost.links}
        if key.environment.startswith("urban"):
            settings["urban"] = repr(config.urban)
    return settings


def cost_figures(
    key: CellKey,
    provided: Provided,
    images: ImageSet,
    config: ComparisonConfig,
    *,
    profile: DeviceProfile | None,
    sibling: Cell | None = None,
) -> tuple[dict[str, float], frozenset[str], str, dict[str, Any]]:
    """Return the figures of a cost, which of them are modelled, the engine, and the rest.

    Args:
        key: Which one.
        provided: The system.
        images: The first of them make the batch, from the start again where they are fewer.
        config: How costs are found.
        profile: Of the mobile device; None: this machine, measured.
        sibling: The same network's cost in another environment: what it computes is taken from
            there, so that places differ in what they differ in, not in how busy a machine was.

    Raises:
        PhyemuError: A meter, a link or ns-3 is missing or refuses.
    """
    system, cost = provided.system, config.cost
    radio = _radio(profile)
    figures: dict[str, float] = {}
    engine = ""
    communication: Communication | None
    if system.phydnn is not None:
        communication = phy_communication(
            num_images=cost.batch,
            symbols_per_image=system.phydnn.symbols_per_image,
            order=system.phydnn.order,
            frame_format=system.phydnn.frame_format,
        )
    elif key.protocol:
        transfers = _transfers(key, system, config)
        engine = str(transfers[0].engine)
        complete = [item for item in transfers if item.delivered_bytes == item.payload_bytes]
        figures |= _of_transfers(transfers, complete)
        communication = _mean_communication(complete)
    else:
        communication = Communication()
    if sibling is None:
        batch = images.images[torch.arange(cost.batch) % len(images)]
        computing, modelled, record = _computing(system, batch, CostSettings(profile=profile))
    else:
        computing = {part: sibling.figures[part] for part in _COMPUTING}
        modelled = sibling.modelled & set(_COMPUTING)
        record = {part: sibling.provenance[part] for part in ("device", "meter")}
        # Earlier versions computed on the CPU, and did not say so.
        record["computed_on"] = sibling.provenance.get("computed_on", "cpu")
    figures |= computing
    if communication is not None:
        figures |= {
            "communication_s": communication.duration_s,
            "transmit_j": radio.transmit_j(communication.duration_s),
            "payload_bytes": communication.payload_bytes,
            "overhead_bytes": communication.overhead_bytes,
        }
        if communication.duration_s:
            modelled |= {"communication_s", "transmit_j"}
        for total, parts in SUMS.items():  # each modelled where one of its parts is
            figures[total] = sum(figures[part] for part in parts)
            modelled |= {total} if modelled & set(parts) else set()
    figures |= _head_size(system)
    record |= {"batch": cost.batch, "radio": radio.name}
    return figures, frozenset(modelled), engine, record


def _radio(profile: DeviceProfile | None) -> DeviceProfile:
    return read_device_profile(_RADIO_PROFILE) if profile is None else profile


def _computing(
    system: System, batch: Tensor, settings: CostSettings
) -> tuple[dict[str, float], frozenset[str], dict[str, Any]]:
    """Return what both sides take to compute, what of it is modelled, and by what."""
    if system.phydnn is not None:
        found = phydnn_cost(system.phydnn, batch, lookup=system.lookup, settings=settings)
    else:
        found = inference_cost(
            head=system.head,
            tail=system.tail,
            images=batch,
            communication=Communication(),
            settings=settings,
        )
    figures = {part: float(getattr(found, part)) for part in _COMPUTING}
    record = {"device": found.device, "meter": found.meter}
    return figures, found.modelled & set(_COMPUTING), record


def _transfers(key: CellKey, system: System, config: ComparisonConfig) -> list[Transfer]:
    """Return transfers of the batch, each through a draw of the link of its own."""
    channel = environment_channel(key.environment, config.urban)
    payload = round(config.cost.batch * system.payload_bytes_per_image)
    seeds = range(key.seed, key.seed + config.cost.links)
    return [
        run_transfer(
            payload,
            wifi_link(channel, seed=seed),
            Protocol(key.protocol),
            seed=seed,
            engine=config.cost.engine,
        )
        for seed in seeds
    ]


def _mean_communication(complete: Sequence[Transfer]) -> Communication | None:
    """Return the means over transfers that came to their end; None: none did."""
    if not complete:
        return None
    found = [full_stack_communication(item) for item in complete]
    mean = statistics.fmean
    return Communication(
        duration_s=mean(item.duration_s for item in found),
        payload_bytes=found[0].payload_bytes,
        overhead_bytes=mean(item.overhead_bytes for item in found),
    )


def _of_transfers(transfers: Sequence[Transfer], complete: Sequence[Transfer]) -> dict[str, float]:
    """Return how many failed to deliver everything, and means over those that did.

    One that gave up early would pass for a fast one.
    """
    mean = statistics.fmean
    figures = {
        "payload_bytes": float(transfers[0].payload_bytes),
        "delivered_share": mean(item.delivered_bytes / item.payload_bytes for item in transfers),
        "failed_share": 1 - len(complete) / len(transfers),
    }
    if not complete:
        return figures
    return figures | {
        "num_frames": mean(item.num_frames for item in complete),
        "mac_retransmissions": mean(item.mac_retransmissions for item in complete),
        "transport_retransmissions": mean(item.transport_retransmissions for item in complete),
        "duration_deviation_s": (
            statistics.stdev(item.duration_s for item in complete) if len(complete) > 1 else 0.0
        ),
    }


def _head_size(system: System) -> dict[str, float]:
    """Return weights and multiply-accumulates of the device's side for one image."""
    if system.head is None:
        return {"head_parameters": 0.0, "head_macs": 0.0}
    device = next(system.head.parameters(), torch.empty(0)).device
    one = torch.zeros((1, *system.image_shape), dtype=torch.uint8, device=device)
    return {
        "head_parameters": float(count_parameters(system.head)),
        "head_macs": float(count_macs(system.head, one)),
    }
