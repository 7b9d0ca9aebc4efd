"""Live streams: samples from another program, through a channel, to another program."""

from phyemu.live.endpoint import Endpoint, EndpointKind, Role, parse_endpoint
from phyemu.live.opening import open_sink, open_source
from phyemu.live.run import run_live
from phyemu.live.schedule import ScheduledChannel, ScheduledModel, parse_schedule
from phyemu.live.statistics import LiveEnd, LiveStatistics
from phyemu.live.transport import InputCounts, SampleSink, SampleSource

__all__ = [
    "Endpoint",
    "EndpointKind",
    "InputCounts",
    "LiveEnd",
    "LiveStatistics",
    "Role",
    "SampleSink",
    "SampleSource",
    "ScheduledChannel",
    "ScheduledModel",
    "open_sink",
    "open_source",
    "parse_endpoint",
    "parse_schedule",
    "run_live",
]
