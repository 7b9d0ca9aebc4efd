"""How the streaming kernels are to sum a set of paths: by lag or by path, whichever costs less."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.channel.fractional_delay import NUM_TAPS, delay_filters

__all__ = ["MultipathPlan", "plan_multipath"]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class MultipathPlan:
    """What `multipath_kernel` needs to know of the delays.

    Attributes:
        by_path: Whether each path is filtered first and weighted after.
        lags: By lag: every lag, (lag,); by path: the first lag of each filter, ascending,
            (path,); int64.
        order: By path: the path that each row of lags and filters belongs to, (path,) int64.
        filters: By path: the filters, (path, tap) float32.
        basis: By lag: what turns gains of paths into coefficients of lags, (path, lag) float64.
        latency_samples: By how much the lags were shifted to be causal.
        history_samples: Samples of the past that a kernel may read.
    """

    by_path: bool
    order: NDArray[np.int64]
    lags: NDArray[np.int64]
    filters: NDArray[np.float32]
    basis: NDArray[np.float64]
    latency_samples: int
    history_samples: int

    def coefficients(self, gains: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return what the kernels take in place of the gains (time, path), a column per lag."""
        return gains[:, self.order] if self.by_path else gains @ self.basis


def plan_multipath(delays_samples: Tensor, *, held: bool) -> MultipathPlan:
    """Return the plan for paths at `delays_samples` (path,) float64, gains held or moving."""
    lags, filters = delay_filters(delays_samples)
    lookahead = max(0, -int(lags.min()))
    lags = lags + lookahead
    num_paths, num_lags = filters.shape
    used = filters != 0
    span = int(used.sum(dim=1).max())
    # Fused multiply-adds per sample of the two ways, see multipath_kernel.
    by_path = num_paths * (2 * span + 6) < (4 if held else 6) * num_lags
    first_lags = lags[used.to(torch.int8).argmax(dim=1)]
    order = torch.argsort(first_lags, stable=True)
    if by_path:
        first_lags, filters = first_lags[order], filters[order]
        # Two paths' lags need not be neighbours in the common list: gather a path's by lag.
        places = torch.searchsorted(lags, first_lags[:, None] + torch.arange(span))
        places = places.clamp(max=num_lags - 1)
        found = lags[places] == first_lags[:, None] + torch.arange(span)
        compact = torch.gather(filters, 1, places) * found
    return MultipathPlan(
        by_path=by_path,
        order=order.numpy(),
        lags=(first_lags if by_path else lags).numpy(),
        filters=compact.float().numpy() if by_path else np.zeros((1, 1), np.float32),
        basis=filters.numpy(),
        latency_samples=lookahead,
        history_samples=int(lags.max()) + 2 * NUM_TAPS,
    )
