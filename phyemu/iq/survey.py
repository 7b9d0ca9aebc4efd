"""What a recording's samples look like: power, clipping, DC, spectrum, in bounded memory."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from phyemu.errors import RecordingError
from phyemu.iq.recording import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.units import power_to_db

__all__ = ["SampleSurvey", "survey_samples"]

_BLOCK = 1 << 20
_FFT = 1024
_COLUMNS = 512
_OCCUPIED = 0.99


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SampleSurvey:
    """Statistics over all samples of one channel.

    Attributes:
        power_dbfs: Mean power [dBFS]; -inf without samples.
        peak_dbfs: Largest |sample|^2 [dBFS].
        num_clipped: Samples whose I or Q is at the end of the stored range.
        dc_offset: Mean sample, full scale 1.
        occupied_bandwidth_hz: Width of the band that holds 99 % of the power, half of the rest on
            either side (ITU-R SM.328) [Hz]; NaN without power.
        frequencies_hz: Of `density_db_per_hz` and the rows of `spectrogram_db`, (1024,), ascending.
        density_db_per_hz: Mean power spectral density [dBFS/Hz], (1024,).
        times_s: Centres of the columns of `spectrogram_db` [s], (columns,), at most 512.
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
        recording: Open recording with at least one sample.
        channel: Which channel.
        progress: Told the samples done.

    Raises:
        RecordingError: It holds no samples, or one that is NaN or infinite.
    """
    total = recording.num_samples
    if total == 0:
        raise RecordingError(f"{recording.path}: holds no samples")
    window = scipy.signal.get_window("hann", _FFT).astype(np.float32)
    # Columns of whole transforms, so that their powers can be averaged into at most _COLUMNS.
    num_transforms = max(1, total // _FFT)
    per_column = math.ceil(num_transforms / _COLUMNS)
    num_columns = math.ceil(num_transforms / per_column)
    columns = np.zeros((num_columns, _FFT))
    counts = np.zeros(num_columns)
    top = 1.0 if recording.is_float else 1.0 - 1.5 * recording.resolution
    power, peak, dc, clipped, done = 0.0, 0.0, 0j, 0, 0
    for iq in recording.blocks(_BLOCK, channel=channel):
        magnitude2 = np.square(iq.real) + np.square(iq.imag)
        power += float(magnitude2.sum(dtype=np.float64))
        peak = max(peak, float(magnitude2.max()))
        dc += complex(iq.sum(dtype=np.complex128))
        clipped += int(np.count_nonzero(np.maximum(np.abs(iq.real), np.abs(iq.imag)) >= top))
        padded = np.pad(iq, (0, _FFT - iq.size)) if iq.size < _FFT and total < _FFT else iq
        whole = padded[: padded.size // _FFT * _FFT].reshape(-1, _FFT)
        spectra = np.square(np.abs(scipy.fft.fft(whole * window, axis=-1)))
        place = np.minimum((done // _FFT + np.arange(len(whole))) // per_column, num_columns - 1)
        np.add.at(columns, place, spectra)
        np.add.at(counts, place, 1)
        done += iq.size
        progress("inspect", done, total)
    columns = np.fft.fftshift(columns, axes=1)
    density = columns.sum(axis=0) / (
        counts.sum() * np.square(window).sum() * recording.sample_rate_hz
    )
    bins = columns / (counts[:, None] * window.sum() ** 2)
    frequencies_hz = np.fft.fftshift(np.fft.fftfreq(_FFT, 1 / recording.sample_rate_hz))
    return SampleSurvey(
        power_dbfs=power_to_db(power / total),
        peak_dbfs=power_to_db(peak),
        num_clipped=clipped,
        dc_offset=dc / total,
        occupied_bandwidth_hz=_occupied(density, recording.sample_rate_hz),
        frequencies_hz=frequencies_hz,
        density_db_per_hz=10 * np.log10(np.maximum(density, 1e-30)),
        times_s=np.asarray(
            (np.arange(num_columns) + 0.5) * (per_column * _FFT / recording.sample_rate_hz),
            np.float64,
        ),
        spectrogram_db=10 * np.log10(np.maximum(bins.T, 1e-20)),
    )


def _occupied(density: NDArray[np.float64], sample_rate_hz: float) -> float:
    total = density.sum()
    if not total > 0:
        return math.nan
    # The share below each bin edge, interpolated between edges.
    share = np.concatenate([[0.0], np.cumsum(density) / total])
    edges = np.linspace(-0.5, 0.5, density.size + 1) * sample_rate_hz
    outside = (1 - _OCCUPIED) / 2
    return float(np.interp(1 - outside, share, edges) - np.interp(outside, share, edges))
