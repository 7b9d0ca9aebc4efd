"""What theory says of finding a frame: closed forms, and the header with nothing to synchronise."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ncx2

from phyemu.waveform import HEADER_SYMBOLS, FrameFormat, Header, decode_header, encode_header

__all__ = ["cfo_bound_hz", "clairvoyant", "detection", "header_read", "outage", "second_threshold"]

# Of the fractions of a sample by which a frame may miss the grid, up to half a sample.
_FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
_CANDIDATES = 16  # that the detector's false alarm rate is shared between


def second_threshold(false_alarm_rate: float, symbols: int) -> float:
    """Return the share of a window's energy that noise exceeds that rarely: 1 - p^(1 / (N - 1)).

    The share that one direction of N has of white Gaussian noise is Beta(1, N - 1).
    """
    return -math.expm1(math.log(false_alarm_rate / _CANDIDATES) / (symbols - 1))


def detection(
    snr_db: float,
    *,
    false_alarm_rate: float,
    frame_format: FrameFormat,
    power: float = 1.0,
    fractions: Sequence[float] = _FRACTIONS,
) -> float:
    """Return the probability that a preamble in white noise exceeds the threshold.

    The preamble's part X is noncentral chi-square of 2 degrees of freedom, what is left of the
    window Y of 2 (N - 1); found where X > Y t / (1 - t). A frame between the samples loses some of
    X to Y; the mean over all fractions of a sample is returned. The search over neighbouring
    samples and offsets, which can only help, and the first gate, which seldom fails where the
    second passes, are left out.

    Args:
        snr_db: Of a symbol where the channel has power one [dB].
        false_alarm_rate: The detector's setting.
        frame_format: The preamble.
        power: Of the channel.
        fractions: Of a sample by which frames miss the grid.
    """
    symbols = frame_format.preamble_symbols
    energy = symbols * power * 10 ** (snr_db / 10)
    threshold = second_threshold(false_alarm_rate, symbols)
    quantiles = (np.arange(200) + 0.5) / 200
    # Mean |y|^2 of pulses at all their instants, against 1 at their peaks.
    held = 1.0 - frame_format.rolloff / 4.0
    total = 0.0
    for fraction in fractions:
        share = _pulse(fraction / frame_format.samples_per_symbol, frame_format.rolloff) ** 2
        rest = max(energy * (held - share), 0.0)
        others = (
            ncx2.ppf(quantiles, 2 * (symbols - 1), 2 * rest)
            if rest
            else ncx2.ppf(quantiles, 2 * (symbols - 1), 1e-9)
        )
        limit = others * threshold / (1.0 - threshold)
        total += float(ncx2.sf(limit, 2, 2 * energy * share).mean())
    return total / len(fractions)


def clairvoyant(
    snr_db: float, *, false_alarm_rate: float, frame_format: FrameFormat, power: float = 1.0
) -> float:
    """Return the probability of the best detector that knows noise level, instant and carrier.

    Marcum's Q function; only the phase is unknown. `power` of all paths: it knows the channel, too.
    """
    energy = frame_format.preamble_symbols * power * 10 ** (snr_db / 10)
    return float(ncx2.sf(-2.0 * math.log(false_alarm_rate), 2, 2 * energy))


def cfo_bound_hz(snr_db: float, *, symbols: int, frame_format: FrameFormat) -> float:
    """Return the Cramer-Rao bound of a carrier seen over so many known symbols [Hz].

    6 / (SNR N (N^2 - 1)) in (rad/symbol)^2    (Rife and Boorstyn, IEEE Trans. Inf. Theory 20, 1974)
    """
    variance = 6.0 / (10 ** (snr_db / 10) * symbols * (symbols**2 - 1))
    return math.sqrt(variance) / (2.0 * math.pi) * frame_format.symbol_rate_hz


def header_read(snr_db: float, *, headers: int, seed: int) -> int:
    """Return how many of so many headers in white noise are read when all else is known."""
    rng = np.random.default_rng(seed)
    sigma = math.sqrt(0.5 * 10 ** (-snr_db / 10))
    read = 0
    for index in range(headers):
        header = Header(frame_index=index % 4096, payload_symbols=64)
        noise = torch.from_numpy(rng.standard_normal(HEADER_SYMBOLS, dtype=np.float32))
        read += decode_header(encode_header(header) + sigma * noise) == header
    return read


def _pulse(symbols: float, rolloff: float) -> float:
    """Return the raised-cosine pulse at a distance from its peak, well within half a symbol."""
    below = 1.0 - (2.0 * rolloff * symbols) ** 2
    return float(np.sinc(symbols) * math.cos(math.pi * rolloff * symbols) / below)


def outage(
    snr_db: float,
    power: NDArray[np.float64],
    *,
    false_alarm_rate: float,
    frame_format: FrameFormat,
) -> float:
    """Return the mean of `clairvoyant` over draws of a channel's power."""
    energy = 2 * frame_format.preamble_symbols * power * 10 ** (snr_db / 10)
    return float(ncx2.sf(-2.0 * math.log(false_alarm_rate), 2, energy).mean())
