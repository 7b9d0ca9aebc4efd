"""The check on frames that the fit has not seen: does the model draw what was measured?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from phyemu.channel import EmpiricalChannel, MeasuredChannel
from phyemu.fitting.alternatives import compare_models
from phyemu.fitting.coherence_check import coherence_times
from phyemu.fitting.fading_memory import FadingMemory, effective_frames
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.link_memory import measure_link_memory
from phyemu.fitting.path_gains import PathGains, project_frames
from phyemu.fitting.response_statistics import (
    coherence_bandwidth_hz,
    effective_snr_db,
    frame_delay_spread_s,
)
from phyemu.fitting.rician_link import RicianLink
from phyemu.sounding.path_problem import steering_vectors
from phyemu.units import power_to_db

__all__ = ["HoldoutReport", "check_holdout", "drawn_frames", "frame_slots"]

_DRAWS = 2000
_KS_95 = 1.358  # quantile of the Kolmogorov distribution


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldoutReport:
    """Distances between the model's draws and frames that were kept back.

    Distances are Kolmogorov-Smirnov's, 0 (same distribution) to 1; draws carry the noise of the
    measurement and went through the same estimator.

    Attributes:
        num_frames: Frames kept back.
        effective_frames: Independent frames that these are worth.
        critical: Distance that samples of one distribution stay below 95 % of the time.
        amplitude: Of each path's amplitude.
        rms_delay_spread: Of the frames' RMS delay spread.
        coherence_bandwidth: Of the frames' coherence bandwidth.
        coherence_time: Of how long the response of a frame lasts (`coherence_steps`); NaN where
            the frames do not follow one another in time.
        coherence_time_critical: `critical` of that one, for which half the frames look ahead.
        received_power: Of the frames' power.
        effective_snr: Of the SNR behind an equaliser.
        received_power_offset_db: Median power of the draws over that of the frames [dB].
        effective_snr_offset_db: The same of the SNR behind an equaliser [dB].
        coherence_time_s: (held-out frames, model) [s]; NaN where the record cannot tell.
        log_likelihood: Mean per frame and frequency under the parametric fit and its alternatives
            [nat].
    """

    num_frames: int
    effective_frames: float
    critical: float
    amplitude: tuple[float, ...]
    rms_delay_spread: float
    coherence_bandwidth: float
    coherence_time: float
    coherence_time_critical: float
    received_power: float
    effective_snr: float
    received_power_offset_db: float
    effective_snr_offset_db: float
    coherence_time_s: tuple[float, float]
    log_likelihood: Mapping[str, float]

    @property
    def best_model(self) -> str:
        """Name of the model under which the held-out frames are most likely."""
        return max(self.log_likelihood, key=lambda name: self.log_likelihood[name])

    @property
    def exceeded(self) -> tuple[str, ...]:
        """What lies further from the model than samples of one distribution do, by name."""
        distances = {
            "the paths' amplitudes": (max(self.amplitude, default=0.0), self.critical),
            "delay spread": (self.rms_delay_spread, self.critical),
            "coherence bandwidth": (self.coherence_bandwidth, self.critical),
            "coherence time": (self.coherence_time, self.coherence_time_critical),
            "power": (self.received_power, self.critical),
            "effective SNR": (self.effective_snr, self.critical),
        }
        return tuple(name for name, (distance, limit) in distances.items() if distance > limit)

    def summary(self) -> dict[str, Any]:
        """Return the report as plain numbers."""
        measured, model = self.coherence_time_s
        return {
            "frames": self.num_frames,
            "effective_frames": self.effective_frames,
            "ks_critical": self.critical,
            "ks_amplitude": list(self.amplitude),
            "ks_rms_delay_spread": self.rms_delay_spread,
            "ks_coherence_bandwidth": self.coherence_bandwidth,
            "ks_coherence_time": _finite(self.coherence_time),
            "ks_coherence_time_critical": _finite(self.coherence_time_critical),
            "ks_received_power": self.received_power,
            "ks_effective_snr": self.effective_snr,
            "received_power_offset_db": self.received_power_offset_db,
            "effective_snr_offset_db": self.effective_snr_offset_db,
            "coherence_time_s": {"measured": _finite(measured), "model": _finite(model)},
            "log_likelihood": dict(self.log_likelihood),
            "best_model": self.best_model,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def check_holdout(
    model: EmpiricalChannel | MeasuredChannel,
    *,
    fitted: LinkFrames,
    held_out: LinkFrames,
    delays_s: NDArray[np.float64],
    link: RicianLink,
    memory: FadingMemory,
    seed: int,
) -> HoldoutReport:
    """Return how far the model's draws are from the held-out frames.

    Args:
        model: The fitted model.
        fitted: Frames it was fitted to.
        held_out: Frames it was not.
        delays_s: Delays of its paths on the axis of the frames, (P,) [s].
        link: Its link in the scale of the frames.
        memory: Its fading over time.
        seed: Seed of the draws.
    """
    measured = project_frames(held_out, delays_s)
    drawn = drawn_frames(
        model,
        held_out,
        delays_s=delays_s,
        noise_density=float(fitted.noise_density.mean()),
        count=_DRAWS,
        seed=seed,
    )
    modelled = project_frames(drawn, delays_s)
    interval_s = held_out.interval_s
    worth = effective_frames(memory, num_frames=held_out.num_frames, interval_s=interval_s)
    own = measure_link_memory(measured, frame_slots(held_out), interval_s=interval_s)

    def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(stats.ks_2samp(a, b, method="asymp").statistic)

    def spread(gains: PathGains) -> NDArray[np.float64]:
        return frame_delay_spread_s(gains.gains, delays_s)

    def coherence(gains: PathGains) -> NDArray[np.float64]:
        return coherence_bandwidth_hz(gains.gains, delays_s, bandwidth_hz=held_out.bandwidth_hz)

    def snr(frames: LinkFrames) -> NDArray[np.float64]:
        return effective_snr_db(
            frames.transfer,
            noise_density=frames.noise_density,
            bandwidth_hz=frames.bandwidth_hz,
        )

    times = coherence_times(
        model,
        held_out,
        delays_s=delays_s,
        coherence_time_s=memory.coherence_time_s,
        noise_density=float(fitted.noise_density.mean()),
        seed=seed,
    )
    time_worth = worth if times is None else max(worth * times.frames / held_out.num_frames, 1.0)
    return HoldoutReport(
        num_frames=held_out.num_frames,
        effective_frames=worth,
        critical=_critical(worth),
        amplitude=tuple(
            distance(np.abs(measured.gains[:, path]), np.abs(modelled.gains[:, path]))
            for path in range(measured.num_paths)
        ),
        rms_delay_spread=distance(spread(measured), spread(modelled)),
        coherence_bandwidth=distance(coherence(measured), coherence(modelled)),
        coherence_time=(math.nan if times is None else distance(times.measured_s, times.drawn_s)),
        coherence_time_critical=math.nan if times is None else _critical(time_worth),
        received_power=distance(held_out.received_power, drawn.received_power),
        effective_snr=distance(snr(held_out), snr(drawn)),
        received_power_offset_db=power_to_db(
            max(float(np.median(drawn.received_power)), 1e-30)
            / max(float(np.median(held_out.received_power)), 1e-30)
        ),
        effective_snr_offset_db=float(np.median(snr(drawn)) - np.median(snr(held_out))),
        coherence_time_s=(
            own.coherence_time_s if held_out.real_time else math.nan,
            memory.coherence_time_s if held_out.real_time else math.nan,
        ),
        log_likelihood=compare_models(fitted, held_out, delays_s=delays_s, link=link),
    )


def _critical(worth: float) -> float:
    return min(1.0, _KS_95 * math.sqrt(1.0 / worth + 1.0 / _DRAWS))


def drawn_frames(
    model: EmpiricalChannel | MeasuredChannel,
    like: LinkFrames,
    *,
    delays_s: NDArray[np.float64],
    noise_density: float,
    count: int,
    seed: int,
) -> LinkFrames:
    """Return frames drawn from the model as a sounder would measure them.

    Args:
        model: A fitted model with `cn0_dbhz`.
        like: Frames whose frequencies and noise are taken over, one of them for each draw.
        delays_s: Where the model's paths lie on the axis of those frames, (P,) [s].
        noise_density: N0 that the model's C/N0 refers to [full scale^2 / Hz].
        count: Number of draws.
        seed: Seed of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    draw = model.draw(
        count,
        num_steps=1,
        interval_s=1.0,
        symbol_rate_hz=1.0,  # the SNR over one hertz is C/N0
        generator=generator,
    )
    rng = np.random.default_rng(seed)
    row = rng.integers(like.num_frames, size=count)
    density = like.noise_density[row]
    gain = 10.0 ** (draw.snr_db.numpy() / 10.0) * noise_density
    gains = draw.response.gains[:, 0].numpy() * np.sqrt(gain)[:, None]
    response = gains @ steering_vectors(like.frequencies_hz, delays_s).T
    noise = like.noise_variance[row]
    error = rng.standard_normal((2, *noise.shape))
    return LinkFrames(
        frequencies_hz=like.frequencies_hz,
        bandwidth_hz=like.bandwidth_hz,
        transfer=response + (error[0] + 1j * error[1]) * np.sqrt(noise / 2.0),
        noise_variance=noise,
        noise_density=density,
        time_s=np.arange(count, dtype=np.float64),
        recording=np.zeros(count, np.int64),
        cfo_hz=like.cfo_hz[row],
        sfo_ppm=like.sfo_ppm[row],
        real_time=False,
    )


def frame_slots(frames: LinkFrames) -> NDArray[np.int64]:
    """Return the time of each frame in units of the median interval, (N,), strictly ascending.

    Where the record's time is not to be trusted, frames count one slot each. Recordings are set
    far apart.
    """
    if frames.real_time:
        slots = np.round(frames.time_s / frames.interval_s).astype(np.int64)
    else:
        slots = np.arange(frames.num_frames)
    result = np.empty_like(slots)
    start = 0
    for number in np.unique(frames.recording):
        index = np.flatnonzero(frames.recording == number)
        own = slots[index] - slots[index[0]]
        # Two frames in one slot: the later one moves on.
        own = np.maximum.accumulate(own - np.arange(len(own))) + np.arange(len(own))
        result[index] = start + own
        start = int(result[index[-1]]) + 2 * frames.num_frames
    return result
