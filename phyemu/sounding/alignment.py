"""Common timing of the frames of one link: by the transmitter's clock, or by their content.

Where the probe is sent at equal intervals, one clock times all frames: arrival n is a + b n, and
b gives the sampling frequency offset. Fading cannot disturb that. Frames that come at any time
(Wi-Fi) are laid over one another: coherently where the response keeps its shape, else by their
power delay profiles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phyemu.sounding.probe_frames import ProbeFrames

__all__ = ["AlignedFrames", "align_by_clock", "align_by_content", "relative_delays"]

_OVERSAMPLING = 8
_COHERENT = 0.8
_MAX_CLOCK_RESIDUAL = 1.0  # [samples]; more, and the frames do not follow one clock
_MIN_FRAMES_FOR_CLOCK = 3
_CLOCK_STEPS = 5  # three by profiles, two by responses
_MAX_SFO_PPM = 200.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AlignedFrames:
    """Frames on a common delay axis.

    Attributes:
        frames: The frames, delayed.
        sfo_ppm: Sampling frequency offset [ppm]; NaN where no clock was found.
        sfo_std_ppm: Its standard error [ppm].
    """

    frames: ProbeFrames
    sfo_ppm: float
    sfo_std_ppm: float


def relative_delays(
    frames: ProbeFrames, reference: NDArray[np.complex64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much each frame is late against `reference`, and how alike they are.

    The delay maximises |sum_f w(f) H_n(f) conj(H_ref(f)) e^(j 2 pi f tau)|, w the frames'
    `frequency_weights`: on an oversampled grid by FFT, then by Newton's steps.

    Args:
        frames: N frames on a uniform frequency grid (gaps allowed).
        reference: The response to compare with, (F,), or one for each frame, (N, F).

    Returns:
        Delays, (N,) [s], in +- half the period; squared coherence at the maximum, (N,), 0..1.
    """
    frequencies = frames.frequencies_hz
    weight = frames.frequency_weights.astype(np.float32)
    product = frames.transfer * reference.conj() * weight
    index = np.round(frequencies * frames.period_s).astype(np.int64)
    size = fft.next_fast_len(_OVERSAMPLING * int(np.ptp(index) + 1))
    grid = np.zeros((len(product), size), np.complex64)
    grid[:, index % size] = product
    spectrum = np.abs(fft.ifft(grid, axis=1))
    peak = spectrum.argmax(axis=1)
    delays = np.where(peak > size // 2, peak - size, peak) / size * frames.period_s
    omega = 2.0 * np.pi * frequencies
    for _ in range(4):
        turned = product * np.exp(1j * omega * delays[:, None])
        value, first = turned.sum(axis=1), (1j * omega * turned).sum(axis=1)
        second = -(np.square(omega) * turned).sum(axis=1)
        slope = 2.0 * (value.conj() * first).real
        curvature = 2.0 * (np.square(np.abs(first)) + (value.conj() * second).real)
        step = np.where(curvature < 0, -slope / np.where(curvature < 0, curvature, -1.0), 0.0)
        limit = frames.period_s / size
        delays = delays + np.clip(step, -limit, limit)
    turned = product * np.exp(1j * omega * delays[:, None])
    energy = (weight * np.square(np.abs(frames.transfer))).sum(axis=1)
    energy = energy * (weight * np.square(np.abs(reference))).sum(axis=-1)
    coherence = np.square(np.abs(turned.sum(axis=1))) / np.maximum(energy, 1e-30)
    # H of a later frame falls by e^(-j 2 pi f tau), which e^(+j ...) undoes: tau is its lateness.
    return delays, coherence


def _profile_delays(frames: ProbeFrames, profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each frame's power delay profile is late against `profile`, (N,) [s]."""
    own = _profiles(frames)
    size = own.shape[1]
    match = fft.irfft(fft.rfft(own, axis=1) * fft.rfft(profile).conj(), size, axis=1)
    peak = match.argmax(axis=1)
    # A parabola through the highest point and its neighbours.
    row = np.arange(len(match))
    before, at, behind = (match[row, (peak + step) % size] for step in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + behind, -1e-30)
    fine = np.clip(0.5 * (before - behind) / bend, -0.5, 0.5)
    whole = np.where(peak > size // 2, peak - size, peak)
    delays: NDArray[np.float64] = (whole + fine) * (frames.period_s / size)
    return delays


def _profiles(frames: ProbeFrames) -> NDArray[np.float64]:
    """Return oversampled power delay profiles, (N, size), each of unit sum."""
    index = np.round(frames.frequencies_hz * frames.period_s).astype(np.int64)
    size = fft.next_fast_len(_OVERSAMPLING * int(np.ptp(index) + 1))
    grid = np.zeros((frames.num_frames, size), np.complex64)
    window = np.hanning(len(index) + 2)[1:-1]
    grid[:, index % size] = frames.transfer * window
    power = np.square(np.abs(fft.ifft(grid, axis=1)), dtype=np.float64)
    profiles: NDArray[np.float64] = power / np.maximum(power.sum(axis=1, keepdims=True), 1e-30)
    return profiles


def _mean_response(frames: ProbeFrames, like: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the mean response after turning each frame's common phase to that of `like`."""
    phase = np.angle((frames.transfer * like.conj()).sum(axis=1))
    weight = np.exp(-1j * phase) / np.maximum(frames.noise_variance.mean(axis=1), 1e-30)
    mean: NDArray[np.complex64] = (
        (frames.transfer * weight[:, None]).sum(axis=0) / np.abs(weight).sum()
    ).astype(np.complex64)
    return mean


def align_by_content(frames: ProbeFrames, *, sample_rate_hz: float) -> AlignedFrames:
    """Return the frames laid over the strongest one of them; no clock is assumed.

    Args:
        frames: Frames of one link.
        sample_rate_hz: Of the recording [Hz].
    """
    reference = frames.transfer[int(frames.received_power.argmax())]
    aligned = frames
    for _ in range(3):
        delays, coherence = relative_delays(aligned, reference)
        changed = coherence < _COHERENT
        if changed.any():
            profile = _profiles(aligned)[~changed].mean(axis=0) if (~changed).any() else None
            if profile is None:
                profile = _profiles(aligned)[int(aligned.received_power.argmax())]
            by_profile = _profile_delays(aligned, profile)
            delays = np.where(changed, by_profile, delays)
        aligned = aligned.delayed(delays * sample_rate_hz, sample_rate_hz)
        alike = aligned.select(np.flatnonzero(~changed)) if (~changed).any() else aligned
        reference = _mean_response(alike, reference)
    return AlignedFrames(frames=aligned, sfo_ppm=float("nan"), sfo_std_ppm=float("nan"))


def align_by_clock(frames: ProbeFrames, *, sample_rate_hz: float) -> AlignedFrames | None:
    """Return the frames timed by one clock; None where they do not follow one.

    Arrival n of the strongest path jumps when the paths fade, so a line through all arrivals is
    drawn by the median of slopes first; then the power delay profiles and at last the responses
    themselves, laid over their mean, give what is missing to it.

    Args:
        frames: Frames with `interval_samples`.
        sample_rate_hz: Of the recording [Hz].
    """
    interval = frames.interval_samples
    if interval is None or frames.num_frames < _MIN_FRAMES_FOR_CLOCK:
        return None
    arrival = frames.reference_start - frames.reference_start[0]
    # Counted from one to the next: over the whole record a drift may exceed an interval.
    number = np.cumsum(np.round(np.diff(arrival, prepend=0.0) / interval))
    if len(np.unique(number)) < len(number):
        return None
    late = arrival - number * interval
    slope, offset = _robust_line(number, late)
    # A fast transmitter (sfo > 0) sends its next burst early: slope = -sfo x interval.
    if abs(slope) > _MAX_SFO_PPM * 1e-6 * interval:
        return None
    aligned = frames.delayed(slope * number + offset - late, sample_rate_hz)
    error = np.inf
    for step in range(_CLOCK_STEPS):
        if step < _CLOCK_STEPS - 2:
            profile = _profiles(aligned).mean(axis=0)
            delays = _profile_delays(aligned, profile) * sample_rate_hz
        else:
            strongest = aligned.transfer[int(aligned.received_power.argmax())]
            seconds, coherence = relative_delays(aligned, _mean_response(aligned, strongest))
            if np.median(coherence) < _COHERENT:
                break
            delays = seconds * sample_rate_hz
        extra_slope, extra_offset = _robust_line(number, delays)
        residual = delays - extra_slope * number - extra_offset
        error = 1.4826 * float(np.median(np.abs(residual)))
        if step == 0 and error > _MAX_CLOCK_RESIDUAL:
            return None
        slope += extra_slope
        aligned = aligned.delayed(extra_slope * number + extra_offset, sample_rate_hz)
    spread = np.square(number - number.mean()).sum()
    # The error of the medians is about that of least squares over the same points, times 1.25.
    slope_std = 1.25 * max(error, 1e-6) / np.sqrt(spread)
    return AlignedFrames(
        frames=aligned,
        sfo_ppm=float(-slope / interval * 1e6),
        sfo_std_ppm=float(slope_std / interval * 1e6),
    )


def _robust_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Return (slope, offset) by Siegel-like medians: of slopes over half the span, then offsets.

    Up to a quarter of the points may be anywhere.
    """
    half = len(x) // 2
    slope = float(np.median((y[len(x) - half :] - y[:half]) / (x[len(x) - half :] - x[:half])))
    return slope, float(np.median(y - slope * x))
