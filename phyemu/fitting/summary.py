"""What a fit found, as lines for people."""

import math

from phyemu.channel import FadingFamily
from phyemu.fitting.fit import Fit, PathFit
from phyemu.fitting.holdout import HoldoutReport
from phyemu.fitting.interval import Interval
from phyemu.units import power_to_db

__all__ = ["describe"]

_IMPAIRMENTS = {  # label, unit, factor to it
    "sfo_ppm": ("SFO", "ppm", 1.0),
    "linewidth_hz": ("linewidth", "Hz", 1.0),
    "iq_gain_db": ("IQ gain", "dB", 1.0),
    "iq_phase_rad": ("IQ phase", "mrad", 1e3),
    "dc_offset": ("DC", "% of full scale", 100.0),
}


def describe(fit: Fit) -> list[str]:
    """Return a few lines on the link, one per path, the held-out check, and the warnings."""
    doppler, spread, cfo = fit.doppler_hz, fit.rms_delay_spread_s, fit.cfo_hz
    memory = (
        f"Doppler {doppler.value:.2f} Hz{_ends(doppler, '.2f')}, coherence time "
        f"{_milliseconds(fit.coherence_time_s)}"
        if math.isfinite(doppler.value)
        else "Doppler unknown"
    )
    drift = f"drift {fit.drift_db:.2f} dB"
    if math.isfinite(fit.drift_correlation_s):
        drift += f" over {fit.drift_correlation_s:.3g} s"
    lines = [
        f"{fit.model.name}: {len(fit.paths)} paths from {fit.num_frames} frames, worth "
        f"{fit.effective_frames:.0f} independent ones; intervals are those of 95 %",
        f"C/N0 {fit.cn0_dbhz.value:.2f} dB Hz{_ends(fit.cn0_dbhz, '.2f')}, "
        f"SNR in band {fit.snr_db.value:.2f} dB, {drift}, gain {fit.gain_db:.2f} dB",
        f"{memory}, RMS delay spread {spread.value * 1e9:.1f} ns{_ends(spread, '.1f', 1e9)}",
        f"CFO {cfo.value / 1e3:.3f} kHz{_ends(cfo, '.3f', 1e-3)}"
        + "".join(_impairment(fit, name) for name in _IMPAIRMENTS if name in fit.front_end),
    ]
    lines += [_path_line(index, path) for index, path in enumerate(fit.paths)]
    if fit.holdout is not None:
        lines += _holdout_lines(fit.holdout)
    return lines + [f"note: {warning}" for warning in fit.warnings]


def _holdout_lines(report: HoldoutReport) -> list[str]:
    paths = ", ".join(f"{distance:.2f}" for distance in report.amplitude)
    time = (
        "coherence time not told"
        if math.isnan(report.coherence_time)
        else f"coherence time {report.coherence_time:.2f} (below "
        f"{report.coherence_time_critical:.2f})"
    )
    lines = [
        f"held out: {report.num_frames} frames, worth {report.effective_frames:.0f}; KS distances "
        f"(below {report.critical:.2f} for the same distribution): amplitudes {paths}; delay "
        f"spread {report.rms_delay_spread:.2f}, coherence bandwidth "
        f"{report.coherence_bandwidth:.2f}, {time}, power {report.received_power:.2f}, effective "
        f"SNR {report.effective_snr:.2f}",
        f"held out: the model's median power is {report.received_power_offset_db:+.2f} dB off, "
        f"its median effective SNR {report.effective_snr_offset_db:+.2f} dB",
    ]
    measured_s, model_s = report.coherence_time_s
    if math.isfinite(measured_s) and math.isfinite(model_s):
        lines.append(
            f"held out: the fading's coherence time is {_milliseconds(measured_s)}, the model's "
            f"{_milliseconds(model_s)}"
        )
    likelihoods = ", ".join(f"{name} {value:.2f}" for name, value in report.log_likelihood.items())
    return [*lines, f"held out: log-likelihood per frame and frequency {likelihoods}"]


def _impairment(fit: Fit, name: str) -> str:
    label, unit, scale = _IMPAIRMENTS[name]
    item = fit.front_end[name]
    return f", {label} {item.value * scale:.3g} {unit}{_ends(item, '.3g', scale)}"


def _ends(item: Interval, form: str, scale: float = 1.0) -> str:
    """Return the ends of an interval in brackets; nothing where they are not known."""
    if not (math.isfinite(item.low) and math.isfinite(item.high)):
        return ""
    return f" ({item.low * scale:{form}} to {item.high * scale:{form}})"


def _milliseconds(time_s: float) -> str:
    return f"{time_s * 1e3:.3g} ms" if math.isfinite(time_s) else "endless"


def _path_line(index: int, path: PathFit) -> str:
    k_factor, half_s = path.k_factor, path.delay_interval_s.high - path.delay_s
    family = str(path.family)
    if path.family.reshapes:
        symbol = "m" if path.family is FadingFamily.NAKAGAMI else "sigma"
        family += f" {symbol} {path.shape.value:.2f}{_ends(path.shape, '.2f')}"
    return (
        f"  path {index}: {path.delay_s * 1e9:8.2f} ns +- {half_s * 1e9:.2f} "
        f"{path.gain_db.value:8.2f} dB, {100 * path.power.value:5.1f} % of the power"
        f"{_ends(path.power, '.1f', 100.0)}, K "
        f"{_decibels(k_factor.value)} dB ({_decibels(k_factor.low)} to "
        f"{_decibels(k_factor.high)}), {family}"
    )


def _decibels(value: float) -> str:
    return f"{power_to_db(value):.1f}" if value > 0 else "-inf"
