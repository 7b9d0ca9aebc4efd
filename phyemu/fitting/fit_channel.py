"""From soundings to a channel model."""

import math
from collections.abc import Sequence

import numpy as np

from phyemu.channel import EmpiricalChannel, MeasuredChannel
from phyemu.errors import FitError
from phyemu.fitting.amplitude_family import AmplitudeFit, fit_amplitude_families
from phyemu.fitting.bootstrap import resample_link
from phyemu.fitting.config import FitConfig, FitMethod
from phyemu.fitting.delay_uncertainty import delay_intervals
from phyemu.fitting.empirical_fit import FittedParts, empirical_channel
from phyemu.fitting.fit import Fit, FitEvidence, PathFit
from phyemu.fitting.front_end_fit import describe_unknowns, fit_front_end, front_end_intervals
from phyemu.fitting.holdout import check_holdout
from phyemu.fitting.interval import Interval
from phyemu.fitting.link_fading import LinkFading, fit_fading
from phyemu.fitting.link_frames import LinkFrames, pool_soundings
from phyemu.fitting.link_selection import with_marginal_k
from phyemu.fitting.measured import measured_channel
from phyemu.fitting.path_gains import find_paths
from phyemu.fitting.shortfalls import (
    FEW_FRAMES,
    about_families,
    about_holdout,
    about_identity,
    about_record,
    about_turning,
)
from phyemu.progress import ProgressCallback, no_progress
from phyemu.sounding import Sounding
from phyemu.units import power_to_db

__all__ = ["fit_channel"]

_STAGE = "fit"
_MARGIN = 3.0  # [nat] by which Rice must beat Rayleigh to overrule the joint fit


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
    held_out: LinkFrames | None = None
    if config.holdout > 0 and frames.can_split(config.holdout):
        frames, held_out = frames.split(config.holdout)
    progress(_STAGE, 0, 5, "paths")
    paths = find_paths(frames, max_paths=config.max_paths)
    progress(_STAGE, 1, 5, "fading")
    fading = fit_fading(frames, paths)
    progress(_STAGE, 2, 5, "distributions")
    families = _families(fading)
    link, unlocked = with_marginal_k(
        fading.link,
        np.array([family.k_factor for family in families]),
        np.array([_prefers_rice(family, fading.worth) for family in families]),
    )
    progress(_STAGE, 3, 5, "uncertainty")
    parts = FittedParts(
        link=link,
        fading=fading,
        families=families,
        delays_s=delay_intervals(frames, paths),
        uncertainty=resample_link(
            fading.paths,
            link,
            frequencies_hz=frames.frequencies_hz,
            effective_frames=fading.worth,
            num_resamples=config.num_resamples,
            rng=np.random.default_rng(config.seed),
        ),
        front_end=fit_front_end(frames, chosen),
        front_end_means=front_end_intervals(frames, chosen),
    )
    parametric = empirical_channel(config, chosen, frames, parts)
    model: EmpiricalChannel | MeasuredChannel = parametric
    if config.method is FitMethod.MEASURED:
        cn0_dbhz = fading.level.cn0_dbhz.value + fading.level.unit_power_offset_db
        model = measured_channel(parametric, frames, paths, cn0_dbhz=cn0_dbhz)
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
    warnings = [
        *about_identity(chosen),
        *about_record(frames, fading, config),
        *about_families(families, fading),
        *about_turning(fading, unlocked),
        *about_holdout(config, frames, holdout),
        *describe_unknowns(frames, chosen),
    ]
    progress(_STAGE, 5, 5, f"{paths.num_paths} paths")
    level = fading.level
    return Fit(
        model=model,
        num_frames=frames.num_frames,
        effective_frames=fading.worth,
        paths=_path_fits(parts),
        gain_db=10.0 * math.log10(level.gain),
        cn0_dbhz=level.cn0_dbhz,
        snr_db=_shifted(level.cn0_dbhz, -10.0 * math.log10(frames.bandwidth_hz)),
        drift_db=level.drift_db,
        drift_correlation_s=math.nan if level.memory is None else level.memory.correlation_s,
        cfo_hz=parts.front_end_means.get("cfo_hz", Interval(value=parts.front_end.cfo_hz.mean)),
        front_end=parts.front_end_means,
        doppler_hz=fading.doppler_hz,
        coherence_time_s=fading.coherence_time_s,
        rms_delay_spread_s=parts.uncertainty.delay_spread_s,
        explained=level.explained,
        correlated=bool(parametric.correlation),
        holdout=holdout,
        warnings=tuple(warnings),
        evidence=FitEvidence(
            frames=frames,
            held_out=held_out,
            paths=fading.paths,
            link=link,
            memory=fading.memory,
        ),
    )


def _families(fading: LinkFading) -> list[AmplitudeFit]:
    return [
        fit_amplitude_families(
            np.abs(fading.paths.gains[:, path]),
            error_variance=fading.paths.error_variance[:, path],
            effective_frames=fading.worth,
        )
        for path in range(fading.paths.num_paths)
    ]


def _prefers_rice(family: AmplitudeFit, worth: float) -> bool:
    """Return whether the amplitudes alone show a specular part beyond doubt."""
    likelihoods = family.log_likelihoods
    gained = likelihoods["rician"] - likelihoods["rayleigh"]
    best = likelihoods["rician"] >= max(likelihoods.values())
    return best and worth >= FEW_FRAMES and worth * gained > _MARGIN


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


def _path_fits(parts: FittedParts) -> tuple[PathFit, ...]:
    fading, uncertainty = parts.fading, parts.uncertainty
    return tuple(
        PathFit(
            delay_s=parts.delays_s[path].value,
            delay_interval_s=parts.delays_s[path],
            power=uncertainty.powers[path],
            gain_db=_decibels(uncertainty.gains[path]),
            k_factor=uncertainty.k_factor[path],
            family=parts.family(path),
            shape=parts.shape(path),
            log_likelihoods=family.log_likelihoods,
            doppler_hz=(
                fading.path_dopplers[path] if fading.real_time else Interval(value=math.nan)
            ),
        )
        for path, family in enumerate(parts.families)
    )


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
