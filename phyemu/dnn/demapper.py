"""A learned demapper: a small network from what arrived to the weight of each embedding.

What it takes of a symbol are the logarithms of its posteriors,

    log p_m = (2 Re(y c_m*) - |c_m|^2) / sigma^2 + const,

linear in y / sigma^2 and 1 / sigma^2: received point and SNR, in the form in which every link,
every receiver and every file passes them on. It begins as the soft lookup, and may learn what that
cannot know: that some embeddings are sent more often, which errors the tail bears, and how far the
stated noise variance is to be believed.
"""

import torch
from torch import Tensor, nn

from .symbol_tuples import joint_posteriors

__all__ = ["Demapper"]

_HIDDEN = 32
_LEAST = 1e-9  # of a posterior; four symbols of a slice still multiply within float32


class Demapper(nn.Module):
    """Posteriors of channel symbols to weights of embeddings.

    Args:
        order: M_c, of the modulation.
        symbols_per_slice: u.
        generator: CPU source of the first weights; it is advanced.
    """

    def __init__(self, order: int, symbols_per_slice: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.order = order
        self.symbols_per_slice = symbols_per_slice
        with torch.random.fork_rng(devices=[]):  # layers draw defaults from the global generator
            self.hidden = nn.Linear(symbols_per_slice * order, _HIDDEN)
            self.output = nn.Linear(_HIDDEN, order**symbols_per_slice)
        nn.init.kaiming_normal_(self.hidden.weight, generator=generator)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, posteriors: Tensor) -> Tensor:
        """Return the weight of each embedding, (..., num_slices, M), rows sum to one.

        Where a symbol of a slice was lost (equal posteriors) nothing is corrected: the weights are
        those of the soft lookup.

        Args:
            posteriors: (..., num_slices * u, M_c), rows sum to one; gradients flow to them.
        """
        u = self.symbols_per_slice
        clamped = posteriors.clamp_min(_LEAST)
        # In double precision: the product of many small posteriors must not become 0.
        prior = joint_posteriors(clamped.double(), u).log().to(clamped.dtype)
        rows = clamped.log().reshape(*prior.shape[:-1], u * self.order)
        correction = self.output(self.hidden(rows).relu())
        lost = posteriors.amax(-1) <= (1 + 1e-6) / self.order
        whole = ~lost.reshape(*prior.shape[:-1], u).any(-1, keepdim=True)
        weights: Tensor = (prior + whole * correction).softmax(-1)
        return weights
