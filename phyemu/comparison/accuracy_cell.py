"""The accuracy of a system in an environment."""

import math
from dataclasses import replace
from typing import Any

from torch import Tensor

from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup
from phyemu.evaluation import EvaluationFidelity, evaluate_phydnn

from .cell import CellKey
from .config import ComparisonConfig
from .environment import environment_channel, is_simulation
from .systems import Provided

__all__ = ["accuracy_figures", "accuracy_settings"]

_BATCH = 64  # of the bytes, as the paper counts them


def accuracy_settings(key: CellKey, config: ComparisonConfig) -> dict[str, Any]:
    """Return what an accuracy depends on besides weights and images, as JSON values."""
    lookup = config.accuracy.lookup
    settings: dict[str, Any] = {
        "limit": config.accuracy.limit,
        "lookup": None if lookup is None else str(lookup),
    }
    if key.order and not is_simulation(key.environment):
        settings["fidelity"] = str(config.accuracy.fidelity)
        settings["repetitions"] = config.accuracy.repetitions
        if key.environment.startswith("urban"):
            settings["urban"] = repr(config.urban)
    return settings


def accuracy_figures(
    key: CellKey,
    provided: Provided,
    images: ImageSet,
    config: ComparisonConfig,
    *,
    symbols: Tensor | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the figures of an accuracy, and what they were made with.

    Args:
        key: Which one.
        provided: The system.
        images: Test images, on the device of the system.
        config: How they are sent.
        symbols: What a PhyDNN's or DT-JSCC's head sends for the images, where it has run already.

    Raises:
        PhyemuError: There are no images, or they do not fit.
    """
    system = provided.system
    figures: dict[str, float] = {
        "num_images": len(images),
        "payload_bytes": _BATCH * system.payload_bytes_per_image,
    }
    record: dict[str, Any] = {}
    whole = provided.backbone_accuracy
    if system.phydnn is None:
        figures["accuracy"] = system.accuracy(images, None, key.seed) if whole is None else whole
        return figures, record
    if whole is not None:
        figures["backbone_accuracy"] = whole
    simulated = is_simulation(key.environment)
    fidelity = EvaluationFidelity.SYMBOL if simulated else config.accuracy.fidelity
    lookup: Lookup = config.accuracy.lookup or system.lookup
    channel = environment_channel(key.environment, config.urban)
    phydnn, device = system.phydnn, images.images.device
    if fidelity is not EvaluationFidelity.FRAMES:  # whose samples are made and received on the CPU
        phydnn = replace(phydnn, constellation=phydnn.constellation.to(device))
    result = evaluate_phydnn(
        phydnn,
        channel,
        images,
        fidelity=fidelity,
        seed=key.seed,
        lookup=lookup,
        repetitions=1 if simulated else config.accuracy.repetitions,
        symbols=None if symbols is None else symbols.to(device),
    )
    figures |= {
        "accuracy": result.accuracy,
        "ser": result.ser,
        "frames_sent": result.frames_sent,
        "frames_lost": result.frames_lost,
        "symbols_per_image": system.phydnn.symbols_per_image,
    }
    if math.isfinite(result.snr_db):
        figures["snr_db"] = result.snr_db
    record |= {"channel": channel.name, "fidelity": str(fidelity), "lookup": str(lookup)}
    return figures, record
