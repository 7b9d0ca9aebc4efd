"""Distributions of the radios' impairments, from what the soundings say about them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import Distribution, FrontEnd
from phyemu.fitting.link_frames import LinkFrames
from phyemu.sounding import Estimate, FrontEndEstimate, Sounding

__all__ = ["describe_unknowns", "fit_front_end", "slow_distribution"]


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
