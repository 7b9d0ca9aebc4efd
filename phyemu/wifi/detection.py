"""Detection of 802.11 legacy preambles in a sample stream, with what they reveal of the link.

Three gates, each with a false alarm bound on white noise:

1. L-STF: it repeats every 16 samples, so the autocorrelation at lag 16 over W = 128 samples,
   |P|^2 / (E0 E1), nears (S / (S + N))^2; of white noise it exceeds t with probability
   (1 - t)^(W - 1), 1e-16 at t = 1/4. A moving average over 16 samples is taken off first: it
   removes a DC offset (which is periodic too), leaves the L-STF as it is, and adds nothing to the
   noise at lag 16.
2. L-LTF: normalised cross-correlation with the known symbol at two places 64 samples apart, both
   above t (noise: (1 - t)^63 each). The single HT-LTF symbol behind an HT-STF fails at one.
3. L-LTF: the coherence of those two symbols with one another, which no filter or multipath lowers.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.waveform.windows import OverlappingWindows
from phyemu.wifi.preamble import (
    L_LTF_CARRIERS,
    WIFI_SAMPLE_RATE_HZ,
    l_ltf,
    l_ltf_values,
)

__all__ = ["WifiDetector", "WifiFrame", "detect_wifi_frames"]

Number = TypeVar("Number", np.float64, np.complex128)

_LAG = 16
_STF_WINDOW = 128
_STF_THRESHOLD = 0.25
_LTF_THRESHOLD = 0.2
_COHERENCE_THRESHOLD = 0.5
_PIECE = 64  # a run of the first gate is tried again every so many samples
_SLACK = 80  # how far the L-LTF may lie from where the L-STF says, either way
_BACKOFF = 16  # FFT windows start this far inside the guard: +-0.8 us of delay without overlap
_HOP = 1 << 16
_LTF_OFFSET = 192  # from the first sample of the L-STF to that of the first L-LTF symbol
_OVERLAP = _LTF_OFFSET + 128 + 3 * _SLACK
# Carrier values of the L-LTF at unit mean power, in an unnormalised FFT of 64 samples.
_CARRIER_AMPLITUDE: Final = 64.0 / math.sqrt(52.0)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WifiFrame:
    """A legacy preamble that was found.

    Attributes:
        sample_start: First sample of the L-STF in the stream (0 if it began before the stream).
        ltf_start: First sample of the first L-LTF symbol (behind its guard) of the strongest path.
        cfo_hz: Carrier frequency offset, within +-625 kHz [Hz].
        transfer: LS estimate on `L_LTF_CARRIERS`, (52,), complex64: received [full scale] over
            sent at unit mean power; its delays count from `ltf_start`, its phase is that of the
            carrier at `ltf_start`.
        noise_variance: Total complex variance of the error of a value of `transfer`, mean over
            the carriers.
        carrier_noise: The same for each carrier, (52,), float64: one draw of the noise each, so
            only a mean over many frames tells the noise of a carrier.
        snr_db: Mean power of a carrier over that of the noise on it, from the difference of the
            two L-LTF symbols [dB].
        confidence: The smaller of the coherences of L-STF and L-LTF, about S / (S + N), 0..1.
    """

    sample_start: int
    ltf_start: int
    cfo_hz: float
    transfer: NDArray[np.complex64]
    noise_variance: float
    carrier_noise: NDArray[np.float64]
    snr_db: float
    confidence: float


class WifiDetector:
    """Finds every legacy preamble of a stream at 20 Msps; give it the samples in any blocks."""

    def __init__(self) -> None:
        """Start with an empty stream."""
        self._windows = OverlappingWindows(hop=_HOP, overlap=_OVERLAP)

    @property
    def num_samples(self) -> int:
        """Number of samples received so far."""
        return self._windows.num_samples

    def process(self, iq: NDArray[np.complex64]) -> list[WifiFrame]:
        """Return the frames that the next samples complete, in order.

        Args:
            iq: The next samples, (num_samples,), complex64, at 20 Msps.

        Raises:
            SignalError: Wrong shape or type, NaN or infinite samples.
        """
        return [
            frame
            for start, window in self._windows.push(iq)
            for frame in _frames_of_window(start, window, last=False)
        ]

    def finish(self) -> list[WifiFrame]:
        """Return the frames in what is left at the end of the stream."""
        return [
            frame
            for start, window in self._windows.finish()
            for frame in _frames_of_window(start, window, last=True)
        ]


def detect_wifi_frames(
    blocks: Iterable[NDArray[np.complex64]], *, sample_rate_hz: float
) -> list[WifiFrame]:
    """Return every 802.11 legacy preamble in a stream, in order.

    Args:
        blocks: Consecutive samples, each (num_samples,), complex64.
        sample_rate_hz: Must be 20 MHz, the rate at which the preamble is defined [Hz].

    Raises:
        SignalError: Another sample rate, wrong shape or type, NaN or infinite samples.
    """
    if not math.isclose(sample_rate_hz, WIFI_SAMPLE_RATE_HZ, rel_tol=1e-3):
        raise SignalError(
            f"Wi-Fi preambles are looked for at 20 Msps, the recording has "
            f"{sample_rate_hz / 1e6:g} Msps; record at 20 Msps"
        )
    detector = WifiDetector()
    frames = [frame for block in blocks for frame in detector.process(block)]
    return frames + detector.finish()


def _sliding_sum(values: NDArray[Number], length: int) -> NDArray[Number]:
    """Return s[n] = values[n] + ... + values[n + length - 1]."""
    total = np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])
    difference: NDArray[Number] = total[length:] - total[:-length]
    return difference


def _anchors(iq: NDArray[np.complex128]) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """Return where the first gate opens, and the autocorrelation there (normalised)."""
    mean = np.zeros_like(iq)
    mean[_LAG // 2 : len(iq) - _LAG // 2 + 1] = _sliding_sum(iq, _LAG) / _LAG
    centred = iq - mean
    power = np.square(centred.real) + np.square(centred.imag)
    products = _sliding_sum(centred[:-_LAG] * centred[_LAG:].conj(), _STF_WINDOW)
    energy = _sliding_sum(power, _STF_WINDOW)
    scale = energy[:-_LAG] * energy[_LAG:]
    # Rounding leaves energies of about 1e-16 in true silence; nothing there is a signal.
    scale = np.where(scale > (1e-12 * _STF_WINDOW) ** 2, scale, np.inf)
    metric = (np.square(products.real) + np.square(products.imag)) / scale
    (above,) = np.nonzero(metric > _STF_THRESHOLD)
    if len(above) == 0:
        return above, products[:0]
    # One anchor, the largest, in each piece of 64 samples of a run.
    piece = above // _PIECE
    order = np.lexsort((-metric[above], piece))
    first = np.concatenate([[True], np.diff(piece[order]) != 0])
    chosen = above[order][first]
    return chosen, products[chosen] / np.sqrt(scale[chosen])


def _frames_of_window(start: int, window: NDArray[np.complex64], *, last: bool) -> list[WifiFrame]:
    """Return the frames whose L-LTF begins in this window's own part of the stream."""
    if len(window) < _OVERLAP - _SLACK:
        # A short stream may still hold one preamble: pad it with silence.
        window = np.concatenate([window, np.zeros(_OVERLAP - len(window), np.complex64)])
    iq = window.astype(np.complex128)
    anchors, products = _anchors(iq)
    if len(anchors) == 0:
        return []
    positions, metrics = _ltf_positions(iq, anchors, products)
    own_start = 0 if start == 0 else _LTF_OFFSET + _SLACK
    own_stop = len(iq) if last else _HOP + _LTF_OFFSET + _SLACK
    frames: list[WifiFrame] = []
    best: dict[int, int] = {}
    for index in np.argsort(positions, kind="stable").tolist():
        if metrics[index] < _LTF_THRESHOLD or not own_start <= positions[index] < own_stop:
            continue
        near = next((p for p in best if abs(p - positions[index]) < 2 * _SLACK), None)
        if near is None:
            best[int(positions[index])] = index
        elif metrics[index] > metrics[best[near]]:
            del best[near]
            best[int(positions[index])] = index
    for position, index in sorted(best.items()):
        frame = _measure(iq, position, stream_start=start, coarse=complex(products[index]))
        if frame is not None:
            frames.append(frame)
    return frames


def _ltf_positions(
    iq: NDArray[np.complex128], anchors: NDArray[np.int64], products: NDArray[np.complex128]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the best first-symbol position for each anchor, and the second gate's metric."""
    num_lags = 2 * _SLACK
    first = anchors + _LTF_OFFSET - _SLACK
    columns = np.arange(num_lags + 128)
    index = first[:, None] + columns
    inside = (index >= 0) & (index < len(iq))
    pieces = np.where(inside, iq[np.clip(index, 0, len(iq) - 1)], 0)
    # conj(y[n]) y[n + 16] turns by 2 pi f 16 / fs, so P turns the other way.
    step = -np.angle(products) / _LAG
    pieces = pieces * np.exp(-1j * step[:, None] * columns)
    template = l_ltf()[32:96].numpy()
    size = 512
    spectrum = np.fft.fft(pieces, size) * np.fft.fft(template, size).conj()
    correlation = np.square(np.abs(np.fft.ifft(spectrum)[:, : num_lags + 64])) / 64.0
    total = np.cumsum(np.pad(np.square(np.abs(pieces)), ((0, 0), (1, 0))), axis=1)
    energy = total[:, 64 : num_lags + 128] - total[:, : num_lags + 64]
    # In true silence both are rounding errors of what lies around it.
    each = np.where(energy > 1e-9 * total[:, -1:], correlation / (energy + 1e-30), 0.0)
    metric = np.minimum(each[:, :num_lags], each[:, 64:])
    best = metric.argmax(axis=1)
    return first + best, metric[np.arange(len(best)), best]


def _coherence(first: NDArray[np.complex128], second: NDArray[np.complex128]) -> complex:
    """Return the correlation coefficient of two stretches of samples."""
    energy = math.sqrt(float(np.vdot(first, first).real * np.vdot(second, second).real))
    return complex(np.vdot(first, second)) / energy if energy > 0 else 0j


def _measure(
    iq: NDArray[np.complex128], position: int, *, stream_start: int, coarse: complex
) -> WifiFrame | None:
    """Return the frame whose first L-LTF symbol begins at `position`; None if the gate closes."""
    begin = position - _BACKOFF
    if begin < 0 or begin + 128 > len(iq):
        return None
    stf = iq[max(0, position - _LTF_OFFSET) : position - 32]
    pair = iq[begin : begin + 128]
    # The first symbol against the second: turns by 2 pi f 64 / fs, known modulo one turn.
    fine = _coherence(pair[:64], pair[64:])
    # A recorder that starts late may have cut the L-STF: then the first gate's stretch is better.
    whole = _coherence(stf[:-_LAG], stf[_LAG:]) if len(stf) > 2 * _LAG else 0j
    short = max(whole, coarse.conjugate(), key=abs)
    if abs(fine) < _COHERENCE_THRESHOLD:
        return None
    coarse_turns = np.angle(short) / (2.0 * math.pi) * (64 / _LAG)
    fine_turns = np.angle(fine) / (2.0 * math.pi)
    turns = fine_turns + round(coarse_turns - fine_turns)
    cfo_hz = turns * WIFI_SAMPLE_RATE_HZ / 64
    derotated = pair * np.exp(-2j * math.pi * turns / 64 * (np.arange(128) - _BACKOFF))
    carriers = np.array(L_LTF_CARRIERS)
    spectra = np.fft.fft(derotated.reshape(2, 64))[:, carriers % 64]
    sent = l_ltf_values().numpy() * _CARRIER_AMPLITUDE
    # The FFT windows begin 16 samples early: y delayed by 16, undone on each carrier.
    values = spectra / sent * np.exp(2j * math.pi * carriers * _BACKOFF / 64)
    transfer = values.mean(axis=0)
    # The fine CFO has fitted one real number out of 2 x 52: a correction of 1 %, left out.
    # |v0 - v1|^2 has mean 2 s^2, the mean of the two has variance s^2 / 2.
    carrier_noise = np.maximum(np.square(np.abs(values[0] - values[1])) / 4.0, 1e-30)
    noise_variance = float(carrier_noise.mean())
    power = max(float(np.mean(np.square(np.abs(transfer)))) - noise_variance, 1e-30)
    return WifiFrame(
        sample_start=max(0, stream_start + position - _LTF_OFFSET),
        ltf_start=stream_start + position,
        cfo_hz=float(cfo_hz),
        transfer=transfer.astype(np.complex64),
        noise_variance=noise_variance,
        carrier_noise=carrier_noise,
        snr_db=10.0 * math.log10(power / (2.0 * noise_variance)),
        confidence=min(abs(fine), abs(short)),
    )
