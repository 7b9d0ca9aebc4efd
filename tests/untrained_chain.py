"""A network on three devices that nobody has trained, exported as a run exports it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phyemu.datasets import load_dataset
from phyemu.dnn import (
    MultiHopPhyDnn,
    Normalise,
    ResNetConfig,
    describe_architecture,
    evaluating,
    noiseless_link,
    resnet,
    start_embeddings,
)
from phyemu.training import export_multi_hop, preset
from phyemu.waveform import psk

SPLITS = ("layer2", "layer3")


@dataclass(frozen=True, eq=False)
class UntrainedChain:
    """Head, relay1 and tail of order 4 in a run folder, and the network that they are parts of.

    Attributes:
        folder: The run folder; copy it before writing to it.
        model: The network.
        images: Test images of the digits.
        labels: Their classes.
    """

    folder: Path
    model: MultiHopPhyDnn = field(repr=False)
    images: Tensor = field(repr=False)
    labels: list[int]

    def directly(self, images: Tensor) -> Tensor:
        """Return the probability of each class where every symbol arrives."""
        with evaluating(self.model):
            logits = self.model.infer(images, [noiseless_link] * 2, torch.Generator())
        probabilities: Tensor = logits.double().softmax(-1)
        return probabilities


def export_untrained_chain(
    folder: Path,
    *,
    splits: tuple[str, str] = SPLITS,
    backbone: nn.Module | None = None,
    architecture: Mapping[str, Any] | None = None,
) -> UntrainedChain:
    """Export such a network to a folder; its classes differ from image to image.

    Args:
        folder: The run folder.
        splits: Where it is cut.
        backbone: The network, with one linear layer, its last; None: a small residual network.
        architecture: What a card says of it; None: of one of phyemu's.
    """
    config = preset("digits", "awgn:12")
    config = replace(config, phydnn=replace(config.phydnn, splits=splits, orders=(4,)))
    data = load_dataset("digits", seed=0, limit=40)
    generator = torch.Generator().manual_seed(5)
    if backbone is None:
        shape = ResNetConfig(depth=8, num_classes=10, in_channels=1, width=4)
        backbone = resnet(shape, generator=generator)
    points = psk(4)
    model = MultiHopPhyDnn.from_backbone(
        backbone,
        splits=splits,
        image_shape=data.image_shape,
        normalise=Normalise(data.mean, data.std),
        num_embeddings=4,
        generator=generator,
    )
    for hop in range(model.num_hops):
        start_embeddings(model.hop(hop), [data.train.images], points=points.points, seed=hop)
    # What tells images apart is little, beside what all of them have in common.
    with evaluating(model), torch.no_grad():
        images = data.train.images
        logits = model.infer(images, [noiseless_link] * 2, torch.Generator())
        (last,) = (part for part in model.segments[-1].modules() if isinstance(part, nn.Linear))
        last.weight *= 30.0
        last.bias.copy_(30.0 * (last.bias - logits.mean(0)))
    export_multi_hop(
        folder,
        model,
        points,
        config=config,
        dataset=data,
        architecture=architecture or describe_architecture(backbone),
        provenance={"seed": 5},
    )
    return UntrainedChain(folder, model, data.test.images, data.test.labels.tolist())
