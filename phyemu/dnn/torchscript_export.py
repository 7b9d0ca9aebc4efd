"""A head or tail as TorchScript: traced, so that torch alone can run it, without phyemu."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from phyemu.errors import CheckpointError

__all__ = ["load_torchscript", "torchscript_bytes"]


def torchscript_bytes(module: nn.Module, example: Tensor) -> bytes:
    """Return the module as a TorchScript file; the batch may have any size.

    Args:
        module: One tensor in, one out, in evaluation mode.
        example: A batch that it is traced with; no branch may depend on what is in it.
    """
    content = io.BytesIO()
    with _unmoved_by_deprecation(), torch.no_grad():
        # What torch would check, a second trace, does not show other batch sizes; ours does.
        traced = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, content)
    return content.getvalue()


def load_torchscript(content: bytes, *, where: str) -> torch.jit.ScriptModule:
    """Return what `torchscript_bytes` wrote, on the CPU.

    Args:
        content: The file.
        where: Its name, for messages.

    Raises:
        CheckpointError: It is no TorchScript.
    """
    with _unmoved_by_deprecation():
        try:
            loaded: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(content), map_location="cpu"
            )
        except (RuntimeError, ValueError) as exc:
            reason = str(exc).strip().splitlines()[0]
            raise CheckpointError(f"{where}: is no TorchScript ({reason})") from exc
    return loaded


@contextmanager
def _unmoved_by_deprecation() -> Iterator[None]:
    """Ignore that torch recommends torch.export from 2.10 on, which C++ cannot load everywhere.

    Shape checks of ours are traced as the constants that they are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        yield
