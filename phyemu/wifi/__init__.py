"""802.11 frames in a 20 MHz channel: their preambles, and where a stream holds them."""

from phyemu.wifi.detection import WifiDetector, WifiFrame, detect_wifi_frames
from phyemu.wifi.preamble import (
    l_ltf,
    l_ltf_values,
    l_stf,
    legacy_preamble,
)

__all__ = [
    "WifiDetector",
    "WifiFrame",
    "detect_wifi_frames",
    "l_ltf",
    "l_ltf_values",
    "l_stf",
    "legacy_preamble",
]
