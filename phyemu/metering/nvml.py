"""Energy of an NVIDIA GPU by NVML (extra `nvml`: nvidia-ml-py).

Volta and later count millijoules since the driver was loaded; of earlier ones the power is read
every 20 ms and integrated. Either changes about every 100 ms, and the power of Ampere and later is
a mean over the last second.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from phyemu.errors import MeterError

from .energy import Energy
from .sampling import measure_power

__all__ = ["NvmlMeter", "open_meter"]

_INTERVAL_S = 0.02
_RESOLUTION_S = 0.1


class NvmlMeter:
    """Energy of one GPU: the board with its memory, and nothing of the computer around it.

    Args:
        nvml: The module `pynvml`.
        uuid: Of the GPU; None: the first.

    Raises:
        MeterError: There is no driver or no such GPU, or it tells neither energy nor power.
    """

    def __init__(self, nvml: Any, *, uuid: str | None = None) -> None:
        self._nvml = nvml
        self._uuid = uuid
        with self._opened() as handle:
            name = self._ask(nvml.nvmlDeviceGetName, handle)
            self._gpu = name.decode() if isinstance(name, bytes) else str(name)
            try:
                nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                self._counts = True
            except nvml.NVMLError:
                self._ask(nvml.nvmlDeviceGetPowerUsage, handle)
                self._counts = False

    @property
    def name(self) -> str:
        """NVML, the GPU, and what is read of it."""
        return f"NVML ({self._gpu}, {'energy counter' if self._counts else 'power'})"

    @property
    def modelled(self) -> bool:
        """False."""
        return False

    @property
    def resolution_s(self) -> float:
        """How often counter and power change [s]."""
        return _RESOLUTION_S

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        """Measure the block of a `with`; what runs on the GPU must end before the block does.

        Raises:
            MeterError: The GPU cannot be read.
        """
        with self._opened() as handle:
            if self._counts:
                energy = Energy()
                start_j, start_s = self._energy_j(handle), time.perf_counter()
                yield energy
                end_j, end_s = self._energy_j(handle), time.perf_counter()
                if end_j < start_j:
                    raise MeterError(
                        "the GPU's energy counter went back: its driver was loaded anew meanwhile; "
                        "measure again"
                    )
                energy.finish(energy_j=end_j - start_j, duration_s=end_s - start_s)
            else:
                with measure_power(lambda: self._power_w(handle), interval_s=_INTERVAL_S) as energy:
                    yield energy

    def _energy_j(self, handle: Any) -> float:
        return float(self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, handle)) / 1e3

    def _power_w(self, handle: Any) -> float:
        return float(self._ask(self._nvml.nvmlDeviceGetPowerUsage, handle)) / 1e3

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._nvml.NVMLError as exc:
            raise MeterError(
                f"NVML: {exc}; it needs a GPU of NVIDIA and its driver (nvidia-smi shows both)"
            ) from exc

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        nvml = self._nvml
        self._ask(nvml.nvmlInit)
        try:
            if self._uuid is None:
                yield self._ask(nvml.nvmlDeviceGetHandleByIndex, 0)
            else:
                yield self._ask(nvml.nvmlDeviceGetHandleByUUID, self._uuid)
        finally:
            nvml.nvmlShutdown()


def open_meter() -> NvmlMeter:
    """Return the meter of torch's current GPU, or of the first where torch has none.

    Raises:
        MeterError: The extra is not installed, or there is no such GPU.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError as exc:
        raise MeterError(
            "NVML needs nvidia-ml-py, which is not installed; pip install 'phyemu[nvml]'"
        ) from exc
    uuid = None
    if torch.cuda.is_available():
        # NVML counts all GPUs, torch those of CUDA_VISIBLE_DEVICES: only the UUID is common.
        found = getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", None)
        uuid = None if found is None else f"GPU-{found}"
    return NvmlMeter(nvml, uuid=uuid)
