"""How long a side of a PhyDNN takes for an image on this machine."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["measure_latency"]

_SINGLES = 100
_BATCHES = 10
_BATCH = 64
# A slow network is measured less often [s].
_BUDGET_S = 10.0


def measure_latency(
    call: Callable[[Tensor], Tensor],
    inputs: Tensor,
    *,
    device: torch.device,
    stop: threading.Event,
) -> dict[str, Any]:
    """Return medians and 95th percentiles for images one by one, and in batches of up to 64.

    Inputs come from the memory of the host and results go back there, as on a node. The first call
    of each kind is not counted.

    Args:
        call: What is measured.
        inputs: One for each image, (num_images, ...), on the CPU, at least one.
        device: Where `call` computes.
        stop: Ends it with what there is.

    Returns:
        JSON values: the device, its threads, `single` [s] and `batch` [s for an image]; either is
        None where it was ended before the first measurement.
    """

    def timed(size: int, repetitions: int) -> dict[str, Any] | None:
        taken: list[float] = []
        begun = time.perf_counter()
        for number in range(repetitions + 1):
            first = number * size % max(1, len(inputs) - size + 1)
            start = time.perf_counter()
            call(inputs[first : first + size].to(device)).cpu()
            now = time.perf_counter()
            taken.append((now - start) / size)
            if stop.is_set() or (number and now - begun > _BUDGET_S):
                break
        if len(taken) < 2:
            return None
        return {
            "images": size,
            "measurements": len(taken) - 1,
            "median_s": float(np.median(taken[1:])),
            "p95_s": float(np.percentile(taken[1:], 95)),
        }

    name = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "single": timed(1, _SINGLES),
        "batch": timed(min(_BATCH, len(inputs)), _BATCHES),
    }
