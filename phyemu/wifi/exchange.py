"""Who sent a frame that does not say so, from the frame that it answers or that answers it.

Acknowledgements come a SIFS (10 or 16 us) behind the frame they acknowledge and name its sender as
their receiver, IEEE Std 802.11-2020, 10.3.2.11. So the sender of an ACK or CTS is the station that
the frame before it was meant for; and the sender of a frame that could not be decoded is the
station that the ACK or block ack behind it is meant for.

That is evidence and no proof: where the recorder cut the silence or one station is not heard,
frames of two exchanges stand side by side. So it may give a name to a radio that has none, and must
not decide which frames are of one radio.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from phyemu.wifi.preamble import WIFI_SAMPLE_RATE_HZ
from phyemu.wifi.reception import WifiContent

__all__ = ["implied_senders"]

# A SIFS and the signal extension of HT (16 us together), or the SIFS at 5 GHz, and what is lost at
# the edges of a frame. Less where the recorder cut the silence.
_MAX_GAP_SAMPLES: Final = round(20e-6 * WIFI_SAMPLE_RATE_HZ)
_MIN_GAP_SAMPLES: Final = -_MAX_GAP_SAMPLES // 10
_ANSWERS: Final = (0xC4, 0xD4)  # CTS, ACK: without a transmitter
_ACKNOWLEDGEMENTS: Final = (0x94, 0xD4)  # block ack, ACK
_GROUP: Final = 1  # bit of the first octet of an address for many


def implied_senders(starts: Sequence[int], contents: Sequence[WifiContent]) -> list[str | None]:
    """Return the transmitter that the exchange implies for each frame; None where it tells none.

    None also for frames that name their transmitter themselves.

    Args:
        starts: First sample of each frame, ascending [samples].
        contents: What the frames say of themselves.
    """
    senders: list[str | None] = [None] * len(contents)
    for index, (before, behind) in enumerate(pairwise(contents)):
        if before.sample_count is None or not behind.fcs_ok:
            continue
        gap = starts[index + 1] - starts[index] - before.sample_count
        if not _MIN_GAP_SAMPLES <= gap <= _MAX_GAP_SAMPLES or behind.receiver_address is None:
            continue
        if before.fcs_ok:
            meant_for = before.receiver_address
            answers = (
                behind.frame_control in _ANSWERS
                and behind.receiver_address == before.transmitter_address
            )
            if answers and meant_for is not None and not int(meant_for[:2], 16) & _GROUP:
                senders[index + 1] = meant_for
        elif behind.frame_control in _ACKNOWLEDGEMENTS:
            senders[index] = behind.receiver_address
    return senders
