"""The rate and the frequency of a USRP: asked for, and then what the device really took."""

from collections.abc import Sequence
from typing import Any

from phyemu.errors import RadioError
from phyemu.radio.usrp_config import UsrpConfig
from phyemu.radio.usrp_driver import ask, set_or_refuse
from phyemu.radio.usrp_rates import check_rate

__all__ = ["agreed", "tune"]

# A synthesiser is off by hertz; more than this part of the rate, and the device cannot tune there.
_TUNED_WITHIN = 0.01


def tune(
    uhd: Any,
    device: Any,
    direction: str,
    channel: int,
    center_frequency_hz: float,
    lo_offset_hz: float,
) -> float:
    """Tune one channel of one direction ("rx", "tx"), and return the LO offset it took [Hz].

    Raises:
        RadioError: The device refuses the frequency.
    """
    request = uhd.types.TuneRequest(center_frequency_hz)
    if lo_offset_hz:
        request = uhd.types.TuneRequest(center_frequency_hz, lo_offset_hz)
    setter = getattr(device, f"set_{direction}_freq")
    tuned = set_or_refuse(f"{direction} freq of channel {channel}", setter, request, channel)
    # The LO is where the front end is; what is left to the center the DSP makes up for.
    return float(tuned.actual_rf_freq) - float(getattr(device, f"get_{direction}_freq")(channel))


def agreed(
    device: Any, name: str, setting: str, channels: Sequence[int], config: UsrpConfig
) -> float:
    """Return the rate ("rate") or frequency ("freq") that all receive channels really have [Hz].

    Raises:
        RadioError: They took different ones, or another than was asked for.
    """
    values = [float(getattr(device, f"get_rx_{setting}")(number)) for number in channels]
    kind, tolerance = ("rate", 1e-3) if setting == "rate" else ("frequency", 1.0)
    if max(values) - min(values) > tolerance:
        shown = ", ".join(f"{value:.3f}" for value in values)
        raise RadioError(
            f"{name}: channels {channels} took different {kind}s ({shown} Hz), but a "
            "recording has one; record them one at a time"
        )
    if setting == "rate":
        rates = ask(device.get_rx_rates, channels[0])
        check_rate(name, values[0], config.sample_rate_hz, rates)
    elif abs(values[0] - config.center_frequency_hz) > _TUNED_WITHIN * config.sample_rate_hz:
        reach = ask(device.get_rx_freq_range, channels[0])
        span = "" if reach is None else f" ({reach.start():.6g} to {reach.stop():.6g} Hz)"
        raise RadioError(
            f"{name} cannot receive at {config.center_frequency_hz:.6g} Hz and took "
            f"{values[0]:.6g} Hz; choose a frequency within its range{span}"
        )
    return values[0]
