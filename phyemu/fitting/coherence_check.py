"""How long responses last: stretches of held-out time against as long ones of the model."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import EmpiricalChannel, MeasuredChannel
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.path_gains import project_frames
from phyemu.fitting.response_statistics import coherence_steps
from phyemu.sounding.path_problem import steering_vectors

__all__ = ["CoherenceTimes", "coherence_times"]

_MIN_FRAMES = 8  # of a stretch
_MAX_FRAMES = 96  # of a stretch that is looked at; longer ones are cut, or thinned out
_STEPS_PER_COHERENCE_TIME = 8.0
_DRAWS = 60


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CoherenceTimes:
    """How long the response of a frame lasts (`coherence_steps`).

    Attributes:
        measured_s: Of held-out frames, (M,) [s].
        drawn_s: Of frames of the model, (K,) [s].
        longest_s: What a stretch lets one see; longer ones stand as the next step beyond [s].
        frames: Held-out frames behind `measured_s`, before thinning.
    """

    measured_s: NDArray[np.float64]
    drawn_s: NDArray[np.float64]
    longest_s: float
    frames: int


def coherence_times(
    model: EmpiricalChannel | MeasuredChannel,
    held_out: LinkFrames,
    *,
    delays_s: NDArray[np.float64],
    coherence_time_s: float,
    noise_density: float,
    seed: int,
) -> CoherenceTimes | None:
    """Return both; None where the held-out frames do not follow one another in time.

    Args:
        model: A fitted model.
        held_out: Frames it was not fitted to, in stretches of time.
        delays_s: Delays of its paths on the axis of the frames, (P,) [s].
        coherence_time_s: What the fit found, to choose the step by; NaN or infinity: unknown [s].
        noise_density: N0 that the model's C/N0 refers to [full scale^2 / Hz].
        seed: Seed of the draws.
    """
    if not held_out.real_time:
        return None
    cut = np.diff(held_out.time_s) > 1.5 * held_out.interval_s
    cut |= np.diff(held_out.recording) != 0
    stretches = np.split(np.arange(held_out.num_frames), np.flatnonzero(cut) + 1)
    length = int(np.median([len(stretch) for stretch in stretches]))
    if length < _MIN_FRAMES:
        return None
    stride = -(-length // _MAX_FRAMES)
    if math.isfinite(coherence_time_s):
        wanted = coherence_time_s / held_out.interval_s / _STEPS_PER_COHERENCE_TIME
        stride = min(stride, max(1, round(wanted)))
    length = min(length, _MAX_FRAMES * stride)
    rows = np.array(
        [
            stretch[start : start + length : stride]
            for stretch in stretches
            for start in range(0, len(stretch) - length + 1, length)
        ]
    )
    step_s = stride * held_out.interval_s
    look_ahead = rows.shape[1] // 2
    drawn = _drawn(
        model, held_out, rows, step_s=step_s, delays_s=delays_s, density=noise_density, seed=seed
    )
    measured = _seen(held_out, rows, delays_s)
    return CoherenceTimes(
        measured_s=_seconds(measured, step_s, look_ahead),
        drawn_s=_seconds(drawn, step_s, look_ahead),
        longest_s=step_s * look_ahead,
        frames=rows.shape[0] * (rows.shape[1] - look_ahead) * stride,
    )


def _seconds(gains: NDArray[np.complex128], step_s: float, look_ahead: int) -> NDArray[np.float64]:
    steps = coherence_steps(gains, look_ahead=look_ahead)
    return step_s * steps.ravel().astype(np.float64)


def _drawn(
    model: EmpiricalChannel | MeasuredChannel,
    held_out: LinkFrames,
    rows: NDArray[np.int64],
    *,
    step_s: float,
    delays_s: NDArray[np.float64],
    density: float,
    seed: int,
) -> NDArray[np.complex128]:
    """Return stretches of the model on orthogonal axes, with the noise of the measurement."""
    draw = model.draw(
        _DRAWS,
        num_steps=rows.shape[1],
        interval_s=step_s,
        symbol_rate_hz=1.0,  # the SNR over one hertz is C/N0
        generator=torch.Generator().manual_seed(seed),
    )
    power = 10.0 ** (draw.snr_db.numpy() / 10.0) * density
    gains = draw.response.gains.numpy() * np.sqrt(power)[:, None, None]
    triangle = np.linalg.qr(steering_vectors(held_out.frequencies_hz, delays_s))[1]
    seen = gains @ triangle.T
    # White over frequency, the noise is white on orthogonal axes, too.
    rng = np.random.default_rng(seed)
    level = held_out.noise_variance.mean(axis=1)[rows[rng.integers(len(rows), size=_DRAWS)]]
    error = rng.standard_normal((2, *seen.shape))
    noisy: NDArray[np.complex128] = (
        seen + (error[0] + 1j * error[1]) * np.sqrt(level / 2.0)[:, :, None]
    )
    return noisy


def _seen(
    frames: LinkFrames, rows: NDArray[np.int64], delays_s: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return the frames at `rows` on orthogonal axes, (S, N, P)."""
    triangle = np.linalg.qr(steering_vectors(frames.frequencies_hz, delays_s))[1]
    seen: NDArray[np.complex128] = project_frames(frames, delays_s).gains[rows] @ triangle.T
    return seen
