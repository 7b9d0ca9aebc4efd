"""A part for machines without phyemu: written, run again, compared, and only then kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import CheckpointError, ConfigError
from phyemu.whole_file import write_whole

from .artefact import PhyDnnHead, PhyDnnTail
from .card import Part
from .device_card import DeviceCard, DeviceFormat, device_card_path, read_device_card
from .modes import evaluating
from .onnx_export import load_onnx, onnx_bytes
from .relay import PhyDnnRelay
from .torchscript_export import load_torchscript, torchscript_bytes

__all__ = ["DeviceArtefact", "export_for_device", "load_for_device"]

_NAMES = {
    Part.HEAD: ("images", "symbols"),
    Part.RELAY: ("posteriors", "symbols"),
    Part.TAIL: ("posteriors", "logits"),
}
# Batches that the file is run with: it was traced with two images.
_CHECKED_BATCHES = (1, 7)
# A slice that lies between two embeddings may fall to either by the rounding of a sum.
_MOST_SYMBOLS = 2e-3
_MOST_LOGITS = 1e-3


class DeviceArtefact:
    """A part that was exported for a device, ready to run.

    Attributes:
        card: What it is.
    """

    def __init__(
        self,
        card: DeviceCard,
        run: Callable[[NDArray[np.generic]], NDArray[np.generic]],
        *,
        runtime: str,
    ) -> None:
        """Keep what runs it.

        Args:
            card: What it is.
            run: A batch in, a batch out, in the memory of the host.
            runtime: What runs it, for messages.
        """
        self.card = card
        self.runtime = runtime
        self._run = run

    def __call__(self, batch: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return symbols of images (uint8) or posteriors (float32), or logits of posteriors."""
        return self._run(np.ascontiguousarray(batch, dtype=self.card.input["dtype"]))


def export_for_device(
    side: PhyDnnHead | PhyDnnRelay | PhyDnnTail, path: Path, device_format: DeviceFormat
) -> DeviceCard:
    """Write a part as `path`, and its card beside it; neither unless it computes the same.

    Args:
        side: As loaded; it is run on the CPU, and so is what was written.
        path: The file; its suffix is that of the format.
        device_format: ONNX or TorchScript.

    Raises:
        ConfigError: The suffix is another, or a package is missing.
        CheckpointError: It cannot be translated, or what was written computes something else.
        OSError: It cannot be written.
    """
    if path.suffix != device_format.suffix:
        raise ConfigError(
            f"{path}: a file in format {device_format} must be named {device_format.suffix}"
        )
    part = side.card.part
    input_name, output_name = _NAMES[part]
    side = side.cpu()
    with evaluating(side):
        examples = _examples(side, 2)
        outputs = side(examples)
        exporter = f"torch {torch.__version__}"
        if device_format is DeviceFormat.ONNX:
            content, opset = onnx_bytes(
                side, examples, input_name=input_name, output_name=output_name
            )
            exporter += f", ONNX opset {opset}"
        else:
            content = torchscript_bytes(side, examples)
        # On a GPU sums are of TF32 numbers, and a correct file would differ.
        run, runtime = _runner(content, device_format, where=path.name, on_cpu=True)
        difference = max(_difference(side, run, size) for size in _CHECKED_BATCHES)
    allowed = _MOST_LOGITS if part is Part.TAIL else _MOST_SYMBOLS
    if not difference <= allowed:
        what = "is the largest error of a logit" if part is Part.TAIL else "of the symbols differ"
        raise CheckpointError(
            f"{path.name}: {runtime} computes something else than torch from what {exporter} "
            f"wrote ({difference:.3g} {what}); nothing is written, try another format"
        )
    card = DeviceCard(
        format=device_format,
        exporter=exporter,
        input=_described(input_name, examples),
        output=_described(output_name, outputs),
        checked_with=runtime,
        largest_difference=difference,
        file_sha256=hashlib.sha256(content).hexdigest(),
        artefact=side.card,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    write_whole(device_card_path(path), card.to_json())
    return card


def load_for_device(path: Path, part: Part) -> DeviceArtefact:
    """Return what `export_for_device` wrote, ready to run.

    A TorchScript file is a program: run only those of people you trust.

    Args:
        path: The file; its card lies beside it.
        part: What it has to be.

    Raises:
        ConfigError: ONNX Runtime is missing.
        CheckpointError: A file is missing or damaged, or of another part.
    """
    card = read_device_card(path)
    if card.part is not part:
        raise CheckpointError(f"{path}: is a {card.part}, not a {part}")
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read ({exc.strerror})") from exc
    if hashlib.sha256(content).hexdigest() != card.file_sha256:
        raise CheckpointError(
            f"{path}: is damaged, or not the file that {device_card_path(path).name} describes; "
            "copy both again"
        )
    run, runtime = _runner(content, card.format, where=str(path), on_cpu=False)
    return DeviceArtefact(card, run, runtime=runtime)


def _runner(
    content: bytes, device_format: DeviceFormat, *, where: str, on_cpu: bool
) -> tuple[Callable[[NDArray[np.generic]], NDArray[np.generic]], str]:
    """Return what runs a file, and its name."""
    if device_format is DeviceFormat.ONNX:
        import onnxruntime

        session = load_onnx(content, where=where, on_cpu=on_cpu)
        name = session.get_inputs()[0].name

        def run_onnx(batch: NDArray[np.generic]) -> NDArray[np.generic]:
            outputs: list[NDArray[np.generic]] = session.run(None, {name: batch})
            return outputs[0]

        return run_onnx, f"onnxruntime {onnxruntime.__version__}"
    module = load_torchscript(content, where=where)
    device = torch.device("cpu" if on_cpu or not torch.cuda.is_available() else "cuda")
    module = module.to(device)

    def run_torchscript(batch: NDArray[np.generic]) -> NDArray[np.generic]:
        with torch.inference_mode():
            output: Tensor = module(torch.from_numpy(batch).to(device))
        result: NDArray[np.generic] = output.cpu().numpy()
        return result

    return run_torchscript, f"TorchScript of torch {torch.__version__} on {device.type}"


def _examples(side: PhyDnnHead | PhyDnnRelay | PhyDnnTail, size: int) -> Tensor:
    """Return images of noise, or posteriors as sharp as received ones with some of lost symbols."""
    generator = torch.Generator().manual_seed(size)
    if isinstance(side, PhyDnnHead):
        pixels = (size, *side.card.image_shape)
        return torch.randint(256, pixels, generator=generator, dtype=torch.uint8)
    card = side.card.arriving if isinstance(side, PhyDnnRelay) else side.card
    rows = (size, card.symbols_per_image, card.order)
    posteriors = (4 * torch.randn(rows, generator=generator)).softmax(-1)
    posteriors[:, ::9] = 1.0 / card.order
    return posteriors


def _difference(
    side: PhyDnnHead | PhyDnnRelay | PhyDnnTail,
    run: Callable[[NDArray[np.generic]], NDArray[np.generic]],
    size: int,
) -> float:
    """Return the largest error of a logit, or the share of other symbols."""
    batch = _examples(side, size)
    ours = side(batch).numpy()
    theirs = run(batch.numpy())
    if theirs.shape != ours.shape:
        return float("inf")
    if isinstance(side, PhyDnnTail):
        return float(np.abs(ours - theirs).max())
    return float(np.mean(ours != theirs))


def _described(name: str, batch: Tensor) -> dict[str, object]:
    return {
        "name": name,
        "dtype": str(batch.dtype).removeprefix("torch."),
        "shape": ["batch", *batch.shape[1:]],
    }
