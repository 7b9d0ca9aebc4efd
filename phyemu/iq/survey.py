"""What a recording's samples look like: power, clipping, DC, spectrum, in bounded memory."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from phyemu.iq.recording import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.units import power_to_db

__all__ = ["SampleSurvey", "survey_samples"]

_FFT = 1024
_BLOCK = 32 * _FFT
_COLUMNS = 512
# The periodic Hann window, as scipy.signal.get_window gives it at ten times the import time.
_WINDOW = np.hanning(_FFT + 1)[:-1].astype(np.float32)
_OCCUPIED = 0.99


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SampleSurvey:
    """Statistics over all samples of one channel.

    Attributes:
        power_dbfs: Mean power [dBFS]; -inf for silence.
        peak_dbfs: Largest |sample|^2 [dBFS].
        num_clipped: Samples whose I or Q is at the end of the stored range (of floating
            point: at or beyond full scale).
        dc_offset: Mean sample, full scale 1.
        occupied_bandwidth_hz: Width of the band that holds 99 % of the power, half of the rest on
            either side (ITU-R SM.328) [Hz]; NaN without power.
        frequencies_hz: Of `density_db_per_hz` and the rows of `spectrogram_db`, (1024,), ascending.
        density_db_per_hz: Mean power spectral density [dBFS/Hz], (1024,).
        times_s: Centres of the columns of `spectrogram_db` [s], (columns,), at most 512; gaps
            between capture segments are left out.
        spectrogram_db: Power per bin [dBFS], (1024, columns).
    """

    power_dbfs: float
    peak_dbfs: float
    num_clipped: int
    dc_offset: complex
    occupied_bandwidth_hz: float
    frequencies_hz: NDArray[np.float64]
    density_db_per_hz: NDArray[np.float64]
    times_s: NDArray[np.float64]
    spectrogram_db: NDArray[np.float64]


def survey_samples(
    recording: Recording, *, channel: int = 0, progress: ProgressCallback = no_progress
) -> SampleSurvey:
    """Return the statistics of one channel; every sample is read once.

    Args:
        recording: Open recording.
        channel: Which channel, from 0.
        progress: Called with the stage "inspect" and the samples done.

    Raises:
        RecordingError: There is no such channel, or a sample is NaN or infinite.
    """
    total = recording.num_samples
    # Sums are taken in double precision over blocks that stay in the cache.
    power, peak, dc, clipped = 0.0, 0.0, 0j, 0
    end = 1.0 if recording.is_float else 1.0 - 1.5 * recording.resolution
    spectra = _Spectra(total)
    for block in recording.blocks(_BLOCK, channel=channel):
        parts = block.view(np.float32)
        squares = np.square(parts)
        power += float(squares.sum(dtype=np.float64))
        dc += complex(block.sum(dtype=np.complex128))
        peak = max(peak, float((squares[0::2] + squares[1::2]).max()))
        if parts.max() >= end or parts.min() <= -end:
            outside = (parts >= end) | (parts <= -end)
            clipped += int(np.count_nonzero(outside[0::2] | outside[1::2]))
        spectra.add(block)
        progress("inspect", spectra.num_samples, total)
    rate_hz = recording.sample_rate_hz
    bins = spectra.mean_bins()
    # White noise of variance v has v / rate_hz per hertz, and v times this in every bin.
    noise_gain = float(np.square(_WINDOW).sum() / _WINDOW.sum() ** 2)
    density = (bins @ spectra.counts) / spectra.counts.sum() / (noise_gain * rate_hz)
    return SampleSurvey(
        power_dbfs=power_to_db(power / total),
        peak_dbfs=power_to_db(peak),
        num_clipped=clipped,
        dc_offset=dc / total,
        occupied_bandwidth_hz=_occupied(density, rate_hz),
        frequencies_hz=np.fft.fftshift(np.fft.fftfreq(_FFT, 1 / rate_hz)),
        density_db_per_hz=10 * np.log10(np.maximum(density, 1e-30)),
        times_s=np.arange(0.5, spectra.counts.size) * (spectra.column_samples / rate_hz),
        spectrogram_db=10 * np.log10(np.maximum(bins, 1e-20)),
    )


class _Spectra:
    """Power spectra of a stream, averaged into at most 512 columns.

    The samples after the last whole transform are left out, unless there are no others.
    """

    def __init__(self, total: int) -> None:
        num_transforms = max(1, total // _FFT)
        self._per_column = math.ceil(num_transforms / _COLUMNS)
        num_columns = math.ceil(num_transforms / self._per_column)
        self._power = np.zeros((num_columns, _FFT))
        self._total = total
        self.counts = np.zeros(num_columns)
        self.column_samples = self._per_column * _FFT
        self.num_samples = 0

    def add(self, block: NDArray[np.complex64]) -> None:
        """Take in the next samples; every block but the last holds whole transforms."""
        first = self.num_samples // _FFT
        self.num_samples += block.size
        if self._total < _FFT:
            block = np.pad(block, (0, _FFT - block.size))
        frames = block[: block.size // _FFT * _FFT].reshape(-1, _FFT)
        if not frames.size:
            return
        spectra = scipy.fft.fft(frames * _WINDOW, axis=-1, overwrite_x=True)
        power = np.square(spectra.real) + np.square(spectra.imag)
        columns = (first + np.arange(len(frames))) // self._per_column
        present, starts = np.unique(columns, return_index=True)
        self._power[present] += np.add.reduceat(power, starts, axis=0)
        self.counts[present] += np.diff([*starts, len(frames)])

    def mean_bins(self) -> NDArray[np.float64]:
        """Return the mean power of each bin, (1024, columns), ascending; a tone of 1 gives 1."""
        mean = self._power / (self.counts[:, None] * float(_WINDOW.sum()) ** 2)
        return np.fft.fftshift(mean, axes=1).T


def _occupied(density: NDArray[np.float64], sample_rate_hz: float) -> float:
    total = density.sum()
    if not total > 0:
        return math.nan
    # The share below each bin edge, interpolated between edges.
    share = np.concatenate([[0.0], np.cumsum(density) / total])
    edges = np.linspace(-0.5, 0.5, density.size + 1) * sample_rate_hz
    outside = (1 - _OCCUPIED) / 2
    return float(np.interp(1 - outside, share, edges) - np.interp(outside, share, edges))
