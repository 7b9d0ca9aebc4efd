"""Least-squares responses of sounder bursts, in batches that stay in the caches of a core.

Where the whole band is used, the repetitions are laid over one another before any FFT: the phases,
the scatter and the mean are the same in time as in frequency (Parseval), so that one FFT per burst
is left, that of the mean. `estimate_repetitions` gives every single repetition's response instead.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phyemu.errors import SignalError
from phyemu.sounding.burst_kernel import derotate, gram, mean_and_scatter
from phyemu.waveform.sounder import SounderFormat, sounder_bins, sounder_spectrum

__all__ = ["BurstEstimates", "estimate_bursts", "estimate_repetitions", "window_backoff"]

_NEGLIGIBLE_BINS = 2e-3
_BATCH_SAMPLES = 1 << 16  # of complex64 that a core keeps in its second cache


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class BurstEstimates:
    """What M bursts, R measuring repetitions each, say about the link.

    Attributes:
        transfer: LS response on the sounded bins, (M, K), complex64; delay 0 is the given first
            sample of the burst, the phase is that of the carrier there.
        noise_gain: Variance of the error of a value of `transfer` for noise of unit variance per
            sample, (K,), float64: flat for a Zadoff-Chu sequence only.
        sample_noise: Total complex variance of the noise per received sample, (M,).
        cfo_hz: Refined over the repetitions, (M,) [Hz].
        cfo_std_hz: Its standard error from the noise alone, (M,) [Hz].
        phase_rad: Phase of each repetition after the CFO, (M, R), float64 [rad].
        phase_variance: Variance of `phase_rad` from the noise alone, (M,) [rad^2].
    """

    transfer: NDArray[np.complex64]
    noise_gain: NDArray[np.float64]
    sample_noise: NDArray[np.float64]
    cfo_hz: NDArray[np.float64]
    cfo_std_hz: NDArray[np.float64]
    phase_rad: NDArray[np.float64]
    phase_variance: NDArray[np.float64]

    @property
    def noise_variance(self) -> NDArray[np.float64]:
        """Total complex variance of the error of each value of `transfer`, (M, K)."""
        return self.sample_noise[:, None] * self.noise_gain


def window_backoff(sounder_format: SounderFormat) -> int:
    """Return how many samples before a burst's strongest path one may arrive: N / 4.

    A sequence that is repeated without end is measured over whole periods wherever they begin.
    """
    return sounder_format.length // 4 if sounder_format.guard_repetitions else 0


def estimate_bursts(
    iq: NDArray[np.complex64],
    sounder_format: SounderFormat,
    *,
    cfo_hz: NDArray[np.float64],
    sfo_ppm: float = 0.0,
) -> BurstEstimates:
    """Return the LS responses of bursts whose first sample and rough CFO are known.

    H[k] = sum_r conj(X_r[k]) Y_r[k] / sum_r |X_r[k]|^2 over the repetitions r behind the guards,
    the maximum likelihood estimate in white noise; for a Golay pair the sum over both sequences,
    whose |X|^2 add up to a constant times that of the pulse. The phase slope over the repetitions
    refines the CFO, their scatter around the mean of those alike is the noise. A common phase per
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
    _check(iq, sounder_format)
    plan = _plan_of(sounder_format)
    batch = max(1, _BATCH_SAMPLES // sounder_format.burst_samples)
    pieces: list[BurstEstimates] = []
    for first in range(0, max(len(iq), 1), batch):
        own, rough = iq[first : first + batch], cfo_hz[first : first + batch]
        piece = _estimate(own, plan, cfo_hz=rough, sfo_ppm=sfo_ppm)
        change = np.abs(piece.cfo_hz - rough).max(initial=0.0) / sounder_format.bin_spacing_hz
        if change > _NEGLIGIBLE_BINS:
            piece = _estimate(own, plan, cfo_hz=piece.cfo_hz, sfo_ppm=sfo_ppm)
        pieces.append(piece)
    if len(pieces) == 1:
        return pieces[0]
    return BurstEstimates(
        noise_gain=plan.noise_gain,
        **{
            name: np.concatenate([getattr(piece, name) for piece in pieces])
            for name in BurstEstimates.__slots__
            if name != "noise_gain"
        },
    )


def estimate_repetitions(
    iq: NDArray[np.complex64], sounder_format: SounderFormat, *, cfo_hz: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """Return the LS response of each single repetition, (M, R, K), complex64.

    H_r[k] = Y_r[k] / X_r[k]: what `estimate_bursts` averages, for channels that change from one
    repetition to the next. The carrier is undone as given; nothing else is estimated.

    Args:
        iq: Bursts from their first sample, (M, burst_samples), complex64.
        sounder_format: What was sent; not a Golay pair, whose single spectra have zeros.
        cfo_hz: Carrier offset, (M,) [Hz].

    Raises:
        SignalError: `iq` has another shape than the format's bursts, or the format sends a pair.
    """
    _check(iq, sounder_format)
    if sounder_format.num_codes > 1:
        raise SignalError(
            "a single repetition of a Golay pair measures only a part of the frequencies; use "
            "estimate_bursts"
        )
    plan = _plan_of(sounder_format)
    count = len(plan.first)
    responses = np.empty((len(iq), count, len(plan.bins)), np.complex64)
    batch = max(1, _BATCH_SAMPLES // 2 // sounder_format.burst_samples)
    windows = np.empty((batch, count, plan.length), np.complex64)
    turns = cfo_hz / sounder_format.sample_rate_hz
    low = int(np.searchsorted(plan.bins, 0))  # bins below the carrier, at the end of an FFT
    above, below = plan.spectrum_runs
    for first in range(0, len(iq), batch):
        own = windows[: len(iq[first : first + batch])]
        _derotate(iq[first : first + batch], turns[first : first + batch], plan, own)
        spectra = fft.fft(own, axis=-1, overwrite_x=True)
        target = responses[first : first + batch]
        if above is None or below is None:
            np.multiply(spectra[..., plan.bins % plan.length], plan.weights[0], out=target)
            continue
        np.multiply(spectra[..., above], plan.weights[0][low:], out=target[..., low:])
        np.multiply(spectra[..., below], plan.weights[0][:low], out=target[..., :low])
    return responses


def _check(iq: NDArray[np.complex64], sounder_format: SounderFormat) -> None:
    if iq.ndim != 2 or iq.shape[1] != sounder_format.burst_samples:
        raise SignalError(
            f"bursts must be (bursts, {sounder_format.burst_samples}), got {iq.shape}"
        )


class _Plan:
    """What the format alone determines."""

    def __init__(self, sounder_format: SounderFormat) -> None:
        self.format = sounder_format
        self.length = length = sounder_format.length
        self.num_codes = codes = sounder_format.num_codes
        self.backoff = window_backoff(sounder_format)
        half = sounder_format.repetitions // codes
        guard = sounder_format.guard_repetitions
        number = np.array([g * half + r for g in range(codes) for r in range(guard, half)])
        self.first = number * length - self.backoff
        """First sample of each measuring window, (R,), those of one code after the other."""
        self.per_code = half - guard
        # The middle of each window, in periods after the first sample of the burst.
        self.middle = (self.first + length / 2.0) / length
        self.code = np.repeat(np.arange(codes), self.per_code)
        self.bins = sounder_bins(sounder_format).numpy()
        self.whole_band = sounder_format.chips is not None or len(self.bins) == length
        sent = np.stack([sounder_spectrum(sounder_format, g).numpy() for g in range(codes)])
        self.energy = energy = np.square(np.abs(sent)).sum(axis=0)
        # The window begins `backoff` samples early: undone on each bin together with X.
        early = np.exp(2j * np.pi * self.bins * self.backoff / length)
        self.weights = (sent.conj() / energy * early).astype(np.complex64)
        """H = sum of weights x mean spectrum over the codes, (G, K)."""
        self.noise_gain = length / (self.per_code * energy)
        # Centred per code: each code has a mean, and so a phase, of its own.
        means = np.array([self.middle[self.code == g].mean() for g in range(codes)])
        self.code_middle = means
        # A frequency tells the phase between two codes by 4 |X_0|^2 |X_1|^2 / (|X_0|^2 + |X_1|^2),
        # the whole of its energy only where both have the same.
        both = 4.0 * np.prod(np.square(np.abs(sent)), axis=0) / energy
        between = self.per_code * np.square(means - self.middle.mean()).sum()
        self.spread_between = float(between * both.sum() / energy.sum())
        self.centred = self.middle - means[self.code]
        low = int(np.searchsorted(self.bins, 0))
        below, above = self.bins[:low], self.bins[low:]
        self.spectrum_runs = (_run(above), _run(below + length))


def _run(index: NDArray[np.int64]) -> slice | None:
    """Return the slice that the indices are; None where they leave gaps."""
    if len(index) == 0 or int(index[-1] - index[0]) + 1 != len(index):
        return None
    return slice(int(index[0]), int(index[-1]) + 1)


@lru_cache(maxsize=8)
def _plan_of(sounder_format: SounderFormat) -> _Plan:
    return _Plan(sounder_format)


def _derotate(
    iq: NDArray[np.complex64],
    turns_per_sample: NDArray[np.float64],
    plan: _Plan,
    out: NDArray[np.complex64],
) -> None:
    samples = np.ascontiguousarray(iq, np.complex64)
    derotate(
        samples.view(np.float32),
        turns_per_sample.astype(np.float64),
        plan.first,
        plan.length,
        out.view(np.float32),
    )


def _rows(
    iq: NDArray[np.complex64], plan: _Plan, *, cfo_hz: NDArray[np.float64], sfo_ppm: float
) -> tuple[NDArray[np.complex64], bool]:
    """Return the windows with the carrier undone, (M, R, N), or their unitary spectra, (M, R, K).

    Spectra stand where only a part of the band is sounded, so that the noise of the other part
    does no harm, or where the delay drifts within the burst.
    """
    windows = np.empty((len(iq), len(plan.first), plan.length), np.complex64)
    _derotate(iq, cfo_hz / plan.format.sample_rate_hz, plan, windows)
    if plan.whole_band and not sfo_ppm:
        return windows, False
    spectra = fft.fft(windows, axis=-1, norm="ortho", overwrite_x=True)
    spectra = np.take(spectra, plan.bins % plan.length, axis=-1)
    if sfo_ppm:
        # A fast transmitter arrives earlier and earlier: delay -sfo x time, undone here.
        drift = -sfo_ppm * 1e-6 * plan.middle * plan.length
        turns = drift[:, None] * plan.bins / plan.length
        spectra *= np.exp(2j * np.pi * turns).astype(np.complex64)
    return spectra, True


def _estimate(
    iq: NDArray[np.complex64],
    plan: _Plan,
    *,
    cfo_hz: NDArray[np.float64],
    sfo_ppm: float,
) -> BurstEstimates:
    """Return the estimates with the carrier undone as given."""
    length, rate = plan.length, plan.format.sample_rate_hz
    rows, are_spectra = _rows(iq, plan, cfo_hz=cfo_hz, sfo_ppm=sfo_ppm)
    size, count = rows.shape[2], rows.shape[1]
    # From here on every repetition only turns as a whole, so its products with the others, and
    # their turned sums, say all about the phases. Only those of one code are alike.
    products = np.empty((len(rows), count, count), np.complex128)
    gram(rows.view(np.float32), products)
    products *= plan.code[:, None] == plan.code
    alike = plan.code[1:] == plan.code[:-1]
    steps = np.diagonal(products, offset=-1, axis1=1, axis2=2)[:, alike].sum(axis=1)
    per_period = np.angle(steps) / (2.0 * np.pi)
    turn = np.exp(-2j * np.pi * per_period[:, None] * plan.middle)
    spread = float(np.square(plan.centred).sum())
    for _ in range(2):
        slope = (_phases(products, turn) @ plan.centred) / spread / (2.0 * np.pi)
        turn = turn * np.exp(-2j * np.pi * slope[:, None] * plan.middle)
        per_period = per_period + slope
    phase = _phases(products, turn)
    means, scatter = _means(rows, turn * np.exp(-1j * phase), plan)
    spectra = means if are_spectra else fft.fft(means, axis=-1, norm="ortho")
    if not are_spectra:
        spectra = np.take(spectra, plan.bins % length, axis=-1)
    if plan.num_codes == 2:
        spread = plan.spread_between
        slope = _slope_between_codes(spectra, plan)
        per_period = per_period + slope
        spectra = spectra * np.exp(-2j * np.pi * slope[:, None] * plan.code_middle)[..., None]
    weights = (plan.weights * np.float32(np.sqrt(length))).astype(np.complex64)
    transfer = (spectra * weights).sum(axis=1) if plan.num_codes > 1 else spectra[:, 0] * weights[0]
    # (R - G) N complex degrees of freedom, less half a one for each phase taken out.
    freedom = (count - plan.num_codes) * size - count / 2.0
    energy = np.maximum(np.einsum("mgk,mgk->m", means, means.conj()).real, 1e-30) / plan.num_codes
    # Samples come in single precision: nothing is known better than its rounding.
    rounding = np.square(np.finfo(np.float32).eps) * energy / size
    noise = np.maximum(scatter / freedom, rounding)
    phase_variance = noise / (2.0 * energy)
    slope_variance = phase_variance / spread
    return BurstEstimates(
        transfer=transfer.astype(np.complex64),
        noise_gain=plan.noise_gain,
        sample_noise=noise,
        cfo_hz=cfo_hz + per_period * rate / length,
        cfo_std_hz=np.sqrt(slope_variance) / (2.0 * np.pi) * rate / length,
        phase_rad=phase,
        phase_variance=phase_variance,
    )


def _phases(products: NDArray[np.complex128], turn: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the phase of each turned repetition against the mean of those alike, (M, R) [rad]."""
    projected = np.einsum("mrq,mq->mr", products, turn.conj()) * turn
    phases: NDArray[np.float64] = np.angle(projected).astype(np.float64)
    return phases


def _means(
    rows: NDArray[np.complex64], turn: NDArray[np.complex128], plan: _Plan
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Return the mean of the turned repetitions of each code, (M, G, size), and what is left."""
    means = np.empty((len(rows), plan.num_codes, rows.shape[2]), np.complex64)
    total = np.zeros(len(rows))
    turns = turn.astype(np.complex64)
    for code in range(plan.num_codes):
        own = slice(code * plan.per_code, (code + 1) * plan.per_code)
        mean, scatter = np.empty((len(rows), rows.shape[2]), np.complex64), np.empty(len(rows))
        factors = np.ascontiguousarray(turns[:, own]).view(np.float32)
        chosen = np.ascontiguousarray(rows[:, own]).view(np.float32)
        mean_and_scatter(
            chosen, factors.reshape(*factors.shape[:1], -1, 2), mean.view(np.float32), scatter
        )
        means[:, code] = mean
        total += scatter
    return means, total


def _slope_between_codes(spectra: NDArray[np.complex64], plan: _Plan) -> NDArray[np.float64]:
    """Return by how much the carrier turns from the one code to the other, (M,) [cycles/period].

    conj(X) Y of either code is |X|^2 H, and the phase between the two is the carrier's. Weighed by
    1 / (|X_0|^2 + |X_1|^2), their product gives the maximum likelihood estimate where H is unknown.
    """
    matched = spectra * plan.weights
    phase = np.angle(np.einsum("mk,mk,k->m", matched[:, 1], matched[:, 0].conj(), plan.energy))
    slope: NDArray[np.float64] = phase / (plan.code_middle[1] - plan.code_middle[0])
    return slope / (2.0 * np.pi)
