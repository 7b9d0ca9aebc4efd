"""A frame in words and in JSON."""

from typing import Any

from phyemu.receiver import ReceivedFrame

__all__ = ["frame_line", "frame_values"]


def frame_line(frame: ReceivedFrame, sample_rate_hz: float) -> str:
    """Return a line for people.

    Args:
        frame: As received.
        sample_rate_hz: Rate of the stream [Hz].
    """
    index = f"frame {frame.frame_index}" if frame.frame_index is not None else "-"
    line = (
        f"{frame.sample_start / sample_rate_hz:12.6f} s  sample {frame.sample_start:>10}  "
        f"{index:<11} {frame.status:<12} {frame.received_symbols:>6} symbols  "
        f"SNR {frame.snr_db:5.1f} dB  EVM {frame.evm_db:6.1f} dB  "
        f"CFO {frame.cfo_hz / 1e3:7.2f} kHz  SFO {frame.sfo_ppm:6.2f} ppm  "
        f"timing {frame.timing_samples:5.2f}"
    )
    if frame.erased_symbols:
        line += f"  {frame.erased_symbols} erased"
    if frame.disturbed_symbols:
        line += f"  {frame.disturbed_symbols} disturbed"
    return line


def frame_values(frame: ReceivedFrame, sample_rate_hz: float) -> dict[str, Any]:
    """Return everything but the symbols, with JSON types only.

    Args:
        frame: As received.
        sample_rate_hz: Rate of the stream [Hz].
    """
    return {
        "sample_start": frame.sample_start,
        "time_s": frame.sample_start / sample_rate_hz,
        "samples": frame.sample_count,
        "status": str(frame.status),
        "frame_index": frame.frame_index,
        "payload_symbols": len(frame.points),
        "received_symbols": frame.received_symbols,
        "erased_symbols": frame.erased_symbols,
        "disturbed_symbols": frame.disturbed_symbols,
        "snr_db": frame.snr_db,
        "evm_db": frame.evm_db,
        "cfo_hz": frame.cfo_hz,
        "cfo_drift_hz": frame.cfo_drift_hz,
        "sfo_ppm": frame.sfo_ppm,
        "timing_samples": frame.timing_samples,
        "amplitude": frame.amplitude,
        "noise_variance": frame.noise_variance,
    }
