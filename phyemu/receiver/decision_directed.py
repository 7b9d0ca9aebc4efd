"""A channel that changes within a frame, followed by decisions.

The equaliser comes from the preamble; what the channel changes since leaves interference between
symbols. A short filter behind it is fitted to the symbols as decided, block by block, by least
squares with exponentially decaying weights (Haykin, Adaptive Filter Theory, ch. 10), its targets
the mean points under the posteriors, so that doubtful decisions pull less (Tuchler, Singer and
Koetter, IEEE Trans. Signal Process. 50(3), 2002):

    w_b = argmin_w sum_k lambda^|b - b(k)| |m_k - w^T z_k|^2 + mu |w - delta|^2

First forwards from the preamble, each block decided behind the filter of those before it; then with
both sides. How fast the filter may change, and whether there is one at all, is what foretells
blocks best that it was not fitted to: a channel that stands still is left alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import Constellation
from phyemu.waveform.phase_tracking import posterior_moments

__all__ = ["Refinement", "refine_symbols"]

_BLOCK = 64
_REACH = 4  # taps on either side
_MEMORIES = (4.0, 16.0, 64.0)  # blocks until a weight has fallen to 1/e
_RIDGE = 8.0  # symbols' worth of belief in the equaliser as it is
_GAIN = 0.98  # of the error that is foretold: what a filter must at least reach
_LEAST_NOISE = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Refinement:
    """Symbols behind the filter.

    Attributes:
        symbols: (num_symbols,), complex64.
        noise_variance: Total complex variance of their error.
    """

    symbols: NDArray[np.complex64]
    noise_variance: float


@dataclass(frozen=True, eq=False, slots=True)
class _Decisions:
    """What is known or believed of the symbols: mean point and mean energy, (num_symbols,)."""

    means: NDArray[np.complex64]
    energy: NDArray[np.float32]


def refine_symbols(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    heard: NDArray[np.bool_],
    constellation: Constellation,
    *,
    noise_variance: float,
) -> Refinement | None:
    """Return the symbols of a frame behind the filter; None where none foretells them better.

    Args:
        symbols: Equalised, the carrier undone, (num_symbols,).
        positions: Of the known ones, (num_known,), ascending; the preamble comes first.
        values: What those are, (num_known,).
        heard: Which symbols were received and say something, (num_symbols,).
        constellation: Of the other ones.
        noise_variance: Total complex variance of the error of `symbols`.
    """
    frame = _Frame(symbols, positions, values, heard, constellation)
    noise = max(noise_variance, _LEAST_NOISE)
    if frame.num_blocks < 2:
        return None
    plain = frame.decide(symbols, noise)
    least = _GAIN * frame.error(symbols, plain)
    best: tuple[float, _Decisions] | None = None
    for memory in _MEMORIES:
        decayed = float(np.exp(-1.0 / memory))
        forwards, decisions = frame.follow(decayed, noise)
        foretold = frame.error(forwards, decisions)
        if foretold < least:
            least, best = foretold, (decayed, decisions)
    # Slow changes are better foretold from both sides, whose first decisions are the plain ones.
    for memory in _MEMORIES[1:]:
        decayed = float(np.exp(-1.0 / memory))
        between = frame.filtered(decayed, plain, own=False)
        foretold = frame.error(between, plain)
        if foretold < least:
            least, best = foretold, (decayed, plain)
    if best is None:
        return None
    decayed, decisions = best
    refined = symbols
    for _ in range(2):
        refined = frame.filtered(decayed, decisions, own=True)
        noise = max(frame.error(refined, decisions), _LEAST_NOISE)
        decisions = frame.decide(refined, noise)
    return Refinement(symbols=refined, noise_variance=frame.error(refined, decisions))


class _Frame:
    """The symbols of a frame in blocks, each with its neighbours."""

    def __init__(
        self,
        symbols: NDArray[np.complex64],
        positions: NDArray[np.int64],
        values: NDArray[np.complex64],
        heard: NDArray[np.bool_],
        constellation: Constellation,
    ) -> None:
        self._count = len(symbols)
        self.num_blocks = -(-self._count // _BLOCK)
        length = self.num_blocks * _BLOCK
        padded = np.zeros(length + 2 * _REACH, np.complex64)
        padded[_REACH : _REACH + self._count] = np.where(heard, symbols, 0)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1)
        taps = 2 * _REACH + 1
        self._windows = np.ascontiguousarray(windows).reshape(self.num_blocks, _BLOCK, taps)
        self._weights = np.zeros(length, np.float32)
        self._weights[: self._count] = heard
        self._conjugates = self._windows.conj() * self._weights.reshape(-1, _BLOCK, 1)
        self._grams = self._conjugates.transpose(0, 2, 1) @ self._windows
        self._constellation = constellation
        self._known = np.zeros(length, bool)
        self._known[positions] = True
        self._values = np.zeros(length, np.complex64)
        self._values[positions] = values
        self._middle = np.zeros(taps)
        self._middle[_REACH] = 1.0
        self._ridge = _RIDGE * np.eye(taps)

    def decide(self, symbols: NDArray[np.complex64], noise: float) -> _Decisions:
        """Return what symbols are believed to be."""
        padded = np.zeros(len(self._weights), np.complex64)
        padded[: len(symbols)] = symbols
        means, _, energy = posterior_moments(padded, self._constellation, noise_variance=noise)
        means[self._known] = self._values[self._known]
        energy[self._known] = np.square(np.abs(self._values[self._known]))
        return _Decisions(means, energy)

    def error(self, symbols: NDArray[np.complex64], decisions: _Decisions) -> float:
        """Return the mean squared error of the symbols that were heard."""
        means, energy = decisions.means[: self._count], decisions.energy[: self._count]
        errors = np.square(np.abs(symbols)) - 2.0 * (symbols * means.conj()).real + energy
        weights = self._weights[: self._count]
        return float((errors * weights).sum(dtype=np.float64) / max(weights.sum(), 1.0))

    def follow(self, decay: float, noise: float) -> tuple[NDArray[np.complex64], _Decisions]:
        """Return each block behind the filter of those before it, and its decisions."""
        out = np.empty((self.num_blocks, _BLOCK), np.complex64)
        means = np.empty(self.num_blocks * _BLOCK, np.complex64)
        energies = np.empty(len(means), np.float32)
        gram = self._ridge.astype(np.complex128)
        target = _RIDGE * self._middle.astype(np.complex128)
        overlap = whole = 1.0
        for block in range(self.num_blocks):
            taps = np.linalg.solve(gram, target)
            # Fitted to means, which are short where decisions are doubtful, a filter is short, too.
            short = self._windows[block] @ taps
            out[block] = short * (whole / max(overlap, 0.25 * whole))
            part = slice(block * _BLOCK, (block + 1) * _BLOCK)
            mean, _, energy = posterior_moments(
                out[block], self._constellation, noise_variance=noise
            )
            known = self._known[part]
            mean[known] = self._values[part][known]
            energy[known] = np.square(np.abs(mean[known]))
            means[part], energies[part] = mean, energy
            gram = decay * gram + (1.0 - decay) * self._ridge + self._grams[block]
            target = decay * target + (1.0 - decay) * _RIDGE * self._middle
            target = target + self._conjugates[block].T @ mean
            weights = self._weights[part]
            overlap = decay * overlap + float(((short * mean.conj()).real * weights).sum())
            whole = decay * whole + float((energy * weights).sum())
        return out.reshape(-1)[: self._count], _Decisions(means, energies)

    def filtered(self, decay: float, decisions: _Decisions, *, own: bool) -> NDArray[np.complex64]:
        """Return all symbols behind filters fitted on both sides, scaled to the gain 1.

        Args:
            decay: Of the weights, from block to block.
            decisions: What the symbols are believed to be.
            own: Whether a block's own decisions count for its filter.
        """
        means = decisions.means.reshape(self.num_blocks, _BLOCK, 1)
        targets = (self._conjugates.transpose(0, 2, 1) @ means)[..., 0]
        gram = _both_sides(self._grams.astype(np.complex128), decay, own=own) + self._ridge
        target = _both_sides(targets.astype(np.complex128), decay, own=own)
        target += _RIDGE * self._middle
        taps = np.linalg.solve(gram, target[..., None])
        out = (self._windows @ taps.astype(np.complex64))[..., 0]
        # The mean of a doubtful symbol is short: so would be what is fitted to it.
        weights = self._weights.reshape(self.num_blocks, _BLOCK)
        energy = decisions.energy.reshape(self.num_blocks, _BLOCK)
        overlap = ((out * means[..., 0].conj()).real * weights).sum(-1)
        gain = _both_sides(overlap, decay, own=own) / np.maximum(
            _both_sides((energy * weights).sum(-1), decay, own=own), 1e-9
        )
        scaled = out / np.clip(gain, 0.25, 4.0).astype(np.float32)[:, None]
        flat: NDArray[np.complex64] = scaled.reshape(-1)[: self._count].astype(np.complex64)
        return flat


def _both_sides(values: NDArray[Any], decay: float, *, own: bool) -> NDArray[Any]:
    """Return sums over all blocks, (blocks, ...), weighted by decay^distance."""
    before, behind = np.zeros_like(values), np.zeros_like(values)
    for block in range(1, len(values)):
        before[block] = decay * (before[block - 1] + values[block - 1])
        behind[-1 - block] = decay * (behind[-block] + values[-block])
    total: NDArray[Any] = before + behind + (values if own else 0)
    return total
