"""Distributions of the radios' impairments, from what the soundings say about them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from phyemu.channel import Distribution, FrontEnd
from phyemu.fitting.interval import Interval
from phyemu.fitting.link_frames import LinkFrames
from phyemu.sounding import Estimate, FrontEndEstimate, Sounding

__all__ = ["describe_unknowns", "fit_front_end", "front_end_intervals", "slow_distribution"]

_STRETCHES = 12


def fit_front_end(frames: LinkFrames, soundings: Sequence[Sounding]) -> FrontEnd:
    """Return the distributions of CFO, SFO, phase noise, IQ imbalance and DC offset.

    A quantity no sounding knows is left ideal (`describe_unknowns` says which). An estimate is
    carried as it is, not dropped where its error reaches 0: dropping would bias many links.
    """
    sfo_ppm = frames.sfo_ppm[np.isfinite(frames.sfo_ppm)]
    return FrontEnd(
        cfo_hz=slow_distribution(frames.cfo_hz, frames.recording),
        sfo_ppm=(
            slow_distribution(frames.sfo_ppm, frames.recording)
            if len(sfo_ppm)
            else Distribution.constant(0.0)
        ),
        linewidth_hz=_over_soundings(soundings, lambda item: item.linewidth_hz, minimum=0.0),
        iq_gain_db=_over_soundings(soundings, lambda item: item.iq_gain_db),
        iq_phase_rad=_over_soundings(soundings, lambda item: item.iq_phase_rad),
        dc_offset=_over_soundings(soundings, _dc_magnitude, minimum=0.0),
    )


def front_end_intervals(frames: LinkFrames, soundings: Sequence[Sounding]) -> dict[str, Interval]:
    """Return the mean of each impairment with its 95 % confidence interval.

    Offsets come with every frame and wander: the scatter of medians over a few stretches of time
    says how well their mean is known. A clock measured once per recording has no scatter, and one
    recording alone no interval. The others come once per sounding, with a standard error. What no
    sounding knows is left out.
    """
    intervals = {}
    for name, values in (("cfo_hz", frames.cfo_hz), ("sfo_ppm", frames.sfo_ppm)):
        finite = np.isfinite(values)
        known = _measured_once(values[finite], frames.recording[finite])
        if len(known) > 1:
            intervals[name] = _mean_interval(known)
        elif len(known):
            intervals[name] = Interval(value=float(known[0]))
    fields: dict[str, Callable[[FrontEndEstimate], Estimate]] = {
        "linewidth_hz": lambda item: item.linewidth_hz,
        "iq_gain_db": lambda item: item.iq_gain_db,
        "iq_phase_rad": lambda item: item.iq_phase_rad,
        "dc_offset": _dc_magnitude,
    }
    for name, field in fields.items():
        estimates = [(field(item.front_end), item.num_frames) for item in soundings]
        estimates = [
            (item, count) for item, count in estimates if item.is_known and math.isfinite(item.std)
        ]
        if not estimates:
            continue
        weights = np.array([count for _, count in estimates], np.float64)
        weights = weights / weights.sum()
        centres = np.array([item.value for item, _ in estimates])
        value = float(weights @ centres)
        error = float(np.square(weights) @ np.square([item.std for item, _ in estimates]))
        # Soundings that differ by more than their errors: the mean is as uncertain as they scatter.
        scatter = float(np.square(weights) @ np.square(centres - value))
        half = 1.96 * math.sqrt(max(error, scatter))
        low = value - half
        if name in ("linewidth_hz", "dc_offset"):
            low = max(low, 0.0)
        intervals[name] = Interval(value=value, low=low, high=max(value + half, low))
    return intervals


def _measured_once(
    values: NDArray[np.float64], recording: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return one value per recording where its frames only repeat it, else the values."""
    own = [values[recording == index] for index in np.unique(recording)]
    if any(np.ptp(one) > 0 for one in own):
        return values
    return np.array([one[0] for one in own], np.float64)


def _mean_interval(values: NDArray[np.float64]) -> Interval:
    stretches = np.array_split(values, min(_STRETCHES, max(2, len(values) // 4)))
    medians = np.array([float(np.median(stretch)) for stretch in stretches])
    value = float(np.median(values))
    error = float(medians.std(ddof=1)) / math.sqrt(len(medians))
    half = float(special.stdtrit(len(medians) - 1, 0.975)) * error
    return Interval(value=value, low=value - half, high=value + half)


def describe_unknowns(frames: LinkFrames, soundings: Sequence[Sounding]) -> list[str]:
    """Return a sentence for what the model leaves ideal because the probe could not tell."""
    checks = {
        "phase noise": lambda item: item.linewidth_hz,
        "IQ imbalance": lambda item: item.iq_gain_db,
        "DC offset": _dc_magnitude,
    }
    missing = [
        name
        for name, field in checks.items()
        if not any(field(sounding.front_end).is_known for sounding in soundings)
    ]
    if not np.isfinite(frames.sfo_ppm).any():
        missing.insert(0, "sampling offset")
    if not missing:
        return []
    return [f"the probe cannot tell {', '.join(missing)}: the model has none"]


def slow_distribution(values: NDArray[np.float64], recording: NDArray[np.int64]) -> Distribution:
    """Return the distribution of a slowly drifting quantity behind noisy values.

    Half the mean square of successive differences is the variance of the noise (von Neumann 1941);
    only what the values vary beyond it is real.

    Args:
        values: One per frame in order of time, (N,); NaN is left out.
        recording: Index of the recording of each, (N,).
    """
    known = np.isfinite(values)
    values, recording = values[known], recording[known]
    if len(values) == 0:
        return Distribution.constant(0.0)
    mean = float(np.median(values)) if len(values) > 2 else float(values.mean())
    within = np.diff(values)[np.diff(recording) == 0]
    if len(within) < 4:
        std = float(values.std()) if len(values) > 1 else 0.0
    else:
        noise = 0.5 * float(np.square(within).mean())
        # A variance of N values is uncertain by sqrt(2 / N) of itself; less than that is nothing.
        total = float(values.var())
        surplus = total - noise
        std = math.sqrt(surplus) if surplus > 2.0 * math.sqrt(2.0 / len(values)) * noise else 0.0
    if std <= 1e-12 * max(abs(mean), 1e-300):
        return Distribution.constant(mean)
    return Distribution(mean=mean, std=std, minimum=mean - 3 * std, maximum=mean + 3 * std)


def _over_soundings(
    soundings: Sequence[Sounding],
    field: Callable[[FrontEndEstimate], Estimate],
    *,
    minimum: float = -math.inf,
) -> Distribution:
    """Return the distribution over the soundings that know the quantity, weighted by frames."""
    known = [(field(item.front_end), item.num_frames) for item in soundings]
    known = [(estimate, count) for estimate, count in known if estimate.is_known]
    if not known:
        return Distribution.constant(0.0)
    values = np.array([max(estimate.value, minimum) for estimate, _ in known])
    weights = np.array([count for _, count in known], np.float64)
    mean = float((values * weights).sum() / weights.sum())
    if len(values) == 1:
        return Distribution.constant(mean)
    variance = float((weights * np.square(values - mean)).sum() / weights.sum())
    errors = np.array([estimate.std for estimate, _ in known])
    errors = errors[np.isfinite(errors)]
    noise = float(np.square(errors).mean()) if len(errors) else 0.0
    std = math.sqrt(max(variance - noise, 0.0))
    if std == 0:
        return Distribution.constant(mean)
    return Distribution(
        mean=mean, std=std, minimum=max(minimum, mean - 3 * std), maximum=mean + 3 * std
    )


def _dc_magnitude(item: FrontEndEstimate) -> Estimate:
    """Return |DC| with the error of one component."""
    offset = item.dc_offset
    if math.isnan(offset.real) or math.isnan(offset.imag):
        return Estimate()
    return Estimate(value=abs(offset), std=item.dc_offset_i.std)
