"""Sample rates that a USRP can have, and the master clocks they need."""

import math
from typing import Any

from phyemu.errors import ConfigError, RadioError

__all__ = ["check_rate", "master_clock_hz", "nearest_rates"]

# An X310 runs at one of these (Ettus' manual, "USRP-X3x0 Series", master clock rates).
_X310_CLOCKS_HZ = (200e6, 184.32e6)
# A B210 clocks both channels from one AD9361, each at half of its 61.44 MHz.
_B210_CLOCK_OF_TWO_HZ = 30.72e6
_B210_LOWEST_CLOCK_HZ = 5e6
# Its decimator halves twice and then divides by up to 128.
_B210_LARGEST_FACTOR = 512
# What a device calls the same rate may differ by this much; more is another rate.
_ROUNDING = 1e-3


def master_clock_hz(device_type: str, sample_rate_hz: float, num_channels: int) -> float | None:
    """Return the master clock that a rate needs [Hz]; None where the device's own choice is right.

    An X310 starts at 200 MHz and cannot change its clock later, so that LTE's rates, which divide
    184.32 MHz only, need it when the device is opened. A B200 family device picks its clock when
    the rate is set, before it knows that a second channel will halve what it may be.

    >>> master_clock_hz("x300", 30.72e6, 1)
    184320000.0
    >>> master_clock_hz("b200", 20e6, 2)
    20000000.0
    """
    if device_type == "x300":
        fits = [clock for clock in _X310_CLOCKS_HZ if _divides(sample_rate_hz, clock)]
        return fits[0] if fits and fits[0] != _X310_CLOCKS_HZ[0] else None
    if device_type != "b200" or num_channels < 2:
        return None
    # Both halving filters in use are best, then one of them.
    for step in (4, 2, 1):
        factor = int(_B210_CLOCK_OF_TWO_HZ / (sample_rate_hz * step) + 1e-9) * step
        factor = min(factor, _B210_LARGEST_FACTOR)
        if factor and factor * sample_rate_hz >= _B210_LOWEST_CLOCK_HZ:
            return factor * sample_rate_hz
    raise ConfigError(
        f"two channels of a B210 run at up to {_B210_CLOCK_OF_TWO_HZ / 1e6:g} MHz each, got "
        f"{sample_rate_hz / 1e6:g} MHz; choose a lower rate, or one channel"
    )


def _divides(rate_hz: float, clock_hz: float) -> bool:
    return math.isclose(clock_hz / rate_hz, round(clock_hz / rate_hz), rel_tol=1e-9)


def nearest_rates(rates: Any, wanted_hz: float) -> list[float]:
    """Return the nearest rates below and above [Hz]; one of them where there is no other.

    Args:
        rates: The driver's range, which tells only the nearest of any value (`clip`).
        wanted_hz: The rate that is not among them.
    """
    found = {
        rate
        for towards, edge in ((-1.0, float(rates.start())), (1.0, float(rates.stop())))
        if (rate := _nearest(rates, wanted_hz, towards, edge)) is not None
    }
    return sorted(found)


def _nearest(rates: Any, wanted_hz: float, towards: float, edge_hz: float) -> float | None:
    # Walk away from the wanted rate until the nearest one lies on that side.
    distance = 0.0
    while True:
        rate = float(rates.clip(wanted_hz + towards * distance))
        if (rate - wanted_hz) * towards >= 0:
            return rate
        if (wanted_hz + towards * distance - edge_hz) * towards >= 0:
            return None
        distance = 1.25 * distance + wanted_hz / 1000


def check_rate(name: str, actual_hz: float, wanted_hz: float, rates: Any) -> None:
    """Refuse a rate that is not the one asked for, up to the device's rounding.

    Args:
        name: The device and the channel, for the message.
        actual_hz: The rate that it set [Hz].
        wanted_hz: The rate that was asked for [Hz].
        rates: The driver's range of rates; None where it tells none.

    Raises:
        RadioError: They differ by more than one in a thousand.
    """
    if math.isclose(actual_hz, wanted_hz, rel_tol=_ROUNDING):
        return
    nearest = [actual_hz] if rates is None else nearest_rates(rates, wanted_hz)
    shown = " and ".join(f"{rate / 1e6:.6g}" for rate in nearest)
    raise RadioError(
        f"{name} cannot have {wanted_hz / 1e6:.6g} Msps and took {actual_hz / 1e6:.6g}; the "
        f"nearest rates are {shown} Msps"
    )
