"""The clock and the time of a USRP: references chosen, waited for, and device time set to UTC.

Device time is UTC, so that recordings of several hosts share one time and a start can be asked for
by the clock on the wall. With an external or GPS time source it is set at a pulse per second, to
whole seconds, on all motherboards at once; without one it follows this computer's clock.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from phyemu.errors import RadioError
from phyemu.radio.usrp_driver import DRIVER_ERRORS, ask, driver_message

__all__ = [
    "await_start",
    "check_start",
    "set_device_time",
    "use_references",
    "wait_for_clocks",
    "wait_for_los",
]

_EXTERNAL = ("external", "gpsdo")
# An oven in a GPSDO needs longer than any PLL [s].
_REFERENCE_LOCK_S = 10.0
# UHD's examples give the LO as long [s].
_LO_LOCK_S = 1.0
# Pulses come once a second; this long without one and there is none [s].
_PULSE_S = 1.5
_POLL_S = 0.01
# The first `receive` has to come this long before the start [s].
_START_LEAD_S = 0.5


def use_references(device: Any, clock_source: str | None, time_source: str | None) -> None:
    """Choose clock and time source on all motherboards; None leaves what is set.

    Raises:
        RadioError: The device has no such source.
    """
    for kind, source in (("clock", clock_source), ("time", time_source)):
        if source is None:
            continue
        try:
            getattr(device, f"set_{kind}_source")(source)
        except DRIVER_ERRORS as exc:
            known = ask(getattr(device, f"get_{kind}_sources"), 0)
            offered = f"; it has {', '.join(known)}" if known else ""
            raise RadioError(
                f"the USRP refuses {source} as {kind}_source: {driver_message(exc)}{offered}"
            ) from exc


def wait_for_clocks(device: Any) -> None:
    """Wait until every motherboard has locked to its external clock.

    A device without such a sensor is believed.

    Raises:
        RadioError: One does not lock.
    """
    for board in range(device.get_num_mboards()):
        source = ask(device.get_clock_source, board)
        names = ask(device.get_mboard_sensor_names, board) or []
        if source in _EXTERNAL and "ref_locked" in names:
            _await_lock(
                partial(device.get_mboard_sensor, "ref_locked", board),
                _REFERENCE_LOCK_S,
                f"motherboard {board} does not lock to its {source} clock within "
                f"{_REFERENCE_LOCK_S:g} s; check the 10 MHz reference and its cable, or use "
                "clock source internal",
            )


def wait_for_los(device: Any, direction: str, channels: tuple[int, ...]) -> None:
    """Wait until every local oscillator of a direction ("rx" or "tx") has locked.

    A device without such a sensor is believed.

    Raises:
        RadioError: One does not lock.
    """
    for channel in channels:
        names = ask(getattr(device, f"get_{direction}_sensor_names"), channel) or []
        if "lo_locked" in names:
            name = {"rx": "receive", "tx": "transmit"}[direction]
            _await_lock(
                partial(getattr(device, f"get_{direction}_sensor"), "lo_locked", channel),
                _LO_LOCK_S,
                f"the {name} LO of channel {channel} does not lock within {_LO_LOCK_S:g} s; "
                "choose another frequency or LO offset",
            )


def _await_lock(sensor: Callable[[], Any], patience_s: float, complaint: str) -> None:
    deadline = time.monotonic() + patience_s
    while not sensor().to_bool():
        if time.monotonic() > deadline:
            raise RadioError(f"the USRP is not ready: {complaint}")
        time.sleep(_POLL_S)


def set_device_time(uhd: Any, device: Any) -> str:
    """Set the device's time to UTC and return by what: "host", "pps", or "gps".

    Raises:
        RadioError: There is no pulse, motherboards disagree, or several of them share no time.
    """
    num_boards = device.get_num_mboards()
    source = ask(device.get_time_source, 0)
    if source not in _EXTERNAL:
        if num_boards > 1:
            raise RadioError(
                f"{num_boards} motherboards need a common clock and time to be aligned; connect a "
                "10 MHz reference and a pulse per second to each and use clock source and time "
                "source external"
            )
        device.set_time_now(_spec(uhd, time.time()))
        return "host"
    # Set it right after an edge, so that there is a whole second until the next one.
    _await_pulse(device, device.get_time_last_pps(0).get_real_secs())
    gps = _gps_seconds(device)
    second = (round(time.time()) if gps is None else gps) + 1
    device.set_time_next_pps(_spec(uhd, second))
    last = _await_pulse(device, device.get_time_last_pps(0).get_real_secs())
    times = [device.get_time_last_pps(board).get_real_secs() for board in range(num_boards)]
    if last != second or any(abs(value - second) > 1e-6 for value in times):
        raise RadioError(
            f"the USRP did not take the time {second} at the pulse, its motherboards say "
            f"{', '.join(f'{value:.6f}' for value in times)} s; check that the pulse reaches all "
            "of them"
        )
    return "pps" if gps is None else "gps"


def _await_pulse(device: Any, last: float) -> float:
    """Return the time of the next pulse, as the device counts it [s]."""
    deadline = time.monotonic() + _PULSE_S
    while (now := float(device.get_time_last_pps(0).get_real_secs())) == last:
        if time.monotonic() > deadline:
            raise RadioError(
                f"the USRP sees no pulse per second within {_PULSE_S:g} s; check the cable, or use "
                "time source internal"
            )
        time.sleep(_POLL_S)
    return now


def _gps_seconds(device: Any) -> int | None:
    """Return UTC by GPS [s]; None where there is no fix."""
    names = ask(device.get_mboard_sensor_names, 0) or []
    if not {"gps_time", "gps_locked"} <= set(names):
        return None
    try:
        if not device.get_mboard_sensor("gps_locked", 0).to_bool():
            return None
        return int(device.get_mboard_sensor("gps_time", 0).to_int())
    except DRIVER_ERRORS:
        # A GPSDO answers over a serial line, and not always.
        return None


def check_start(device: Any, start_at_s: float) -> None:
    """Refuse a start that is not far enough ahead to be prepared for.

    Args:
        device: The device, its time set.
        start_at_s: Device time, which is UTC in seconds since 1970.

    Raises:
        RadioError: The time has passed, or is too near.
    """
    left = start_at_s - device.get_time_now().get_real_secs()
    if left < _START_LEAD_S:
        raise RadioError(
            f"the start lies {left:.1f} s from now by the device's clock; it has to be "
            f"{_START_LEAD_S:g} s ahead at least"
        )


def await_start(device: Any, start_at_s: float) -> None:
    """Return shortly before a device time, when the stream has to be asked for; or after it.

    Raises:
        RadioError: The device's clock stands still.
    """
    began, host = device.get_time_now().get_real_secs(), time.monotonic()
    while (left := start_at_s - _START_LEAD_S - device.get_time_now().get_real_secs()) > 0:
        waited = time.monotonic() - host
        if waited > 1.0 and device.get_time_now().get_real_secs() - began < waited / 2:
            raise RadioError("the USRP's clock stands still, so it cannot start at a time")
        time.sleep(min(left, 0.1))


def _spec(uhd: Any, seconds: float) -> Any:
    whole = math.floor(seconds)
    return uhd.types.TimeSpec(whole, seconds - whole)
