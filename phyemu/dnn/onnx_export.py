"""A head or tail as ONNX, by the exporter that stands on torch.export.

The older exporter of torch, by TorchScript, is not used: of the tail of our own ResNet it makes a
graph that computes something else (torch 2.13), without a word.
"""

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from packaging.version import Version
from torch import Tensor, nn

from phyemu.errors import CheckpointError, ConfigError

__all__ = ["load_onnx", "onnx_bytes", "onnx_missing"]

_LOG = logging.getLogger(__name__)
_NEEDED = ("onnx", "onnxscript", "onnxruntime")
# The first torch whose exporter takes dynamic shapes as they are written here.
_TORCH = Version("2.6")
_REMEDY = "python -m pip install 'phyemu[export]'"


def onnx_missing() -> str:
    """Return why nothing can be exported to ONNX here; empty where it can."""
    if Version(torch.__version__).release < _TORCH.release:
        return (
            f"ONNX is exported by torch {_TORCH} or newer, and this is {torch.__version__}; "
            "install a newer one, or export to torchscript"
        )
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    return f"ONNX needs {', '.join(missing)}: {_REMEDY}" if missing else ""


def onnx_bytes(
    module: nn.Module, example: Tensor, *, input_name: str, output_name: str
) -> tuple[bytes, int]:
    """Return the module as an ONNX file, and its opset; the batch may have any size.

    Args:
        module: One tensor in, one out, in evaluation mode, on the CPU.
        example: A batch of at least two.
        input_name: Name of the input in the graph.
        output_name: Name of the output.

    Raises:
        ConfigError: A package is missing, or torch too old.
        CheckpointError: The exporter cannot translate the module.
    """
    missing = onnx_missing()
    if missing:
        raise ConfigError(missing)
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                (example,),
                input_names=[input_name],
                output_names=[output_name],
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as exc:
            reason = str(exc).strip().splitlines()[0]
            raise CheckpointError(f"torch cannot translate this network to ONNX: {reason}") from exc
    if program is None:
        raise CheckpointError("torch returned no ONNX program; export to torchscript")
    model = program.model_proto
    content: bytes = model.SerializeToString()
    return content, max(entry.version for entry in model.opset_import if not entry.domain)


def load_onnx(content: bytes, *, where: str, on_cpu: bool = False) -> Any:
    """Return an `onnxruntime.InferenceSession` of an ONNX file.

    Args:
        content: The file.
        where: Its name, for messages.
        on_cpu: Whether a GPU is left alone.

    Raises:
        ConfigError: ONNX Runtime is missing.
        CheckpointError: It is no ONNX, or ONNX Runtime cannot run it.
    """
    try:
        import onnxruntime
    except ImportError as exc:
        raise ConfigError(f"{where}: running it needs onnxruntime: {_REMEDY}") from exc
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")
    refusals = tuple(getattr(state, name) for name in names if hasattr(state, name))
    available = onnxruntime.get_available_providers()
    wanted = (
        ("CPUExecutionProvider",) if on_cpu else ("CUDAExecutionProvider", "CPUExecutionProvider")
    )
    try:
        return onnxruntime.InferenceSession(
            content, providers=[name for name in wanted if name in available]
        )
    except refusals as exc:
        reason = str(exc).strip().splitlines()[0]
        raise CheckpointError(f"{where}: ONNX Runtime refuses it ({reason})") from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from reporting packages that nobody needs, and nodes it leaves alone."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    optimiser = logging.getLogger("onnxscript.optimizer._constant_folding")
    optimiser.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        optimiser.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether the optimiser says more than that it leaves a node as it is."""
    text = record.getMessage()
    if not text.startswith("Skipping constant folding"):
        return True
    _LOG.debug("%s: %s", record.name, text)
    return False
