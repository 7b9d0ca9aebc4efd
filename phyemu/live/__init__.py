"""Live streams: samples from another program, through a channel, to another program."""

from phyemu.live.endpoint import Endpoint, EndpointKind, Role, parse_endpoint
from phyemu.live.network import LiveNetwork
from phyemu.live.opening import open_sink, open_source
from phyemu.live.recording import RecordingFacts, recording_facts
from phyemu.live.run import LiveChannel, OneLink, run_live, run_live_network
from phyemu.live.schedule import ScheduledChannel, ScheduledModel, parse_schedule
from phyemu.live.socket_radio import SocketRadio
from phyemu.live.statistics import LiveEnd, LiveStatistics
from phyemu.live.transport import InputCounts, SampleSink, SampleSource

__all__ = [
    "Endpoint",
    "EndpointKind",
    "InputCounts",
    "LiveChannel",
    "LiveEnd",
    "LiveNetwork",
    "LiveStatistics",
    "OneLink",
    "RecordingFacts",
    "Role",
    "SampleSink",
    "SampleSource",
    "ScheduledChannel",
    "ScheduledModel",
    "SocketRadio",
    "open_sink",
    "open_source",
    "parse_endpoint",
    "parse_schedule",
    "recording_facts",
    "run_live",
    "run_live_network",
]
