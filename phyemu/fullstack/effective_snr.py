"""One SNR for the carriers of an OFDM symbol: that of the flat channel that informs as much.

The received-bit information rate (RBIR) of the IEEE 802.11ax evaluation methodology (document
11-14/0571r12, Appendix 1), which needs no calibration for the convolutional code: with I(snr) the
mutual information of a modulation with uniform points in white noise,

    I(snr_effective) = mean over carriers of I(snr_k).

A square QAM is two independent PAM; the information of a PAM is a one-dimensional integral,
I = log2(L) - E[log2(sum over j of exp(-((a_i - a_j + n)^2 - n^2) / (2 s^2)))].
"""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

__all__ = ["LARGEST_DB", "LEAST_DB", "effective_snr_db", "missing_information"]

LEAST_DB: Final = -40.0
LARGEST_DB: Final = 80.0
_GRID_DB: Final = np.arange(LEAST_DB, LARGEST_DB + 0.1, 0.25)
# Noise, in standard deviations, over which the integral runs.
_NOISE: Final = np.linspace(-9.0, 9.0, 481)
# Where less than this share is missing, the integral has lost its precision.
_LEAST_MISSING: Final = 1e-10


def missing_information(bits_per_carrier: int, snr: float) -> float:
    """Return the share of a carrier's bits that does not arrive, 1 - I / log2(M).

    Args:
        bits_per_carrier: log2(M): 1 (BPSK), 2, 4 or 6 (square QAM).
        snr: Signal over noise power of the carrier, linear.
    """
    levels = 2 if bits_per_carrier == 1 else 2 ** (bits_per_carrier // 2)
    points = np.arange(levels) * 2.0 - (levels - 1)
    # Of a QAM each dimension has half the power and half the noise; BPSK has all power in one.
    power_share = 1.0 if bits_per_carrier == 1 else 0.5
    sigma = math.sqrt(float(np.mean(points**2)) / (2 * power_share * snr))
    noise = _NOISE * sigma
    away = points[:, None, None] - points[None, :, None]
    exponents = (noise**2 - (away + noise) ** 2) / (2 * sigma**2)
    surprise = logsumexp(exponents, axis=1).mean(axis=0)
    density = np.exp(-(_NOISE**2) / 2) / math.sqrt(2 * math.pi)
    step = float(_NOISE[1] - _NOISE[0])
    return float((surprise * density).sum()) * step / math.log(levels)


@cache
def _log_missing(bits_per_carrier: int) -> NDArray[np.float64]:
    """Return the logarithm of what is missing at each SNR of the grid, falling."""
    linear = 10 ** (_GRID_DB / 10)
    logs = np.empty(len(linear))
    # Far up, what is missing falls as the probability of a wrong decision between neighbours does.
    scale = 1.0 if bits_per_carrier == 1 else 1.5 / (2**bits_per_carrier - 1)
    tail = log_ndtr(-np.sqrt(2 * scale * linear))
    offset = None
    for index, snr in enumerate(linear):
        if offset is None:
            missing = missing_information(bits_per_carrier, float(snr))
            logs[index] = math.log(missing)
            if missing < _LEAST_MISSING:
                offset = logs[index] - tail[index]
        else:
            logs[index] = tail[index] + offset
    return logs


def effective_snr_db(snr_db: NDArray[np.float64], bits_per_carrier: int) -> NDArray[np.float64]:
    """Return the SNR of the flat channel with the same information, (...,) [dB].

    Args:
        snr_db: Of each carrier, (..., carrier), float64 [dB]; taken as within -40 and 80 dB.
        bits_per_carrier: 1, 2, 4 or 6.

    Returns:
        Between the SNR of the weakest and of the strongest carrier.
    """
    logs = _log_missing(bits_per_carrier)
    each = np.interp(np.clip(snr_db, LEAST_DB, LARGEST_DB), _GRID_DB, logs)
    mean = logsumexp(each, axis=-1) - math.log(snr_db.shape[-1])
    # interp wants ascending abscissae.
    result: NDArray[np.float64] = np.interp(-mean, -logs, _GRID_DB)
    return result
