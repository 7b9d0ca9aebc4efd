"""What a fit found, as lines for people."""

import math

from phyemu.fitting.fit import Fit, PathFit
from phyemu.units import power_to_db

__all__ = ["describe"]


def describe(fit: Fit) -> list[str]:
    """Return a few lines on the link, one per path, the held-out check, and the warnings."""
    doppler = fit.doppler_hz
    memory = (
        f"Doppler {doppler.value:.2f} Hz ({doppler.low:.2f} to {doppler.high:.2f})"
        if math.isfinite(doppler.value)
        else "Doppler unknown"
    )
    lines = [
        f"{fit.model.name}: {len(fit.paths)} paths from {fit.num_frames} frames, worth "
        f"{fit.effective_frames:.0f} independent ones",
        f"C/N0 {fit.cn0_dbhz.value:.2f} dB Hz ({fit.cn0_dbhz.low:.2f} to {fit.cn0_dbhz.high:.2f}), "
        f"SNR in band {fit.snr_db.value:.2f} dB, drift {fit.drift_db:.2f} dB, gain "
        f"{fit.gain_db:.2f} dB",
        f"{memory}, RMS delay spread {fit.rms_delay_spread_s * 1e9:.1f} ns, CFO "
        f"{fit.cfo_hz.value / 1e3:.3f} kHz",
    ]
    lines += [_path_line(index, path) for index, path in enumerate(fit.paths)]
    if fit.holdout is not None:
        report = fit.holdout
        paths = ", ".join(f"{distance:.2f}" for distance in report.amplitude)
        lines += [
            f"held out: {report.num_frames} frames; KS distances (below {report.critical:.2f} for "
            f"the same distribution): amplitudes {paths}; delay spread "
            f"{report.rms_delay_spread:.2f}, coherence bandwidth {report.coherence_bandwidth:.2f}, "
            f"power {report.received_power:.2f}, effective SNR {report.effective_snr:.2f}",
            f"held out: the model's median power is {report.received_power_offset_db:+.2f} dB off, "
            f"its median effective SNR {report.effective_snr_offset_db:+.2f} dB",
            "held out: log-likelihood per frame and frequency "
            + ", ".join(f"{name} {value:.2f}" for name, value in report.log_likelihood.items()),
        ]
    return lines + [f"note: {warning}" for warning in fit.warnings]


def _path_line(index: int, path: PathFit) -> str:
    k_factor = path.k_factor
    return (
        f"  path {index}: {path.delay_s * 1e9:8.2f} ns {path.gain_db.value:8.2f} dB "
        f"({100 * path.power.value:5.1f} % of the power), K {_decibels(k_factor.value)} dB "
        f"({_decibels(k_factor.low)} to {_decibels(k_factor.high)}), {path.family}"
    )


def _decibels(value: float) -> str:
    return f"{power_to_db(value):.1f}" if value > 0 else "-inf"
