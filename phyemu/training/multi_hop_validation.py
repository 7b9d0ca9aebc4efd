"""How well a network on several devices does through its links."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from phyemu.datasets import ImageSet, ordered_batches
from phyemu.dnn import Link, Lookup, MultiHopPhyDnn, evaluating
from phyemu.errors import DatasetError

from .validation import LinkScore

__all__ = ["MultiHopScore", "score_over_links"]

_BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiHopScore:
    """A result on a set of images.

    Attributes:
        total: Accuracy and loss; its `ser` is over the symbols of all hops.
        hop_sers: Share of symbols received wrongly, of each hop, in [0, 1].
    """

    total: LinkScore
    hop_sers: tuple[float, ...]


def score_over_links(
    phydnn: MultiHopPhyDnn,
    links: Sequence[Link],
    images: ImageSet,
    *,
    seed: int,
    lookup: Lookup = Lookup.HARD,
) -> MultiHopScore:
    """Return accuracy and symbol error rates of inference through all links.

    Every device sends its most probable symbols; a relay knows only what it received.

    Args:
        phydnn: Evaluated in evaluation mode; every module gets its own mode back.
        links: One a hop.
        images: On the device of the model.
        seed: Of channels and noise; the same seed gives the same result.
        lookup: Hard or soft.

    Raises:
        DatasetError: The set is empty.
    """
    if not len(images):
        raise DatasetError("there are no images to evaluate on")
    generator = torch.Generator(images.images.device).manual_seed(seed)
    correct, loss = 0, 0.0
    wrong, num_symbols = [0] * len(links), [0] * len(links)
    with evaluating(phydnn):
        for batch in ordered_batches(images, _BATCH):
            symbols = phydnn.encode(batch.images)
            for hop, link in enumerate(links):
                order = phydnn.embedding_of(hop).order
                posteriors = link(functional.one_hot(symbols, order).float(), generator)
                wrong[hop] += int((posteriors.argmax(-1) != symbols).sum())
                num_symbols[hop] += symbols.numel()
                if hop < phydnn.num_hops - 1:
                    symbols = phydnn.relay(hop, posteriors, lookup)
            logits = phydnn.decode(posteriors, lookup)
            correct += int((logits.argmax(-1) == batch.labels).sum())
            loss += float(functional.cross_entropy(logits, batch.labels, reduction="sum"))
    total = LinkScore(
        accuracy=100 * correct / len(images),
        loss=loss / len(images),
        ser=sum(wrong) / sum(num_symbols),
        num_images=len(images),
    )
    return MultiHopScore(
        total=total,
        hop_sers=tuple(w / n for w, n in zip(wrong, num_symbols, strict=True)),
    )
