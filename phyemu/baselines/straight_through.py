"""Decided symbols with the identity as gradient: how DT-JSCC trains through its channel."""

import torch
from torch import Tensor

from phyemu.dnn import Link, one_hot_argmax

__all__ = ["DecidingLink"]


class DecidingLink:
    """A link whose receiver decides, and whose error is a constant to the gradients.

    z' = z + (e - z), where e is the one-hot row of the symbol decided: forward e, backward the
    identity to z. Rows of a lost frame, all equal, stay as they are. Meets `phyemu.dnn.Link`.

    Args:
        link: Modulator, channel and demodulator.
    """

    def __init__(self, link: Link) -> None:
        self.link = link

    def __call__(self, probabilities: Tensor, generator: torch.Generator) -> Tensor:
        """Return one-hot rows of the decided symbols, (batch, num_symbols, M), float32.

        Args:
            probabilities: One-hot rows of the symbols sent; gradients flow to them unchanged.
            generator: Of channel and noise; it is advanced.
        """
        with torch.no_grad():
            posteriors = self.link(probabilities.detach(), generator)
            lost = posteriors.amax(-1, keepdim=True) == posteriors.amin(-1, keepdim=True)
            decided = torch.where(lost, posteriors, one_hot_argmax(posteriors))
        if not probabilities.requires_grad:
            return decided
        sent = probabilities.to(decided.dtype)
        # z - z.detach() is an exact zero, so the forward value is the decision, bit for bit.
        return decided + (sent - sent.detach())
