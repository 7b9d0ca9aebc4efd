"""Frames from anything that brings samples: a radio, a socket, a pipe, a recording."""

from phyemu.listening.frame_report import frame_line, frame_values
from phyemu.listening.frame_store import FrameStore, finish_frame_store
from phyemu.listening.listener import FrameListener, listen, rehearse_receiver
from phyemu.listening.recorded_frames import recorded_frames
from phyemu.listening.sample_feed import EndpointFeed, RadioFeed, SampleFeed
from phyemu.listening.stored_frames import StoredFrames
from phyemu.listening.summary import ListeningEnd, ListeningSummary

__all__ = [
    "EndpointFeed",
    "FrameListener",
    "FrameStore",
    "ListeningEnd",
    "ListeningSummary",
    "RadioFeed",
    "SampleFeed",
    "StoredFrames",
    "finish_frame_store",
    "frame_line",
    "frame_values",
    "listen",
    "recorded_frames",
    "rehearse_receiver",
]
