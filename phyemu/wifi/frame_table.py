"""What many frames say of themselves, as columns of numbers that a file can hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.wifi.mac_frame import frame_kind
from phyemu.wifi.reception import WifiContent, WifiFormat

__all__ = ["WifiTable", "address_number", "address_text"]

UNKNOWN = -1
_FORMATS = tuple(WifiFormat)
_ADDRESSES = 1 << 48


def address_text(number: int) -> str | None:
    """Return "aa:bb:cc:dd:ee:ff" for the number whose most significant octet is aa.

    None for a number that is no address, as -1.
    """
    return number.to_bytes(6, "big").hex(":") if 0 <= number < _ADDRESSES else None


def address_number(text: str | None) -> int:
    """Return the number of "aa:bb:cc:dd:ee:ff"; -1 for None.

    Raises:
        SignalError: The text is no such address.
    """
    if text is None:
        return UNKNOWN
    octets = text.split(":")
    try:
        if len(octets) != 6 or any(len(octet) != 2 for octet in octets):
            raise ValueError
        return int.from_bytes(bytes(int(octet, 16) for octet in octets), "big")
    except ValueError:
        raise SignalError(f"{text!r} is no MAC address; write it as aa:bb:cc:dd:ee:ff") from None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WifiTable:
    """N frames, in columns of N values; -1 (NaN) where unknown.

    Attributes:
        format: 0 legacy, 1 HT, 2 VHT, 3 HE, 4 unknown, int64.
        rate_mbps: Data rate, float64 [Mb/s].
        mcs: HT modulation and coding scheme, int64.
        length: Octets of the PSDU, int64.
        frame_control: First octet of the MAC frame (type, subtype), int64.
        transmitter_address: As a number of 48 bits, int64, by a check sequence that matches.
        receiver_address: Likewise.
        implied_sender: Transmitter of a frame that does not name it, as the frame that it answers
            or that answers it implies (`implied_senders`), int64.
        fcs_ok: 1 where the check sequence matches, 0 where it does not, int64.
    """

    format: NDArray[np.int64]
    rate_mbps: NDArray[np.float64]
    mcs: NDArray[np.int64]
    length: NDArray[np.int64]
    frame_control: NDArray[np.int64]
    transmitter_address: NDArray[np.int64]
    receiver_address: NDArray[np.int64]
    implied_sender: NDArray[np.int64]
    fcs_ok: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that the columns belong together.

        Raises:
            SignalError: Columns of different lengths, or a format that there is not.
        """
        shapes = {getattr(self, item.name).shape for item in fields(self)}
        if shapes != {(len(self.format),)}:
            raise SignalError(f"the columns of a WifiTable must be equally long, got {shapes}")
        if ((self.format < 0) | (self.format >= len(_FORMATS))).any():
            raise SignalError(f"WifiTable.format must be 0..{len(_FORMATS) - 1}")

    @classmethod
    def of_contents(
        cls, contents: Sequence[WifiContent], implied: Sequence[str | None]
    ) -> "WifiTable":
        """Return the table of frames, in order.

        Args:
            contents: What they say of themselves.
            implied: The transmitter that the exchange implies for each.
        """

        def integers(values: list[int | None]) -> NDArray[np.int64]:
            return np.array([UNKNOWN if value is None else value for value in values], np.int64)

        return cls(
            format=integers([_FORMATS.index(content.format) for content in contents]),
            rate_mbps=np.array(
                [
                    np.nan if content.rate_mbps is None else content.rate_mbps
                    for content in contents
                ],
                np.float64,
            ),
            mcs=integers([content.mcs for content in contents]),
            length=integers([content.length for content in contents]),
            frame_control=integers([content.frame_control for content in contents]),
            transmitter_address=integers(
                [address_number(content.transmitter_address) for content in contents]
            ),
            receiver_address=integers(
                [address_number(content.receiver_address) for content in contents]
            ),
            implied_sender=integers([address_number(sender) for sender in implied]),
            fcs_ok=integers([content.fcs_ok for content in contents]),
        )

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        return len(self.format)

    def select(self, index: NDArray[np.int64]) -> "WifiTable":
        """Return the frames at `index`."""
        return WifiTable(**{item.name: getattr(self, item.name)[index] for item in fields(self)})

    def summary(self) -> dict[str, Any]:
        """Return counts of frames by modulation, by type and by check, for programs."""
        return {
            "modulations": dict(
                Counter(self._modulation(index) for index in range(self.num_frames)).most_common()
            ),
            "kinds": dict(
                Counter(
                    "unknown" if control == UNKNOWN else frame_kind(control)
                    for control in self.frame_control.tolist()
                ).most_common()
            ),
            "fcs": {
                name: int((self.fcs_ok == value).sum())
                for name, value in (("ok", 1), ("wrong", 0), ("unknown", UNKNOWN))
            },
        }

    def _modulation(self, index: int) -> str:
        name = str(_FORMATS[self.format[index]])
        if self.mcs[index] != UNKNOWN:
            name += f" MCS {self.mcs[index]}"
        rate = self.rate_mbps[index]
        return name if np.isnan(rate) else f"{name} {rate:.3g} Mb/s"
