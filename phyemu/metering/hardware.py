"""What a device of torch is called by those who sell it."""

import platform
from pathlib import Path

import torch

__all__ = ["device_name"]

_CPUINFO = Path("/proc/cpuinfo")


def device_name(device: torch.device) -> str:
    """Return the model of a GPU or of the processor; its architecture where it tells no model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine() or "unknown processor"
