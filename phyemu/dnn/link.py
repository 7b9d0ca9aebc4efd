"""What a PhyDNN needs of the air: symbols in, posteriors out."""

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Link", "noiseless_link"]


class Link(Protocol):
    """Modulator, channel and demodulator as one differentiable, non-trainable layer.

    Symbol m is point m of the link's constellation. An image has num_slices of them, or a multiple
    where several symbols stand for a slice.
    """

    def __call__(self, probabilities: Tensor, generator: torch.Generator) -> Tensor:
        """Return p(symbol | received waveform).

        Args:
            probabilities: Symbols as (nearly) one-hot rows, (batch, num_symbols, M), float32; the
                gradient to them is what trains the head.
            generator: Source of noise and channel, on the device of `probabilities`; advanced.

        Returns:
            Posteriors, (batch, num_symbols, M), float32, rows sum to one.
        """


def noiseless_link(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Return the probabilities as they are: the link that makes no error. Meets `Link`."""
    del generator
    return probabilities
