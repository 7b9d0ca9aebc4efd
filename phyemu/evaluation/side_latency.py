"""How long a side of a PhyDNN takes for an image on this machine, as on a node that has but one."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phyemu.metering import time_calls

__all__ = ["measure_side_latency"]

_SINGLES = 100
_BATCHES = 10
_BATCH = 64
# A slow network is measured less often [s].
_BUDGET_S = 10.0


def measure_side_latency(
    side: Callable[[Tensor], Tensor],
    inputs: Tensor,
    *,
    device: torch.device,
    stop: threading.Event,
) -> dict[str, Any]:
    """Return medians and 95th percentiles for images one by one, and in batches of up to 64.

    Inputs come from the memory of the host and results go back there. The first call of each kind
    is not counted.

    Args:
        side: Head or tail.
        inputs: One for each image, (num_images, ...), on the CPU, at least one.
        device: Where `side` computes.
        stop: Ends it with what there is.

    Returns:
        JSON values: the device, its threads, `single` [s] and `batch` [s for an image]; either is
        None where it was ended before the first measurement.
    """

    def timed(size: int, repetitions: int) -> dict[str, Any] | None:
        def call(number: int) -> Tensor:
            first = number * size % max(1, len(inputs) - size + 1)
            return side(inputs[first : first + size].to(device)).cpu()

        taken, _ = time_calls(call, repetitions, stop=stop, budget_s=_BUDGET_S)
        if not taken:
            return None
        return {
            "images": size,
            "measurements": len(taken),
            "median_s": float(np.median(taken)) / size,
            "p95_s": float(np.percentile(taken, 95)) / size,
        }

    name = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "single": timed(1, _SINGLES),
        "batch": timed(min(_BATCH, len(inputs)), _BATCHES),
    }
