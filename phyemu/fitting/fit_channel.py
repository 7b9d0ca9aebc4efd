"""From soundings to a channel model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phyemu import __version__
from phyemu.channel import DopplerSpectrum, EmpiricalChannel, FrontEnd
from phyemu.errors import FitError
from phyemu.fitting.amplitude_family import AmplitudeFit, fit_amplitude_families
from phyemu.fitting.bootstrap import LinkUncertainty, resample_link
from phyemu.fitting.config import FitConfig, FitMethod
from phyemu.fitting.fading_memory import FadingMemory, effective_frames, measure_memory
from phyemu.fitting.fit import Fit, FitEvidence, PathFit
from phyemu.fitting.front_end_fit import describe_unknowns, fit_front_end
from phyemu.fitting.holdout import check_holdout, frame_slots
from phyemu.fitting.interval import Interval
from phyemu.fitting.level import LinkLevel, level_out
from phyemu.fitting.link_frames import LinkFrames, pool_soundings
from phyemu.fitting.link_selection import select_link, with_marginal_k
from phyemu.fitting.measured import measured_channel
from phyemu.fitting.path_gains import PathGains, find_paths
from phyemu.fitting.rician_link import RicianLink, fit_rician_link
from phyemu.progress import ProgressCallback, no_progress
from phyemu.sounding import Sounding
from phyemu.units import power_to_db

__all__ = ["fit_channel"]

_STAGE = "fit"
_FEW_FRAMES = 10.0
_FEW_FRAMES_IN_TIME = 30
_MIN_BLOCK_S = 0.02
_SAME_CFO_HZ = 5e3
_MIN_EXPLAINED = 0.95
_MAJOR_SHARE = 0.05  # of the power, that a path needs to be worth a warning
_MARGIN = 3.0  # [nat] by which one family must beat another to act on it


def fit_channel(
    soundings: Sequence[Sounding],
    config: FitConfig | None = None,
    *,
    progress: ProgressCallback = no_progress,
) -> Fit:
    """Return the channel model that the soundings support.

    Args:
        soundings: Of one link or several; those of `config.transmitter` are used, pooled.
        config: Settings; by default those of `FitConfig()`.
        progress: Called as the work goes on.

    Raises:
        FitError: No sounding of that transmitter, or soundings that do not belong together.
    """
    config = config or FitConfig()
    chosen = _of_transmitter(soundings, config.transmitter)
    frames = pool_soundings(chosen)
    warnings = _about_identity(chosen)
    held_out: LinkFrames | None = None
    if config.holdout > 0:
        frames, held_out = frames.split(config.holdout)
    progress(_STAGE, 0, 5, "paths")
    paths = find_paths(frames, max_paths=config.max_paths)
    progress(_STAGE, 1, 5, "fading")
    fading = _fit_fading(frames, paths)
    progress(_STAGE, 2, 5, "distributions")
    families = [
        fit_amplitude_families(
            np.abs(fading.paths.gains[:, path]),
            error_variance=fading.paths.error_variance[:, path],
            effective_frames=fading.worth,
        )
        for path in range(paths.num_paths)
    ]
    link, unlocked = with_marginal_k(
        fading.link,
        np.array([family.k_factor for family in families]),
        np.array([_prefers_rice(family, fading.worth) for family in families]),
    )
    front_end = fit_front_end(frames, chosen)
    progress(_STAGE, 3, 5, "uncertainty")
    uncertainty = resample_link(
        fading.paths,
        link,
        effective_frames=fading.worth,
        num_resamples=config.num_resamples,
        rng=np.random.default_rng(config.seed),
    )
    model = _model(config, chosen, frames, paths, link, fading, front_end)
    progress(_STAGE, 4, 5, "check")
    holdout = None
    if held_out is not None:
        holdout = check_holdout(
            model,
            fitted=frames,
            held_out=held_out,
            delays_s=paths.delays_s,
            link=link,
            memory=fading.memory,
            seed=config.seed,
        )
    warnings += _about_record(frames, fading)
    warnings += _about_paths(paths, families, unlocked, fading)
    warnings += describe_unknowns(frames, chosen)
    fit = Fit(
        model=model,
        num_frames=frames.num_frames,
        effective_frames=fading.worth,
        paths=_path_fits(paths, link, uncertainty, families, fading),
        gain_db=10.0 * math.log10(fading.level.gain),
        cn0_dbhz=fading.level.cn0_dbhz,
        snr_db=_shifted(fading.level.cn0_dbhz, -10.0 * math.log10(frames.bandwidth_hz)),
        drift_db=fading.level.drift_db,
        cfo_hz=_drift_interval(front_end),
        doppler_hz=fading.doppler_hz,
        coherence_time_s=fading.coherence_time_s,
        rms_delay_spread_s=_delay_spread_s(link.powers, paths.delays_s),
        explained=fading.level.explained,
        correlated=bool(model.correlation),
        holdout=holdout,
        warnings=tuple(warnings),
        evidence=FitEvidence(frames=frames, paths=fading.paths, link=link, memory=fading.memory),
    )
    if config.method is FitMethod.MEASURED:
        fit = replace(fit, model=measured_channel(model, frames, paths))
    progress(_STAGE, 5, 5, f"{paths.num_paths} paths")
    return fit


def _prefers_rice(family: AmplitudeFit, worth: float) -> bool:
    """Return whether the amplitudes alone show a specular part beyond doubt."""
    gained = family.log_likelihoods["rician"] - family.log_likelihoods["rayleigh"]
    return family.family == "rician" and worth >= _FEW_FRAMES and worth * gained > _MARGIN


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Fading:
    """What the frames say about fading, drift undone."""

    paths: PathGains
    link: RicianLink
    memory: FadingMemory
    path_dopplers: tuple[Interval, ...]
    level: LinkLevel
    worth: float
    real_time: bool

    @property
    def doppler_hz(self) -> Interval:
        """Doppler of the link; NaN where the record's time is not to be trusted."""
        return self.memory.doppler_hz if self.real_time else Interval(value=math.nan)

    @property
    def coherence_time_s(self) -> float:
        """Coherence time of the link [s]; NaN likewise."""
        return self.memory.coherence_time_s if self.real_time else math.nan


def _fit_fading(frames: LinkFrames, paths: PathGains) -> _Fading:
    """Return the link, its memory and its level; a drift is undone and the link fitted again."""
    none = np.zeros(paths.num_paths, bool)
    slots, interval_s = frame_slots(frames), frames.interval_s
    count = frames.num_frames

    def worth_of(link: RicianLink, gains: PathGains) -> tuple[FadingMemory, float]:
        memory = measure_memory(gains, link, slots, interval_s=interval_s)
        return memory, effective_frames(memory, num_frames=count, interval_s=interval_s)

    # Frames that hardly change are worth few, unless a specular part explains why.
    _, worth = worth_of(fit_rician_link(paths, specular=none, correlated=False), paths)
    link = select_link(paths, effective_frames=worth)
    memory, worth = worth_of(link, paths)
    level = level_out(frames, link, delays_s=paths.delays_s, effective_frames=worth)
    if level.drift_db > 0:
        paths = paths.scaled(level.amplitude)
        link = select_link(paths, effective_frames=worth)
        memory, worth = worth_of(link, paths)
    dopplers = [_path_doppler(paths, link, path, slots, interval_s) for path in range(len(none))]
    return _Fading(
        paths=paths,
        link=link,
        memory=memory,
        path_dopplers=tuple(dopplers),
        level=level,
        worth=worth,
        real_time=frames.real_time,
    )


def _path_doppler(
    paths: PathGains, link: RicianLink, path: int, slots: NDArray[np.int64], interval_s: float
) -> Interval:
    """Return the Doppler that one path alone shows."""
    alone = PathGains(
        delays_s=paths.delays_s[[path]],
        gains=paths.gains[:, [path]],
        noise_level=paths.noise_level,
        noise_shape=paths.noise_shape[np.ix_([path], [path])],
    )
    part = RicianLink(
        specular=link.specular[[path]],
        covariance=link.covariance[np.ix_([path], [path])],
        log_likelihood=0.0,
    )
    return measure_memory(alone, part, slots, interval_s=interval_s).doppler_hz


def _of_transmitter(soundings: Sequence[Sounding], transmitter: int | str) -> list[Sounding]:
    if not soundings:
        raise FitError("no soundings to fit; sound a recording first (phyemu sound)")
    chosen = [sounding for sounding in soundings if sounding.is_of(transmitter)]
    if not chosen:
        names = {(s.transmitter, s.transmitter_address or "") for s in soundings}
        known = ", ".join(f"{number} {address}".strip() for number, address in sorted(names))
        raise FitError(
            f"no sounding of transmitter {transmitter}; the recordings hold transmitters {known}"
        )
    return chosen


def _about_identity(soundings: Sequence[Sounding]) -> list[str]:
    centres = [float(np.median(sounding.cfo_hz)) for sounding in soundings]
    if max(centres) - min(centres) <= _SAME_CFO_HZ:
        return []
    return [
        f"the recordings' carrier offsets differ by {(max(centres) - min(centres)) / 1e3:.1f} kHz: "
        "transmitters are matched by their rank in power and may not be the same radio"
    ]


def _model(
    config: FitConfig,
    soundings: Sequence[Sounding],
    frames: LinkFrames,
    paths: PathGains,
    link: RicianLink,
    fading: _Fading,
    front_end: FrontEnd,
) -> EmpiricalChannel:
    """Return the model: path powers of sum one, delays from the first path on."""
    diffuse = np.sqrt(np.maximum(link.diffuse, 1e-300))
    correlation = link.covariance / np.outer(diffuse, diffuse)
    np.fill_diagonal(correlation, 1.0)
    off_diagonal = correlation - np.eye(len(diffuse))
    doppler = fading.doppler_hz.value
    known = math.isfinite(doppler) and doppler > 0
    recordings = [
        {"name": item.recording_name, "sha512": item.recording_sha512} for item in soundings
    ]
    return EmpiricalChannel(
        name=config.name,
        delays_s=tuple((paths.delays_s - paths.delays_s[0]).tolist()),
        powers=tuple((link.powers / link.powers.sum()).tolist()),
        k_factor=tuple(link.k_factor.tolist()),
        doppler_hz=(doppler if known else 0.0,) * paths.num_paths,
        cn0_dbhz=fading.level.distribution(),
        front_end=front_end,
        spectrum=fading.memory.spectrum if known else DopplerSpectrum.JAKES,
        specular_phase_rad=tuple(np.angle(link.specular).tolist()),
        correlation=(
            tuple(tuple(row) for row in correlation.tolist())
            if float(np.abs(off_diagonal).max()) > 1e-9
            else ()
        ),
        block_s=None if known else max(frames.interval_s, _MIN_BLOCK_S),
        sample_rate_hz=soundings[0].sample_rate_hz,
        bandwidth_hz=frames.bandwidth_hz,
        center_frequency_hz=soundings[0].center_frequency_hz,
        provenance={
            "recordings": recordings,
            "calibration": soundings[0].provenance.get("calibration"),
            "transmitter": config.transmitter,
            "probe": soundings[0].probe,
            "frames": frames.num_frames,
            "effective_frames": fading.worth,
            "gain_db": 10.0 * math.log10(fading.level.gain),
            "command": "phyemu fit",
            "version": __version__,
            "seed": config.seed,
        },
    )


def _path_fits(
    paths: PathGains,
    link: RicianLink,
    uncertainty: LinkUncertainty,
    families: Sequence[AmplitudeFit],
    fading: _Fading,
) -> tuple[PathFit, ...]:
    return tuple(
        PathFit(
            delay_s=float(paths.delays_s[path] - paths.delays_s[0]),
            power=uncertainty.powers[path],
            gain_db=_decibels(uncertainty.gains[path]),
            k_factor=uncertainty.k_factor[path],
            family=families[path].family,
            log_likelihoods=families[path].log_likelihoods,
            doppler_hz=(
                fading.path_dopplers[path] if fading.real_time else Interval(value=math.nan)
            ),
        )
        for path in range(paths.num_paths)
    )


def _about_record(frames: LinkFrames, fading: _Fading) -> list[str]:
    warnings = []
    worth, count = fading.worth, frames.num_frames
    if worth < _FEW_FRAMES:
        warnings.append(
            f"the record is short: its {count} frames are worth {worth:.1f} independent ones, so "
            "powers and K describe this record more than the place; record for longer, or while "
            "something moves"
        )
    if not frames.real_time:
        warnings.append(
            "the frames are taken as independent blocks: the recording may have had its silence "
            "cut, so it tells no Doppler"
        )
    elif count < _FEW_FRAMES_IN_TIME:
        warnings.append(f"too few frames ({count}) to tell how fast they fade")
    elif not fading.memory.resolved and fading.memory.lags_s.size:
        warnings.append(
            f"the frames lie {frames.interval_s * 1e3:.3g} ms apart and fade independently: the "
            "Doppler is faster than they can show; sound more often"
        )
    elif not fading.memory.resolved or fading.doppler_hz.value == 0:
        warnings.append("nothing in the record fades above the noise: the model stands still")
    if fading.level.explained < _MIN_EXPLAINED:
        warnings.append(
            f"the paths hold {100 * fading.level.explained:.0f} % of the received power; "
            "allow more of them (--max-paths)"
        )
    return warnings


def _about_paths(
    paths: PathGains,
    families: Sequence[AmplitudeFit],
    unlocked: Sequence[int],
    fading: _Fading,
) -> list[str]:
    warnings = []
    shares = fading.link.powers / fading.link.powers.sum()
    delays_ns = (paths.delays_s - paths.delays_s[0]) * 1e9
    turning = [path for path in unlocked if shares[path] > _MAJOR_SHARE]
    if turning:
        names = ", ".join(f"{delays_ns[path]:.0f} ns" for path in turning)
        warnings.append(
            f"the steady parts of the paths at {names} turn against the others; the model keeps "
            "their K and holds their phases"
        )
    for path, family in enumerate(families):
        best = family.log_likelihoods[family.family]
        margin = fading.worth * (best - family.log_likelihoods["rician"])
        if margin > _MARGIN and shares[path] > _MAJOR_SHARE:
            warnings.append(
                f"the path at {delays_ns[path]:.0f} ns fades {family.family} rather "
                "than Rician, which is all the model can draw; compare --method measured"
            )
    return warnings


def _delay_spread_s(powers: NDArray[np.float64], delays_s: NDArray[np.float64]) -> float:
    weights = powers / powers.sum()
    mean = float(weights @ delays_s)
    return math.sqrt(max(float(weights @ np.square(delays_s)) - mean**2, 0.0))


def _drift_interval(front_end: FrontEnd) -> Interval:
    mean, std = front_end.cfo_hz.mean, front_end.cfo_hz.std
    return Interval(value=mean, low=mean - 2.0 * std, high=mean + 2.0 * std)


def _shifted(interval: Interval, offset: float) -> Interval:
    return Interval(
        value=interval.value + offset, low=interval.low + offset, high=interval.high + offset
    )


def _decibels(interval: Interval) -> Interval:
    return Interval(
        value=power_to_db(interval.value),
        low=power_to_db(interval.low),
        high=power_to_db(interval.high),
    )
