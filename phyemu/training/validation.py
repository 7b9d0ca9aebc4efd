"""How well a network does on images that it was not trained on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.datasets import ImageSet, ordered_batches
from phyemu.dnn import Link, Lookup, PhyDnn, evaluating
from phyemu.errors import DatasetError

__all__ = ["LinkScore", "score_images", "score_over_link"]

_BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkScore:
    """A result on a set of images.

    Attributes:
        accuracy: Share of images whose class was found, in percent.
        loss: Mean cross-entropy [nat].
        ser: Share of symbols received wrongly, in [0, 1]; None where none are sent.
        num_images: Images evaluated, each repetition counted.
    """

    accuracy: float
    loss: float
    ser: float | None
    num_images: int


def score_images(
    logits_of: Callable[[Tensor], Tensor], model: nn.Module, images: ImageSet
) -> LinkScore:
    """Return the result of `logits_of` (images to logits) on a set, without gradients.

    Args:
        logits_of: Uint8 images (batch, channels, height, width) to logits.
        model: Put into evaluation mode meanwhile; every module gets its own mode back.
        images: On the device of the model.

    Raises:
        DatasetError: The set is empty.
    """
    if not len(images):
        raise DatasetError("there are no images to evaluate on")
    correct, loss = 0, 0.0
    with evaluating(model):
        for batch in ordered_batches(images, _BATCH):
            logits = logits_of(batch.images)
            correct += int((logits.argmax(-1) == batch.labels).sum())
            loss += float(functional.cross_entropy(logits, batch.labels, reduction="sum"))
    return LinkScore(
        accuracy=100 * correct / len(images),
        loss=loss / len(images),
        ser=None,
        num_images=len(images),
    )


def score_over_link(
    phydnn: PhyDnn,
    link: Link,
    images: ImageSet,
    *,
    seed: int,
    lookup: Lookup = Lookup.HARD,
    repetitions: int = 1,
    symbols: Tensor | None = None,
) -> LinkScore:
    """Return accuracy and symbol error rate of inference through a link.

    The device sends its most probable symbols; nothing is sampled but the channel.

    Args:
        phydnn: Evaluated in evaluation mode; every module gets its own mode back.
        link: What is sent through.
        images: On the device of the model.
        seed: Of channel and noise; the same seed gives the same result.
        lookup: Hard or soft.
        repetitions: Passes over the images, each through new channels, >= 1.
        symbols: What the device sends for these images, (num_images, symbols_per_image), where
            that is known already; None: it is found now.

    Raises:
        DatasetError: The set is empty, or the symbols are not of these images.
    """
    if not len(images) or repetitions < 1:
        raise DatasetError(f"there is nothing to evaluate: {len(images)} images, {repetitions=}")
    if symbols is not None and len(symbols) != len(images):
        raise DatasetError(f"symbols of {len(symbols)} images are not those of {len(images)}")
    generator = torch.Generator(images.images.device).manual_seed(seed)
    correct, wrong, num_symbols, loss, start = 0, 0, 0, 0.0, 0
    with evaluating(phydnn):
        for batch in ordered_batches(images, _BATCH):
            if symbols is None:
                chosen = phydnn.encode(batch.images)
            else:
                chosen = symbols[start : start + len(batch.images)]
            start += len(batch.images)
            sent = functional.one_hot(chosen, phydnn.embedding.order).float()
            for _ in range(repetitions):
                posteriors = link(sent, generator)
                logits = phydnn.decode(posteriors, lookup)
                correct += int((logits.argmax(-1) == batch.labels).sum())
                loss += float(functional.cross_entropy(logits, batch.labels, reduction="sum"))
                wrong += int((posteriors.argmax(-1) != chosen).sum())
                num_symbols += chosen.numel()
    total = len(images) * repetitions
    return LinkScore(
        accuracy=100 * correct / total,
        loss=loss / total,
        ser=wrong / num_symbols,
        num_images=total,
    )
