"""What an MMSE equaliser makes of a multipath channel, in closed form.

A linear MMSE equaliser behind the filter matched to pulse and channel sees white noise and the
folded spectrum S(f) = sum over k of |H(f + k/T)|^2 C(f + k/T), with C the raised-cosine spectrum
(the sum of whose images is 1). Its smallest mean squared error is the mean over the band of
1 / (1 + snr S(f)), and the unbiased signal to interference-plus-noise ratio is

    SINR = 1 / mean_f(1 / (1 + snr S(f))) - 1    (Proakis, Sec. 10.2-2)

For a flat channel S = 1, and SINR = snr.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from phyemu.channel import ImpulseResponse
from phyemu.errors import ConfigError

__all__ = ["folded_power", "mmse_sinr"]


@dataclass(frozen=True, eq=False, slots=True)
class _Folding:
    """Frequencies at which H is needed, and the band point that each is folded on.

    Attributes:
        turns: Frequency over symbol rate, (num_needed,), float64.
        bins: Band point of each, (num_needed,), int64.
        weights: C at each, (num_needed,), float64; over each band point they sum to one.
    """

    turns: Tensor
    bins: Tensor
    weights: Tensor


@lru_cache(maxsize=16)
def _folding(rolloff: float, num_frequencies: int) -> _Folding:
    band = (torch.arange(num_frequencies, dtype=torch.float64) + 0.5) / num_frequencies - 0.5
    images = torch.stack([band - 1, band, band + 1])
    # From 0 at the inner edge of the slope (and inside of it) to 1 at the outer edge (and beyond).
    slope = ((images.abs() - (1 - rolloff) / 2) / rolloff).clamp(0, 1)
    spectrum = (1 + torch.cos(math.pi * slope)) / 2
    bins = torch.arange(num_frequencies).expand(3, -1)
    needed = spectrum > 1e-9
    return _Folding(images[needed], bins[needed], spectrum[needed])


def folded_power(
    response: ImpulseResponse, *, symbol_rate_hz: float, rolloff: float, num_frequencies: int = 64
) -> Tensor:
    """Return S(f) at equidistant points of the band, (..., time, num_frequencies), real.

    Args:
        response: Gains (..., time, path).
        symbol_rate_hz: 1/T [Hz], > 0.
        rolloff: Of the root-raised-cosine pulses, in (0, 1].
        num_frequencies: Points over the symbol rate; more than the channel has symbols of delay.

    Raises:
        ConfigError: An argument is out of range.
    """
    if not (symbol_rate_hz > 0 and 0 < rolloff <= 1 and num_frequencies >= 2):
        raise ConfigError(
            "need symbol_rate_hz > 0, rolloff in (0, 1] and num_frequencies >= 2; got "
            f"{symbol_rate_hz=}, {rolloff=}, {num_frequencies=}"
        )
    folding = _folding(rolloff, num_frequencies)
    device = response.gains.device
    transfer = response.frequency_response((folding.turns * symbol_rate_hz).to(device))
    power = transfer.real.square() + transfer.imag.square()
    power = power * folding.weights.to(power)
    folded = power.new_zeros((*power.shape[:-1], num_frequencies))
    return folded.index_add(-1, folding.bins.to(device), power)


def mmse_sinr(folded: Tensor, snr: Tensor) -> Tensor:
    """Return the unbiased SINR behind the MMSE equaliser, (...), linear.

    Args:
        folded: S(f), (..., num_frequencies), as `folded_power` gives it.
        snr: Signal to noise ratio for S = 1, (...), linear, >= 0 and finite.
    """
    # 1/m - 1 = mean(1 - e) / mean(e) with e = 1 / (1 + snr S): no cancellation at low SNR.
    product = snr[..., None] * folded
    error = 1 / (1 + product)
    return (product * error).mean(-1) / error.mean(-1)
