"""The memory of a whole link, from its strongest directions; calibrated where records are short.

Of a link of many paths the few directions count that hold most power. They are those of the second
moment, which no carrier phase turns, and their steady part is fitted anew among them: that of the
whole link may be a detail of weak paths, and to keep out what lies along it would keep out the
signal.

A record of few coherence times looks faster than it is, as its power is measured on the same few
fades, and the pieces that a jackknife leaves out are hardly independent. There the fitted process
is drawn some times at the times of the record and estimated in the same way (a parametric
bootstrap: Efron, Tibshirani 1993): the mean error is taken out, the spread makes the interval.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from phyemu.channel import FadingProcess
from phyemu.fitting.fading_memory import (
    FadingMemory,
    coherence_time_s,
    effective_frames,
    measure_memory,
    most_likely_doppler_hz,
)
from phyemu.fitting.interval import Interval
from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink, fit_rician_link

__all__ = ["measure_link_memory"]

_MIN_SHARE = 1e-3  # of the strongest direction's power, which a steady part may hold most of
_MIN_DIFFUSE_SNR = 0.1
_MAX_DIRECTIONS = 5
_MAX_DRAWN_DIRECTIONS = 12
_NUM_DRAWS = 16
_MAX_ITERATIONS = 40  # of the refit of a draw
_ENOUGH_FRAMES = 100.0  # independent ones, from which on the bias is below 2 %
_MAX_DRAWN_FRAMES = 1000


def measure_link_memory(
    paths: PathGains,
    slots: NDArray[np.int64],
    *,
    interval_s: float,
    calibrate: bool = False,
) -> FadingMemory:
    """Return the memory of a link, whatever its paths.

    Frames that hardly change are worth few, unless a steady part explains why: it is taken where
    the Bayesian criterion pays for it in the frames that the record is then worth.

    Args:
        paths: Measured gains.
        slots: As for `measure_memory`.
        interval_s: Time from slot to slot [s].
        calibrate: Whether a short record's Doppler is calibrated by draws; it takes a second.
    """
    strongest = _strongest_directions(paths, _MAX_DIRECTIONS, _MIN_SHARE)
    everywhere = np.ones(strongest.num_paths, bool)
    diffuse, steady = (
        fit_rician_link(strongest, specular=everywhere & allowed, correlated=True)
        for allowed in (False, True)
    )
    memory = measure_memory(strongest, steady, slots, interval_s=interval_s)
    worth = effective_frames(memory, num_frames=len(slots), interval_s=interval_s)
    price = 0.5 * math.log(max(worth, 2.0)) * (2 * strongest.num_paths - 1)
    link = steady
    if worth * (steady.log_likelihood - diffuse.log_likelihood) <= price:
        link = diffuse
        memory = measure_memory(strongest, diffuse, slots, interval_s=interval_s)
        worth = effective_frames(memory, num_frames=len(slots), interval_s=interval_s)
    moving = memory.resolved and memory.doppler_hz.value > 0
    if not (calibrate and moving and worth < _ENOUGH_FRAMES and len(slots) <= _MAX_DRAWN_FRAMES):
        return memory
    return _calibrated(memory, paths, link, slots, interval_s)


def _calibrated(
    memory: FadingMemory,
    paths: PathGains,
    link: RicianLink,
    slots: NDArray[np.int64],
    interval_s: float,
) -> FadingMemory:
    """Return the memory with the Doppler's mean error taken out and the interval of draws."""
    doppler = memory.doppler_hz
    # Weaker directions are drawn, too: which ones are the strongest is part of the estimate.
    everything = _strongest_directions(paths, _MAX_DRAWN_DIRECTIONS, _MIN_SHARE)
    second = everything.gains.T @ everything.gains.conj() / len(slots)
    covariance = np.diag(np.maximum(np.diag(second).real - 1.0, 0.0)).astype(np.complex128)
    covariance[-len(link.specular) :, -len(link.specular) :] = link.covariance
    specular = np.zeros(len(covariance), np.complex128)
    specular[-len(link.specular) :] = link.specular
    powers, turn = np.linalg.eigh(covariance)
    powers = np.maximum(powers, 0.0)
    diffuse = FadingProcess(
        powers=tuple((powers / powers.sum()).tolist()),
        k_factor=(0.0,) * len(powers),
        doppler_hz=(doppler.value,) * len(powers),
        spectrum=memory.spectrum,
    )
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    times_s = torch.from_numpy((slots - slots[0]) * interval_s)
    found = []
    for _ in range(_NUM_DRAWS):
        drawn = diffuse.realise(generator).gains(times_s).numpy() * math.sqrt(powers.sum())
        gains = specular + drawn @ turn.T
        gains = gains * np.exp(2j * np.pi * rng.random((len(slots), 1)))
        error = rng.standard_normal((*gains.shape, 2)) @ np.array([1.0, 1j]) / math.sqrt(2.0)
        again = PathGains(
            delays_s=np.zeros(len(powers)),
            gains=gains + error,
            noise_level=np.ones(len(slots)),
            noise_shape=np.eye(len(powers), dtype=np.complex128),
        )
        again = _strongest_directions(again, _MAX_DIRECTIONS, _MIN_SHARE)
        steady = np.full(again.num_paths, bool(np.any(link.specular)))
        refitted = fit_rician_link(
            again, specular=steady, correlated=True, max_iterations=_MAX_ITERATIONS
        )
        found.append(
            most_likely_doppler_hz(
                again, refitted, slots, interval_s=interval_s, spectrum=memory.spectrum
            )
        )
    errors = np.log(np.array(found) / doppler.value)
    errors = errors[np.isfinite(errors)]
    if len(errors) < _NUM_DRAWS // 2:
        return memory
    # The median: now and then a draw's maximum lies at the edge of what can be told.
    bias = float(np.median(errors))
    spread = 1.4826 * float(np.median(np.abs(errors - bias)))
    spread = max(spread, min(float(errors.std(ddof=1)), 2.0 * spread))
    wide = float(special.stdtrit(len(errors) - 1, 0.975)) * spread
    value = doppler.value * math.exp(-bias)
    calibrated = Interval(
        value=value,
        low=math.exp(-bias) * min(doppler.low, doppler.value * math.exp(-wide)),
        high=math.exp(-bias) * max(doppler.high, doppler.value * math.exp(wide)),
    )
    return replace(
        memory, doppler_hz=calibrated, coherence_time_s=coherence_time_s(memory.spectrum, value)
    )


def _strongest_directions(paths: PathGains, most: int, min_share: float) -> PathGains:
    """Return the gains along the directions that hold most of the power, in units of the noise."""
    level = float(paths.noise_level.mean())
    values, vectors = np.linalg.eigh(paths.noise_shape * level)
    gains = paths.gains @ (vectors / np.sqrt(values)).conj()
    power, directions = np.linalg.eigh(gains.T @ gains.conj() / len(gains))
    signal = power - 1.0
    kept = np.flatnonzero(signal > min_share * max(float(signal[-1]), _MIN_DIFFUSE_SNR))
    kept = kept[-most:] if len(kept) else np.array([len(power) - 1])
    return PathGains(
        delays_s=paths.delays_s[: len(kept)],
        gains=gains @ directions[:, kept].conj(),
        noise_level=paths.noise_level / level,
        noise_shape=np.eye(len(kept), dtype=np.complex128),
    )
