"""How long fading remembers: the autocorrelation of the diffuse parts, blind to the carrier phase.

Oscillators turn the common phase theta between frames, so E[x_n* x_m] vanishes whatever the channel
does. The likelihood of a pair of frames does not mind: for paths of diffuse power lambda_p that are
correlated by rho, measured with noise to total power s_p = lambda_p + c_p,

    ln p(x_n, x_m; rho) = sum_p [-ln D_p - s_p (|x_np|^2 + |x_mp|^2) / D_p] + ln I0(2 |c|) + const,
    D_p = s_p^2 - rho^2 lambda_p^2,   c = sum_p rho lambda_p x_np* x_mp / D_p,

integrated over the unknown phase between the two. Summed over all pairs of a lag it gives a
likelihood of rho at that lag (a composite likelihood: Varin, Reid, Firth 2011); a Doppler
spectrum then has to follow rho at all lags at once. Specular parts are kept out: what lies across
them in the space of paths has no mean, and what lies along them fades in its real part.
So are directions that hold little power: estimated from the same frames, they are the least certain
and would pass for fast fading.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import interpolate, special

from phyemu.channel import DopplerSpectrum, doppler_autocorrelation
from phyemu.fitting.interval import Interval
from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink

__all__ = [
    "FadingMemory",
    "coherence_time_s",
    "effective_frames",
    "measure_memory",
    "most_likely_doppler_hz",
]

# Fisher's z: the likelihood of a correlation is smooth in it up to the end, so splines carry it.
_Z = np.linspace(-0.6, 4.4, 51)
_RHO = np.tanh(_Z)
_NUM_LAGS = 24
_MAX_PAIRS = 1500
_NUM_SEGMENTS = 8
_SEARCH_POINTS = 160
_MIN_RADIAL_K = 2.0  # below, the real part along the specular parts is no Gaussian
_MIN_DIFFUSE_SNR = 0.1
_BELL_TURNS = 6
_MIN_SHARE = 0.03  # of the strongest direction's power
_EVIDENCE = 3.0  # [nat] per lag by which correlated frames must beat independent ones
_STANDARD_ERRORS = 2.0  # of the loss, beyond which another spectrum is ruled out


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FadingMemory:
    """What the record says about fading over time.

    Attributes:
        doppler_hz: Doppler scale of `spectrum` [Hz]; value 0 where nothing moves, NaN where the
            frames lie too far apart.
        spectrum: The shape that explains the record best.
        rho: Most likely autocorrelation at `lags_s`, (L,), blind of any spectrum.
        lags_s: (L,) [s].
        coherence_time_s: Lag at which the fitted autocorrelation first falls to one half [s].
        resolved: Whether successive frames are correlated, so that a Doppler can be told.
    """

    doppler_hz: Interval
    spectrum: DopplerSpectrum
    rho: NDArray[np.float64]
    lags_s: NDArray[np.float64]
    coherence_time_s: float
    resolved: bool


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """Log-likelihood of each rho at each lag, by segment of time: (segment, lag, rho)."""

    values: NDArray[np.float64]
    lags: NDArray[np.int64]
    pairs: NDArray[np.int64]  # of all frames at that lag, (lag,)


def measure_memory(
    paths: PathGains, link: RicianLink, slots: NDArray[np.int64], *, interval_s: float
) -> FadingMemory:
    """Return the memory of the diffuse parts.

    Args:
        paths: Measured gains.
        link: What they are fluctuating about.
        slots: Time of each frame in units of `interval_s`, (N,), ascending, int64; gaps separate
            recordings.
        interval_s: Time from slot to slot [s].
    """
    table = _table(paths, link, slots)
    if table is None:
        return _nothing(interval_s)
    total = table.values.sum(axis=0)
    lags_s = table.lags.astype(np.float64) * interval_s
    duration_s = float(slots[-1] - slots[0]) * interval_s
    candidates_hz = _candidates_hz(duration_s, interval_s)
    curves = {shape: _curve(shape, candidates_hz, lags_s) for shape in DopplerSpectrum}
    spectrum, plausible = _choose_spectrum(table, curves)
    score = _score(total, curves[spectrum])
    white = float(_score(total, np.zeros((1, len(lags_s))))[0])
    peak = int(score.argmax())
    # Pairs share frames: the sum overstates the evidence by about the number of lags.
    # A common phase hides the sign of a correlation: it is taken from the spectrum.
    signs = np.where(curves[spectrum][peak] < 0, -1.0, 1.0)
    mirrored = np.where(signs[:, None] * _RHO >= -1e-9, total, -np.inf)
    rho = _RHO[mirrored.argmax(axis=1)]
    if float(score[peak]) - white < _EVIDENCE * len(table.lags):
        return FadingMemory(
            doppler_hz=Interval(value=math.nan),
            spectrum=spectrum,
            rho=rho,
            lags_s=lags_s,
            coherence_time_s=math.nan,
            resolved=False,
        )
    doppler = _jackknife(table, curves[spectrum], candidates_hz, peak)
    # Shapes scale differently: while the record does not decide, the interval spans them all.
    for other in plausible:
        own = int(_score(total, curves[other]).argmax())
        interval = _jackknife(table, curves[other], candidates_hz, own)
        doppler = Interval(
            value=doppler.value,
            low=min(doppler.low, interval.low),
            high=max(doppler.high, interval.high),
        )
    still = doppler.value < 0.05 / duration_s
    if still:
        doppler = Interval(value=0.0, low=0.0, high=max(doppler.high, 0.25 / duration_s))
    return FadingMemory(
        doppler_hz=doppler,
        spectrum=spectrum,
        rho=rho,
        lags_s=lags_s,
        coherence_time_s=math.inf if still else coherence_time_s(spectrum, doppler.value),
        resolved=True,
    )


def most_likely_doppler_hz(
    paths: PathGains,
    link: RicianLink,
    slots: NDArray[np.int64],
    *,
    interval_s: float,
    spectrum: DopplerSpectrum,
) -> float:
    """Return the Doppler of `measure_memory` for a known spectrum, no interval; NaN for none."""
    table = _table(paths, link, slots)
    if table is None:
        return math.nan
    candidates_hz = _candidates_hz(float(slots[-1] - slots[0]) * interval_s, interval_s)
    curve = _curve(spectrum, candidates_hz, table.lags.astype(np.float64) * interval_s)
    score = _score(table.values.sum(axis=0), curve)
    return _refined(score, candidates_hz, int(score.argmax()))


def _candidates_hz(duration_s: float, interval_s: float) -> NDArray[np.float64]:
    return np.geomspace(0.02 / duration_s, 0.48 / interval_s, _SEARCH_POINTS)


def effective_frames(memory: FadingMemory, *, num_frames: int, interval_s: float) -> float:
    """Return how many independent frames N correlated ones are worth for a power.

    N / (1 + 2 sum_k (1 - k/N) rho_k^2): powers of Gaussian parts are correlated by rho^2.
    """
    if not memory.resolved:
        return float(num_frames)
    lags = np.arange(1.0, num_frames)
    rho = _autocorrelation(memory.spectrum, memory.doppler_hz.value, lags * interval_s)
    inflation = 1.0 + 2.0 * float(((1.0 - lags / num_frames) * np.square(rho)).sum())
    return max(1.0, num_frames / inflation)


def _nothing(interval_s: float) -> FadingMemory:
    return FadingMemory(
        doppler_hz=Interval(value=math.nan),
        spectrum=DopplerSpectrum.JAKES,
        rho=np.zeros(0),
        lags_s=np.zeros(0),
        coherence_time_s=math.nan,
        resolved=False,
    )


def _autocorrelation(
    spectrum: DopplerSpectrum, doppler_hz: float, lags_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the autocorrelation at many lags; BELL, an integral, from a table."""
    turns = np.asarray(lags_s, np.float64) * doppler_hz
    if spectrum is DopplerSpectrum.BELL:
        grid, values = _bell_table()
        tabulated: NDArray[np.float64] = np.interp(turns, grid, values, right=0.0)
        return tabulated
    exact: NDArray[np.float64] = doppler_autocorrelation(
        spectrum, 1.0, torch.from_numpy(turns)
    ).numpy()
    return exact


@cache
def _bell_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return turns and the autocorrelation there, up to where it is gone (below 1 %)."""
    grid = np.linspace(0.0, _BELL_TURNS, 100 * _BELL_TURNS + 1)
    values = doppler_autocorrelation(DopplerSpectrum.BELL, 1.0, torch.from_numpy(grid))
    return grid, values.numpy()


def coherence_time_s(spectrum: DopplerSpectrum, doppler_hz: float) -> float:
    """Return the lag at which the autocorrelation first falls to one half [s]."""
    turns = np.linspace(0.0, 3.0, 3001)
    values = _autocorrelation(spectrum, 1.0, turns)
    return float(turns[int((values <= 0.5).argmax())]) / doppler_hz


def _table(paths: PathGains, link: RicianLink, slots: NDArray[np.int64]) -> _Table | None:
    """Return the composite likelihoods; None where nothing fluctuates above the noise."""
    zero_mean, power, radial, radial_power = _fluctuations(paths, link)
    if len(power) == 0 and radial_power == 0:
        return None
    span = int(slots[-1] - slots[0])
    lags = np.unique(np.geomspace(1, max(span // 2, 1), _NUM_LAGS).round().astype(np.int64))
    position = np.full(span + 1, -1, np.int64)
    position[slots - slots[0]] = np.arange(len(slots))
    tables, used, counts = [], [], []
    for lag in lags:
        first = np.flatnonzero(position[: span + 1 - lag] >= 0)
        first = first[position[first + lag] >= 0]
        if len(first) < max(4, len(slots) // 8):
            continue
        counts.append(len(first))
        if len(first) > _MAX_PAIRS:
            first = first[np.linspace(0, len(first) - 1, _MAX_PAIRS).astype(int)]
        n, m = position[first], position[first + lag]
        likelihood = np.zeros((len(n), len(_RHO)))
        if len(power):
            likelihood += _turned_pairs(zero_mean[n], zero_mean[m], power)
        if radial_power:
            likelihood += _real_pairs(radial[n], radial[m], radial_power)
        segment = n * _NUM_SEGMENTS // len(slots)
        tables.append(
            np.stack([likelihood[segment == k].sum(axis=0) for k in range(_NUM_SEGMENTS)])
            * (counts[-1] / len(first))
        )
        used.append(lag)
    if not used:
        return None
    return _Table(np.stack(tables, axis=1), np.array(used), np.array(counts))


def _fluctuations(
    paths: PathGains, link: RicianLink
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64], float]:
    """Return what fluctuates, in units of the noise.

    Returns:
        Components across the specular parts, (N, Q), their diffuse power over the noise's, (Q,);
        the real component along the specular parts less its mean, (N,), and its diffuse power.
    """
    noise = paths.noise_shape * float(paths.noise_level.mean())
    values, vectors = np.linalg.eigh(noise)
    whiten = (vectors / np.sqrt(values)).conj().T
    gains = paths.gains @ whiten.T
    covariance = whiten @ link.covariance @ whiten.conj().T
    mean = whiten @ link.specular
    strength = float(np.linalg.norm(mean))
    radial, radial_power = np.zeros(len(gains)), 0.0
    if strength > 0:
        along = mean / strength
        diffuse = float((along.conj() @ covariance @ along).real)
        if strength**2 > _MIN_RADIAL_K * (diffuse + 1.0) and diffuse > _MIN_DIFFUSE_SNR:
            amplitude = np.abs(gains @ along.conj())
            # Unit noise variance of a real component: twice the power of half a complex one.
            radial = math.sqrt(2.0) * (amplitude - amplitude.mean())
            radial_power = diffuse
        basis = np.linalg.qr(np.column_stack([along, np.eye(len(mean))]))[0][:, 1 : len(mean)]
    else:
        basis = np.eye(len(mean), dtype=np.complex128)
    if basis.shape[1] == 0:
        return np.zeros((len(gains), 0), np.complex128), np.zeros(0), radial, radial_power
    power, turn = np.linalg.eigh(basis.conj().T @ covariance @ basis)
    across = gains @ basis.conj() @ turn.conj()
    kept = (power > _MIN_DIFFUSE_SNR) & (power > _MIN_SHARE * power.max())
    return across[:, kept], power[kept], radial, radial_power


def _turned_pairs(
    a: NDArray[np.complex128], b: NDArray[np.complex128], power: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ln p of pairs with an unknown phase between them, (pairs, rho), up to a constant."""
    total = power + 1.0
    shared = _RHO[:, None] * power
    spread = np.square(total) - np.square(shared)
    energy = np.square(np.abs(a)) + np.square(np.abs(b))
    exponent = 2.0 * np.abs((a.conj() * b) @ (shared / spread).T)
    likelihood: NDArray[np.float64] = (
        -np.log(spread).sum(axis=1)
        - energy @ (total / spread).T
        + np.log(special.i0e(exponent))
        + exponent
    )
    return likelihood


def _real_pairs(
    a: NDArray[np.float64], b: NDArray[np.float64], power: float
) -> NDArray[np.float64]:
    """Return ln p of pairs of real Gaussians of variance power + 1, (pairs, rho)."""
    total, shared = power + 1.0, _RHO * power
    spread = total**2 - np.square(shared)
    energy, product = np.square(a) + np.square(b), a * b
    likelihood: NDArray[np.float64] = (
        -0.5 * np.log(spread) - (0.5 * total * energy[:, None] - shared * product[:, None]) / spread
    )
    return likelihood


def _choose_spectrum(
    table: _Table, curves: dict[DopplerSpectrum, NDArray[np.float64]]
) -> tuple[DopplerSpectrum, list[DopplerSpectrum]]:
    """Return the shape, and the others that the record does not rule out.

    Jakes unless it is ruled out, then the most likely.
    """
    each = {}
    for shape, curve in curves.items():
        peak = int(_score(table.values.sum(axis=0), curve).argmax())
        each[shape] = np.array([_score(part, curve[[peak]])[0] for part in table.values])
    best = max(each, key=lambda shape: float(each[shape].sum()))
    plausible = []
    for shape, scores in each.items():
        lost = each[best] - scores
        error = float(lost.std(ddof=1)) * math.sqrt(len(lost))
        if shape is not best and float(lost.sum()) <= _STANDARD_ERRORS * error:
            plausible.append(shape)
    if DopplerSpectrum.JAKES in plausible:
        plausible.remove(DopplerSpectrum.JAKES)
        return DopplerSpectrum.JAKES, [best, *plausible]
    return best, plausible


def _curve(
    spectrum: DopplerSpectrum, dopplers_hz: NDArray[np.float64], lags_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rho at each lag for each Doppler, (doppler, lag)."""
    turns = np.outer(dopplers_hz, lags_s)
    return _autocorrelation(spectrum, 1.0, turns.ravel()).reshape(turns.shape)


def _score(total: NDArray[np.float64], curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the composite log-likelihood of each row of `curve`."""
    score = np.zeros(len(curve))
    positions = np.arctanh(np.clip(curve, _RHO[0], _RHO[-1]))
    splines = interpolate.CubicSpline(_Z, total, axis=1)
    for lag in range(curve.shape[1]):
        score += splines(positions[:, lag])[lag]
    return score


def _jackknife(
    table: _Table,
    curve: NDArray[np.float64],
    candidates_hz: NDArray[np.float64],
    peak: int,
) -> Interval:
    """Return the Doppler with a 95 % interval from leaving out one segment of time at a time."""
    total = table.values.sum(axis=0)
    value = _refined(_score(total, curve), candidates_hz, peak)
    scores = [_score(total - segment, curve) for segment in table.values]
    logs = np.log([_refined(score, candidates_hz, int(score.argmax())) for score in scores])
    count = len(logs)
    std = math.sqrt((count - 1) / count * float(np.square(logs - logs.mean()).sum()))
    # Student's t with count - 1 degrees of freedom; pairs across the cut are shared.
    spread = float(special.stdtrit(count - 1, 0.975)) * max(std, 0.02)
    return Interval(value=value, low=value * math.exp(-spread), high=value * math.exp(spread))


def _refined(score: NDArray[np.float64], candidates_hz: NDArray[np.float64], peak: int) -> float:
    """Return the maximum of the parabola through three points of the logarithmic grid."""
    if not 0 < peak < len(score) - 1:
        return float(candidates_hz[peak])
    left, middle, right = score[peak - 1 : peak + 2].tolist()
    bend = left - 2.0 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    step = math.log(float(candidates_hz[1] / candidates_hz[0]))
    return float(candidates_hz[peak]) * math.exp(step * shift)
