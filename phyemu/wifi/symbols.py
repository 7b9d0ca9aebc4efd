"""OFDM symbols out of samples: windows, spectra, and the pilots' account of clock and phase."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phyemu.wifi.modes import PILOT_CARRIERS, Mode
from phyemu.wifi.preamble import WIFI_SAMPLE_RATE_HZ

__all__ = ["Samples", "SymbolTrack", "equalised", "soft_bits", "track_symbols", "window_advance"]

CARRIERS: Final = np.fft.fftfreq(64, 1 / 64).astype(np.int64)
"""Carrier index of each of the 64 bins of a spectrum."""

_ROOTS = np.exp(2j * math.pi / 64 * np.arange(64))
_GUARD = 16
_MAX_ADVANCE = 24
_CLOCK_BLOCK = 8  # symbols over which the clock is taken to stand still
_MIN_SYMBOLS_FOR_CLOCK = 16  # 60 ppm are below 0.1 samples in so many
_MAX_CLOCK_PPM = 60.0  # two radios of +-25 ppm, and some more
_CLOCK_STEP_RAD = 0.5  # by which the widest phase difference turns from one drift to the next
_PILOTS = np.array(PILOT_CARRIERS)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Samples:
    """Samples of a frame on the time axis of its first L-LTF symbol.

    Attributes:
        iq: Without their carrier offset, (num_samples,), complex128.
        origin: Index in `iq` of the first sample of the first L-LTF symbol.
        advance: How far the windows begin before a symbol [samples], so that early and late paths
            fall into guard intervals.
    """

    iq: NDArray[np.complex128]
    origin: int
    advance: int

    @classmethod
    def without_offset(
        cls, iq: NDArray[np.complex64], *, origin: int, cfo_hz: float, advance: int
    ) -> "Samples":
        """Return samples with a carrier offset taken off, whose phase is zero at `origin`."""
        # exp(j w n) for n = 64 a + b is a product: few exponentials make many.
        step = 2.0 * math.pi * cfo_hz / WIFI_SAMPLE_RATE_HZ
        rows = np.exp(-1j * ((step * (64.0 * np.arange(len(iq) // 64 + 1) - origin)) % math.tau))
        turned = np.multiply.outer(rows, np.exp(-1j * step * np.arange(64))).reshape(-1)
        return cls(iq=iq * turned[: len(iq)], origin=origin, advance=advance)

    def num_symbols(self, first: int, period: int) -> int:
        """Return how many symbols that begin at `first` every `period` samples are all there."""
        rest = len(self.iq) - (self.origin + first + 64 - self.advance)
        return 0 if rest < 0 else rest // period + 1

    def spectra(
        self, first: int, count: int, period: int = 80, *, late: NDArray[np.int64] | None = None
    ) -> NDArray[np.complex128]:
        """Return the carriers of symbols, (count, 64), as an FFT orders them.

        Args:
            first: Where the first of them begins behind its guard, counted from `origin`.
            count: How many; all must be there.
            period: Samples from one to the next.
            late: By how many samples each window is moved, (count,); None: not at all.
        """
        shift = np.zeros(count, np.int64) if late is None else late
        start = self.origin + first + period * np.arange(count) + shift - self.advance
        inside = np.clip(start[:, None] + np.arange(64), 0, len(self.iq) - 1)
        # A window that begins b samples early delays the symbol by b; late ones the reverse.
        early = (self.advance - shift)[:, None]
        spectra: NDArray[np.complex128] = np.fft.fft(self.iq[inside], axis=1)
        spectra *= _ROOTS[(early * CARRIERS) % 64]
        return spectra


def window_advance(transfer: NDArray[np.complex128], *, guard: int = _GUARD) -> int:
    """Return how far FFT windows should begin before the symbol [samples].

    A path at delay d keeps out of its neighbours while -advance <= d <= guard - advance; the
    advance returned leaves the least power outside, weighted by how far outside it lies.

    Args:
        transfer: Response on all 64 bins, 0 where it is unknown, (64,).
        guard: Guard interval [samples].
    """
    power = np.square(np.abs(np.fft.ifft(transfer)))
    advances = np.arange(_MAX_ADVANCE + 1)
    delays = np.arange(64)
    delays = np.where(delays < 40, delays, delays - 64)
    early = np.maximum(-advances[:, None] - delays, 0)
    late = np.maximum(delays - (guard - advances[:, None]), 0)
    return int(((early + late) @ power).argmin())


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SymbolTrack:
    """Symbols of one field, turned to the phase of the channel estimate.

    Attributes:
        spectra: (num_symbols, 64), as an FFT orders them.
        gain: Amplitude over what the channel estimate expects; AGC or another power of the data.
        clock_ppm: Offset of the transmitter's sampling clock; positive when it is fast [ppm]; NaN
            for fewer than 16 symbols.
    """

    spectra: NDArray[np.complex128]
    gain: float
    clock_ppm: float


def track_symbols(
    samples: Samples,
    transfer: NDArray[np.complex128],
    pilots: NDArray[np.float64],
    *,
    first: int,
    period: int,
) -> SymbolTrack:
    """Return the symbols with their common phase and their clock's drift undone by the pilots.

    The transmitter's clock moves the symbols steadily against ours, so one drift per frame is
    fitted to the phase differences of the pilots; it turns carrier k by 2 pi k / 64 per sample. The
    phase that is common to all carriers is free from symbol to symbol.

    Args:
        samples: The frame.
        transfer: What the carriers are expected to carry where 1 is sent, on all bins, (64,).
        pilots: Signs of the pilots, (num_symbols, 4).
        first: Where the first symbol begins behind its guard.
        period: Samples from one symbol to the next.
    """
    count = len(pilots)
    middle = first + period * np.arange(count) - 32  # from the middle of the two L-LTF symbols
    spectra = samples.spectra(first, count, period)
    expected = transfer[_PILOTS] * pilots
    drift = _clock_drift(spectra[:, _PILOTS] * expected.conj(), middle)
    # A fast clock sends early: the symbol comes |drift| samples before its time.
    late = np.round(-drift * middle).astype(np.int64)
    if late.any():
        spectra = samples.spectra(first, count, period, late=late)
    if drift:
        spectra = spectra * np.exp(-2j * math.pi / 64 * drift * middle[:, None] * CARRIERS)
    products = (spectra[:, _PILOTS] * expected.conj()).sum(axis=1)
    spectra = spectra * np.exp(-1j * np.angle(products))[:, None]
    energy = float(np.square(np.abs(expected)).sum())
    gain = float(np.abs(products).sum()) / max(energy, 1e-30)
    clock_ppm = drift * 1e6 if count >= _MIN_SYMBOLS_FOR_CLOCK else math.nan
    return SymbolTrack(spectra=spectra, gain=gain, clock_ppm=clock_ppm)


def _clock_drift(products: NDArray[np.complex128], time: NDArray[np.int64]) -> float:
    """Return the clock offset that best explains the pilots' phase differences (1 is all).

    Args:
        products: Received over expected pilots, (num_symbols, 4).
        time: When each symbol came, (num_symbols,) [samples].
    """
    if len(products) < _MIN_SYMBOLS_FOR_CLOCK:
        return 0.0
    # Outer pair 42 carriers apart, inner pair 14.
    pairs = np.stack(
        [products[:, 3] * products[:, 0].conj(), products[:, 2] * products[:, 1].conj()]
    )
    edges = np.arange(0, len(products), _CLOCK_BLOCK)
    sums = np.add.reduceat(pairs, edges, axis=1)
    centres = np.add.reduceat(time, edges) / np.diff(np.append(edges, len(products)))
    per_unit = 2.0 * math.pi / 64 * np.array([42.0, 14.0])[:, None] * centres
    limit = _MAX_CLOCK_PPM * 1e-6
    steps = 3 + 2 * math.ceil(limit * float(np.abs(per_unit).max()) / _CLOCK_STEP_RAD)
    drifts, step = np.linspace(-limit, limit, steps, retstep=True)
    turned = np.exp(-1j * np.multiply.outer(drifts, per_unit))
    # The error of the channel estimate turns each pair by a constant, which counts for nothing.
    match = np.abs((sums * turned).sum(axis=2)).sum(axis=1)
    best = int(np.argmax(match))
    if not 0 < best < len(match) - 1:
        return float(drifts[best])
    before, at, behind = match[best - 1 : best + 2].tolist()
    bend = before - 2.0 * at + behind
    fine = 0.5 * (before - behind) / bend if bend < 0 else 0.0
    return float(drifts[best] + step * fine)


def equalised(
    spectra: NDArray[np.complex128], transfer: NDArray[np.complex128], carriers: tuple[int, ...]
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return what was sent on `carriers`, (num_symbols, C), and the weight of each carrier, (C,).

    The weight |H|^2 is the inverse variance of the noise on what was sent, up to one factor.
    """
    index = np.array(carriers)
    response = transfer[index]
    weight = np.square(np.abs(response))
    points = spectra[:, index] * response.conj() / np.maximum(weight, 1e-30)
    return points, weight


def soft_bits(
    points: NDArray[np.complex128], weight: NDArray[np.float64], mode: Mode
) -> NDArray[np.float32]:
    """Return log-likelihood ratios of the coded bits in the order they were coded.

    Max-log, up to one positive factor; the Gray mapping is that of Table 17-11 to 17-14.

    Args:
        points: What was sent on the mode's data carriers, unit mean power, (num_symbols, C).
        weight: Of each carrier, (C,).
        mode: Modulation and interleaving.

    Returns:
        (num_symbols * N_CBPS,), float32; positive where a one is likelier.
    """
    levels = {1: 1.0, 2: math.sqrt(2.0), 4: math.sqrt(10.0), 6: math.sqrt(42.0)}
    scaled = points * levels[mode.bits_per_carrier]
    axes = [scaled.real] if mode.bits_per_carrier == 1 else [scaled.real, scaled.imag]
    columns: list[NDArray[np.float64]] = []
    for axis in axes:
        columns.append(axis)
        if mode.bits_per_carrier == 4:
            columns.append(2.0 - np.abs(axis))
        elif mode.bits_per_carrier == 6:
            columns.append(4.0 - np.abs(axis))
            columns.append(2.0 - np.abs(4.0 - np.abs(axis)))
    # Distances in a denser constellation are smaller against the same noise: one factor per mode.
    soft = np.stack(columns, axis=2) * weight[:, None]
    sent = soft.reshape(len(points), mode.coded_bits)
    return sent[:, mode.deinterleaving].reshape(-1).astype(np.float32)
