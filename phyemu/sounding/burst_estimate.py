"""Least-squares responses of sounder bursts: all repetitions of a batch of bursts in one FFT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phyemu.errors import SignalError
from phyemu.waveform.sounder import SounderFormat, sounder_bins, sounder_spectrum

__all__ = ["BurstEstimates", "estimate_bursts", "window_backoff"]

_NEGLIGIBLE_BINS = 2e-3


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class BurstEstimates:
    """What M bursts of R - 1 measuring repetitions say about the link.

    Attributes:
        transfer: LS response on the sounded bins, (M, K), complex64; delay 0 is the given first
            sample of the burst, the phase is that of the carrier there.
        noise_variance: Total complex variance of the error of a value of `transfer`, (M,).
        cfo_hz: Refined over the repetitions, (M,) [Hz].
        cfo_std_hz: Its standard error from the noise alone, (M,) [Hz].
        phase_rad: Phase of each repetition after the CFO, (M, R - 1), float64 [rad].
        phase_variance: Variance of `phase_rad` from the noise alone, (M,) [rad^2].
    """

    transfer: NDArray[np.complex64]
    noise_variance: NDArray[np.float64]
    cfo_hz: NDArray[np.float64]
    cfo_std_hz: NDArray[np.float64]
    phase_rad: NDArray[np.float64]
    phase_variance: NDArray[np.float64]


def window_backoff(sounder_format: SounderFormat) -> int:
    """Return how many samples before a burst's strongest path may have arrived: N / 4."""
    return sounder_format.length // 4


def estimate_bursts(
    iq: NDArray[np.complex64],
    sounder_format: SounderFormat,
    *,
    cfo_hz: NDArray[np.float64],
    sfo_ppm: float = 0.0,
) -> BurstEstimates:
    """Return the LS responses of bursts whose first sample and rough CFO are known.

    H_r[k] = Y_r[k] / X[k] for each repetition r behind the guard; X is flat, so LS is also the
    maximum likelihood estimate in white noise. The phase slope over the repetitions refines the
    CFO, their mean is the response, their scatter around it the noise. A common phase per
    repetition (phase noise) is taken out first: it belongs to the oscillators, not to the noise.

    Args:
        iq: Bursts from their first sample, (M, burst_samples), complex64.
        sounder_format: What was sent.
        cfo_hz: Rough carrier offset, (M,), within a quarter of a bin of the truth [Hz]. What it
            leaves makes the bins leak into one another, so the estimate is made again with the
            refined offset where that differs by more than 0.2 % of a bin (-55 dB of leakage).
        sfo_ppm: Sampling offset that drifts the delay within the burst [ppm].

    Raises:
        SignalError: `iq` has another shape than the format's bursts.
    """
    if iq.ndim != 2 or iq.shape[1] != sounder_format.burst_samples:
        raise SignalError(
            f"bursts must be (bursts, {sounder_format.burst_samples}), got {iq.shape}"
        )
    estimates = _estimate(iq, sounder_format, cfo_hz=cfo_hz, sfo_ppm=sfo_ppm)
    change = np.abs(estimates.cfo_hz - cfo_hz).max(initial=0.0) / sounder_format.bin_spacing_hz
    if change > _NEGLIGIBLE_BINS:
        return _estimate(iq, sounder_format, cfo_hz=estimates.cfo_hz, sfo_ppm=sfo_ppm)
    return estimates


def _estimate(
    iq: NDArray[np.complex64],
    sounder_format: SounderFormat,
    *,
    cfo_hz: NDArray[np.float64],
    sfo_ppm: float,
) -> BurstEstimates:
    """Return the estimates with the carrier undone as given."""
    length, repetitions = sounder_format.length, sounder_format.repetitions
    backoff = window_backoff(sounder_format)
    bins = sounder_bins(sounder_format).numpy()
    sent = sounder_spectrum(sounder_format).numpy()
    rate = sounder_format.sample_rate_hz
    first = length - backoff
    count = repetitions - 1
    useful = _derotated(iq, cfo_hz / rate)[:, first : first + count * length]
    # The window begins `backoff` samples early: undone on each bin together with X.
    factor = np.exp(2j * np.pi * bins * backoff / length) / sent
    spectra = fft.fft(useful.reshape(-1, count, length), axis=-1)
    spectra = np.take(spectra, bins % length, axis=-1) * factor.astype(np.complex64)
    # The middle of each window, in periods after the first sample of the burst.
    middle = (first + length * (np.arange(count) + 0.5)) / length
    if sfo_ppm:
        # A fast transmitter arrives earlier and earlier: delay -sfo x time, undone here.
        drift = -sfo_ppm * 1e-6 * middle * length
        turns = drift[:, None] * bins / length
        spectra = spectra * np.exp(2j * np.pi * turns).astype(np.complex64)
    # From here on every repetition only turns as a whole: a factor each, not a new spectrum.
    steps = np.array([np.vdot(each[:-1], each[1:]) for each in spectra])
    per_period = np.angle(steps) / (2.0 * np.pi)
    turn = np.exp(-2j * np.pi * per_period[:, None] * middle).astype(np.complex64)
    centred = middle - middle.mean()
    for _ in range(2):
        phase = _phases(spectra, turn)
        slope = (phase @ centred) / np.square(centred).sum() / (2.0 * np.pi)
        turn = turn * np.exp(-2j * np.pi * slope[:, None] * middle).astype(np.complex64)
        per_period = per_period + slope
    phase = _phases(spectra, turn)
    turn = turn * np.exp(-1j * phase).astype(np.complex64)
    transfer = np.matmul(turn[:, None], spectra)[:, 0] / count
    residue = (spectra * turn[..., None] - transfer[:, None]).view(np.float32)
    scatter = np.einsum("mrk,mrk->mr", residue, residue).sum(axis=1, dtype=np.float64)
    # (count - 1) K complex degrees of freedom, less half a one for each phase taken out.
    freedom = (count - 1) * len(bins) - count / 2.0
    each = np.maximum(scatter / freedom, 1e-30)
    power = np.maximum(np.square(np.abs(transfer), dtype=np.float64).sum(axis=1), 1e-30)
    phase_variance = each / (2.0 * power)
    slope_variance = phase_variance / np.square(centred).sum()
    return BurstEstimates(
        transfer=transfer.astype(np.complex64),
        noise_variance=each / count,
        cfo_hz=cfo_hz + per_period * rate / length,
        cfo_std_hz=np.sqrt(slope_variance) / (2.0 * np.pi) * rate / length,
        phase_rad=phase,
        phase_variance=phase_variance,
    )


def _derotated(
    iq: NDArray[np.complex64], turns_per_sample: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """Return iq (M, n) times e^(-j 2 pi turns n).

    e^(-j a (256 p + q)) = e^(-j 256 a p) e^(-j a q): two short tables, one product per sample.
    """
    size = iq.shape[1]
    coarse = 256 * np.arange(-(-size // 256))
    fine = np.arange(256)
    high = np.exp(-2j * np.pi * ((turns_per_sample[:, None] * coarse) % 1.0))
    low = np.exp(-2j * np.pi * (turns_per_sample[:, None] * fine))
    table = (high[:, :, None] * low[:, None, :]).astype(np.complex64)
    derotated: NDArray[np.complex64] = iq * table.reshape(len(iq), -1)[:, :size]
    return derotated


def _phases(spectra: NDArray[np.complex64], turn: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Return the phase of each turned repetition against their mean, (M, R) [rad]."""
    mean = np.matmul(turn[:, None], spectra)[:, 0]
    projected = np.matmul(spectra, mean.conj()[:, :, None])[..., 0] * turn
    phases: NDArray[np.float64] = np.angle(projected).astype(np.float64)
    return phases
