"""802.11 frames in a 20 MHz channel: found by their preamble, decoded down to the MAC header."""

from phyemu.wifi.detection import WifiDetector, WifiFrame, detect_wifi_frames
from phyemu.wifi.exchange import implied_senders
from phyemu.wifi.frame_table import WifiTable, address_number, address_text
from phyemu.wifi.mac_frame import MacFrame, frame_kind, read_mac_frame
from phyemu.wifi.preamble import (
    ht_ltf_values,
    l_ltf,
    l_ltf_values,
    l_stf,
    legacy_preamble,
)
from phyemu.wifi.reception import WifiContent, WifiFormat, WifiReception, receive_wifi_frame
from phyemu.wifi.response import TrainingComparison, WifiResponse, compare_training

__all__ = [
    "MacFrame",
    "TrainingComparison",
    "WifiContent",
    "WifiDetector",
    "WifiFormat",
    "WifiFrame",
    "WifiReception",
    "WifiResponse",
    "WifiTable",
    "address_number",
    "address_text",
    "compare_training",
    "detect_wifi_frames",
    "frame_kind",
    "ht_ltf_values",
    "implied_senders",
    "l_ltf",
    "l_ltf_values",
    "l_stf",
    "legacy_preamble",
    "read_mac_frame",
    "receive_wifi_frame",
]
