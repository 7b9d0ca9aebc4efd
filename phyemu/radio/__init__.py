"""Radios: a small protocol, a real one, an emulated one, and recordings that play one."""

from phyemu.radio.bursts import record_annotated_bursts, record_bursts
from phyemu.radio.capture import capture_to_recording
from phyemu.radio.capture_summary import CaptureEnd, CaptureSummary
from phyemu.radio.duplex import capture_transmission
from phyemu.radio.emulated import HEADROOM_GAIN_DB, EmulatedRadio, load_world_or_channel
from phyemu.radio.radio import Radio
from phyemu.radio.recorded import RecordedRadio
from phyemu.radio.stream import (
    ReceivedBlock,
    StreamEvent,
    Transmission,
    TransmitEnd,
    TransmitReport,
    TransmitSource,
)
from phyemu.radio.transmission import (
    GapMode,
    TransmitSettings,
    send_recording,
    sent_fields,
    transmit_recording,
    transmitted_samples,
)
from phyemu.radio.transmit_levels import (
    TransmitLevels,
    amplitude_for_peak,
    may_clip,
    measure_levels,
)
from phyemu.radio.usrp import UsrpRadio
from phyemu.radio.usrp_config import UsrpConfig, UsrpPort
from phyemu.radio.usrp_driver import UsrpDevice, find_usrps

__all__ = [
    "HEADROOM_GAIN_DB",
    "CaptureEnd",
    "CaptureSummary",
    "EmulatedRadio",
    "GapMode",
    "Radio",
    "ReceivedBlock",
    "RecordedRadio",
    "StreamEvent",
    "Transmission",
    "TransmitEnd",
    "TransmitLevels",
    "TransmitReport",
    "TransmitSettings",
    "TransmitSource",
    "UsrpConfig",
    "UsrpDevice",
    "UsrpPort",
    "UsrpRadio",
    "amplitude_for_peak",
    "capture_to_recording",
    "capture_transmission",
    "find_usrps",
    "load_world_or_channel",
    "may_clip",
    "measure_levels",
    "record_annotated_bursts",
    "record_bursts",
    "send_recording",
    "sent_fields",
    "transmit_recording",
    "transmitted_samples",
]
