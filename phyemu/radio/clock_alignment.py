"""What time one device has when another one has a given time."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from phyemu.radio.usrp import UsrpRadio

__all__ = ["ClockAlignment", "align_clocks"]

_TRIES = 20
# Sources of the time that two devices may share; the others are a device's own.
_OWN_TIME = {None, "internal", "none"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockAlignment:
    """How the time of one radio follows from that of another.

    Attributes:
        basis: "same radio"; "shared time": both set their time by the same pulse per second, so
            that it differs by whole seconds; "host clock": both were asked one after the other.
        offset: Time of the second minus time of the first, as UHD keeps times; None: 0.
        uncertainty_s: Largest error of `offset` when it was taken [s]; 0: exact to the sample, but
            for the pulse's cables.
    """

    basis: str
    offset: Any
    uncertainty_s: float


def align_clocks(
    first: UsrpRadio, second: UsrpRadio, *, clock: Callable[[], float] = time.monotonic
) -> ClockAlignment:
    """Return the time of `second` minus that of `first`.

    Both are asked in turn, some times over; the quickest answers count. Without a common reference
    clock the offset then drifts by the difference of their oscillators.

    Args:
        first: The device that transmits.
        second: The one that receives.
        clock: Seconds of the host's clock.

    Raises:
        RadioError: A device does not answer.
    """
    best: tuple[float, Any] = (math.inf, None)
    for _ in range(_TRIES):
        begin = clock()
        one = first.time_now()
        other = second.time_now()
        # Each answer belongs to the middle of its question, half of both together apart.
        half = (clock() - begin) / 2
        if half < best[0]:
            best = half, (other - one) - type(one)(half)
    uncertainty_s, offset = best
    seconds = offset.get_real_secs()
    sources = {
        first.transmit_settings().get("time_source"),
        second.metadata()["phyemu:radio"].get("time_source"),
    }
    whole = round(seconds)
    if len(sources) == 1 and not sources & _OWN_TIME and abs(seconds - whole) <= uncertainty_s:
        return ClockAlignment(
            basis="shared time", offset=type(offset)(float(whole)), uncertainty_s=0.0
        )
    return ClockAlignment(basis="host clock", offset=offset, uncertainty_s=uncertainty_s)
