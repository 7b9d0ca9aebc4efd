"""Detection of the preamble of our frames in a stream, at any carrier offset up to a bound.

Two gates, both on the part of a window's energy that falls on known waveforms, which no gain
changes. The energy is that behind the filter matched to the pulse: what lies beside the band does
not count, and N symbols of noise have N degrees of freedom, whatever band a radio's filter left of
it; other signals that fill the band have no fewer. So the thresholds are laws of N alone:

1. Every sample: one FFT correlation with a single period of the preamble. The powers at K places
   one period apart, added up, over the energy of the window: Beta(K, N - K) in noise, N the symbols
   of the preamble. The carrier turns little within a period, so no search over offsets is needed.
2. Where the first gate opens: correlation with the whole preamble at every candidate offset,
   coherent: noise exceeds t with probability (1 - t)^(N - 1) at each.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import fft, ifft, next_fast_len
from scipy.special import betaincinv

from phyemu.errors import ConfigError
from phyemu.waveform.detection_kernel import first_opening, sliding_energies
from phyemu.waveform.frame_format import FrameFormat, preamble_points
from phyemu.waveform.pulse import shape_pulses

__all__ = ["Detection", "Detections", "PreambleDetector"]

_FIRST_RATE = 1e-5  # how often noise may open the first gate, per sample
_TRIALS = 16  # candidates of the second gate that are independent of one another, per opening


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """A preamble that was found.

    Attributes:
        sample_start: First sample of its first pulse on the strongest path, in the window searched.
        cfo_hz: Carrier offset, to about a tenth of the inverse length of the preamble [Hz].
        confidence: Part of the window's energy behind the matched filter that the preamble
            explains, S / (S + N), 0..1.
    """

    sample_start: int
    cfo_hz: float
    confidence: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Detections:
    """The preambles that were found in several windows; as `Detection`, in columns.

    Attributes:
        found: Where there is one, (windows,), bool; the rest holds there only.
        sample_start: (windows,), int64.
        cfo_hz: (windows,), float64.
    """

    found: NDArray[np.bool_]
    sample_start: NDArray[np.int64]
    cfo_hz: NDArray[np.float64]


class PreambleDetector:
    """Finds the first preamble of a window of samples."""

    def __init__(
        self, frame_format: FrameFormat, *, max_cfo_hz: float, false_alarm_rate: float
    ) -> None:
        """Prepare the correlations.

        Args:
            frame_format: What is sent.
            max_cfo_hz: Largest carrier offset, either way [Hz], at most 0.4 of the inverse
                duration of a preamble period, behind which a period no longer adds up.
            false_alarm_rate: Probability that noise passes at one sample, 0..1.

        Raises:
            ConfigError: A value is out of range.
        """
        period_s = frame_format.preamble_period / frame_format.symbol_rate_hz
        if not 0 <= max_cfo_hz * period_s <= 0.4:
            raise ConfigError(
                f"max_cfo_hz must be 0..{0.4 / period_s:g} for a preamble period of "
                f"{1e6 * period_s:g} us, got {max_cfo_hz:g}; shorten preamble_period"
            )
        if not 0 < false_alarm_rate < 1:
            raise ConfigError(f"false_alarm_rate must be in (0, 1), got {false_alarm_rate}")
        sps = frame_format.samples_per_symbol
        points = preamble_points(frame_format)
        taps = frame_format.pulse_taps()
        self._lag = frame_format.preamble_period * sps
        self._periods = frame_format.preamble_periods
        self._signs = points[:: frame_format.preamble_period].numpy()
        self._template = shape_pulses(points, taps, samples_per_symbol=sps).numpy()
        period = shape_pulses(points[: frame_format.preamble_period], taps, samples_per_symbol=sps)
        self._period_samples = len(period.flatten())
        self._energy = float(period.abs().square().sum())
        self._period = period.numpy()
        self._fft_size = 1 << max(12, math.ceil(math.log2(8 * self._period_samples)))
        # Of the energy behind the matched filter: the instants from the first symbol to the last.
        self._energy_count = (frame_format.preamble_symbols - 1) * sps + 1
        self._pulse = taps.numpy() / math.sqrt(sps)
        # A peak within a preamble of the opening may be of only some of the repetitions.
        self._echo = (self._periods - 1) * self._lag
        self._reach = len(self._template) + 2 * self._echo
        self._spectra: dict[int, tuple[NDArray[np.complex64], NDArray[np.complex64]]] = {}
        # A search for an offset is fine enough at a quarter of the inverse length.
        step = 1.0 / (4.0 * len(self._template))
        reach = max_cfo_hz / frame_format.sample_rate_hz
        bins = np.arange(-math.ceil(reach / step), math.ceil(reach / step) + 1)
        self._offsets = bins * step
        turns = np.outer(np.arange(self._periods) * self._lag, self._offsets)
        self._combine = (self._signs.conj()[:, None] * np.exp(-2j * np.pi * turns)).astype(
            np.complex64
        )
        self._fine = np.arange(-8, 9) * (step / 4.0)
        turns = np.outer(np.arange(len(self._template)), self._fine)
        self._fine_turns = np.exp(-2j * np.pi * turns).astype(np.complex64)
        self._sample_rate_hz = frame_format.sample_rate_hz
        symbols = frame_format.preamble_symbols
        self._first_threshold = float(
            betaincinv(self._periods, symbols - self._periods, 1.0 - _FIRST_RATE)
        )
        self._second_threshold = -math.expm1(math.log(false_alarm_rate / _TRIALS) / (symbols - 1.0))

    @property
    def overlap(self) -> int:
        """Samples behind the last start searched that a window must hold."""
        # The peak may lie this far behind the first opening, and is as long again.
        return self._reach + len(self._template) + 2

    def search(self, window: NDArray[np.complex64], num_starts: int) -> Detection | None:
        """Return the first preamble that begins in a window; None if there is none.

        Args:
            window: (num_starts + overlap,), complex64, finite; a constant (DC) is taken off.
            num_starts: Starts to search: a preamble that rises to its peak within one preamble
                behind them is found too.
        """
        window = window - window.mean()
        length = len(self._template)
        reach = num_starts + self._reach  # starts with full metrics
        correlation, filtered = self._filter(window, reach + len(self._template))
        energy = np.empty(reach)
        sliding_energies(filtered, self._energy_count, energy)
        # Where all is zero, rounding decides; energy below this part of the window's is silence.
        floor = 1e-9 * float(np.vdot(window, window).real)
        first = 0
        while True:
            opening = first_opening(
                correlation,
                energy,
                self._lag,
                self._periods,
                self._first_threshold * self._energy,
                floor,
                first,
                num_starts,
            )
            if opening >= num_starts:
                return None
            found = self._confirm(window, correlation, energy, opening)
            if found is not None:
                return found
            first = opening + length // 4

    def search_each(self, windows: NDArray[np.complex64], num_starts: int) -> Detections:
        """Return what `search` finds in each of several short windows.

        Args:
            windows: (windows, num_starts + overlap), complex64, finite.
            num_starts: Starts to search, as in `search`.
        """
        windows = windows - windows.mean(-1, keepdims=True)
        length = len(self._template)
        reach = num_starts + self._reach
        size = next_fast_len(windows.shape[1])
        spectra = fft(windows, size, axis=1)
        period, pulse = self._filters(size)
        correlation = ifft(spectra * period, axis=1)[:, : reach + len(self._template)]
        filtered = ifft(spectra * pulse, axis=1)[:, : reach + len(self._template)]
        power = np.square(correlation.real) + np.square(correlation.imag)
        total = power[:, :num_starts].copy()
        for index in range(1, self._periods):
            total += power[:, index * self._lag : index * self._lag + num_starts]
        energy = self._window_energy(filtered, reach)
        gate = (self._first_threshold * self._energy) * energy[:, :num_starts].astype(np.float32)
        floor = 1e-9 * np.square(np.abs(windows)).sum(1, keepdims=True)
        opened = (total > gate) & (energy[:, :num_starts] > floor)
        found = np.zeros(len(windows), bool)
        sample_start = np.zeros(len(windows), np.int64)
        cfo_hz = np.zeros(len(windows))
        pending = np.flatnonzero(opened.any(axis=1))
        while len(pending):
            opening = opened[pending].argmax(axis=1)
            start, offset, metric = self._confirm_each(
                windows[pending], correlation[pending], energy[pending], opening
            )
            passed = metric >= self._second_threshold
            found[pending] = passed
            sample_start[pending], cfo_hz[pending] = start, offset * self._sample_rate_hz
            # Where it was a false opening, the search goes on a quarter preamble later.
            pending, opening = pending[~passed], opening[~passed]
            for row, first in zip(pending.tolist(), (opening + length // 4).tolist(), strict=True):
                opened[row, :first] = False
            pending = pending[opened[pending].any(axis=1)]
        return Detections(found=found, sample_start=sample_start, cfo_hz=cfo_hz)

    def _filters(self, size: int) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """Return the spectra that correlate with a period and with the pulse, each (size,)."""
        if size not in self._spectra:
            period, pulse = (np.conj(fft(part, size)) for part in (self._period, self._pulse))
            self._spectra[size] = period.astype(np.complex64), pulse.astype(np.complex64)
        return self._spectra[size]

    def _window_energy(self, filtered: NDArray[np.complex64], reach: int) -> NDArray[np.float64]:
        """Return the energy of a preamble's symbols at each start, (..., reach)."""
        squares = np.square(filtered.real) + np.square(filtered.imag)
        running = np.cumsum(squares, axis=-1, dtype=np.float64)
        energy: NDArray[np.float64] = (
            running[..., self._energy_count - 1 : self._energy_count - 1 + reach]
        ).copy()
        energy[..., 1:] -= running[..., : reach - 1]
        return energy

    def _confirm_each(
        self,
        windows: NDArray[np.complex64],
        correlation: NDArray[np.complex64],
        energy: NDArray[np.float64],
        opening: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return best start, offset [cycles per sample] and metric behind each opening."""
        length = len(self._template)
        rows = np.arange(len(windows))[:, None]
        places = opening[:, None] + np.arange(self._reach)
        periods = places[:, :, None] + np.arange(self._periods) * self._lag
        despread = correlation[rows[:, :, None], periods]
        combined = torch.from_numpy(despread) @ torch.from_numpy(self._combine)
        powers = (combined.real.square() + combined.imag.square()).numpy()
        best = powers.max(axis=2) / np.maximum(energy[rows, places], 1e-30)
        peak = best[:, :length].argmax(axis=1)
        for _ in range(2):
            behind = np.arange(self._reach) - peak[:, None]
            peak = np.where((behind >= 0) & (behind <= self._echo), best, -1.0).argmax(axis=1)
        coarse = self._offsets[powers[rows[:, 0], peak].argmax(axis=1)]
        # The exact metric: whole preamble, finer offsets, the neighbouring samples.
        samples = np.arange(length)
        starts = opening[:, None] + peak[:, None] + np.arange(-1, 2)
        starts = starts.clip(0, energy.shape[1] - 1)
        turns = np.exp(-2j * np.pi * coarse[:, None] * samples) * self._template.conj()
        pieces = windows[rows[:, :, None], starts[:, :, None] + samples]
        pieces = pieces * turns.astype(np.complex64)[:, None, :]
        exact = (torch.from_numpy(pieces) @ torch.from_numpy(self._fine_turns)).abs().numpy()
        metric = np.square(exact)
        metric /= self._periods * self._energy * energy[rows, starts][:, :, None]
        flat = metric.reshape(len(windows), -1)
        index = flat.argmax(axis=1)
        row, column = np.divmod(index, len(self._fine))
        return starts[rows[:, 0], row], coarse + self._fine[column], flat[rows[:, 0], index]

    def _filter(
        self, window: NDArray[np.complex64], count: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """Return the correlations with one period and with one pulse at starts 0..count-1."""
        # A short window takes one FFT of its own length.
        size = min(next_fast_len(count + self._period_samples - 1), self._fft_size)
        hop = size - self._period_samples + 1
        blocks = -(-count // hop)
        padded = np.zeros((blocks - 1) * hop + size, np.complex64)
        used = min(len(window), len(padded))
        padded[:used] = window[:used]
        pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
        spectra = fft(pieces, axis=1)
        period, pulse = self._filters(size)
        filtered = ifft(spectra * pulse, axis=1, overwrite_x=True)[:, :hop]
        spectra *= period
        correlation = ifft(spectra, axis=1, overwrite_x=True)[:, :hop]
        return correlation.reshape(-1)[:count], filtered.reshape(-1)[:count]

    def _confirm(
        self,
        window: NDArray[np.complex64],
        correlation: NDArray[np.complex64],
        energy: NDArray[np.float64],
        opening: int,
    ) -> Detection | None:
        """Return the best start within one preamble behind an opening, if it passes.

        Where only some repetitions coincide, their peak is left for the higher one behind it:
        twice, as the first step may begin at noise before any of them.
        """
        length = len(self._template)
        stop = min(opening + self._reach, len(energy))
        rows = np.stack(
            [
                correlation[opening + k * self._lag : stop + k * self._lag]
                for k in range(self._periods)
            ],
            axis=1,
        )
        combined = np.abs(rows @ self._combine)
        best = np.square(combined.max(axis=1)) / np.maximum(energy[opening:stop], 1e-30)
        first = int(best[:length].argmax())
        for _ in range(2):
            first += int(best[first : first + self._echo + 1].argmax())
        peak = opening + first
        # An offset turns the carrier within a period, and lies between two candidates: together
        # they take less than half.
        least = 0.5 * self._second_threshold * self._periods * self._energy
        if best[peak - opening] < least:
            return None
        coarse = self._offsets[int(combined[peak - opening].argmax())]
        # The exact metric: whole preamble, finer offsets, the neighbouring samples.
        starts = np.arange(max(peak - 1, 0), min(peak + 2, len(energy)))
        offsets = coarse + self._fine
        turns = np.exp(-2j * np.pi * coarse * np.arange(length)) * self._template.conj()
        despread = np.stack([window[s : s + length] * turns for s in starts])
        exact = np.abs(despread @ self._fine_turns)
        metric = np.square(exact) / (self._periods * self._energy * energy[starts][:, None])
        row, column = np.unravel_index(int(metric.argmax()), metric.shape)
        if metric[row, column] < self._second_threshold:
            return None
        return Detection(
            sample_start=int(starts[row]),
            cfo_hz=float(offsets[column] * self._sample_rate_hz),
            confidence=min(float(metric[row, column]), 1.0),
        )
