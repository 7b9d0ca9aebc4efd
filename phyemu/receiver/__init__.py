"""The hardware-free receiver: a stream of samples in, frames, symbols and posteriors out."""

from phyemu.receiver.aligned import AlignedFrames, receive_aligned
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.frame_receiver import FrameReceiver, receive_frames
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
from phyemu.receiver.reception import Reception, assemble

__all__ = [
    "AlignedFrames",
    "FrameReceiver",
    "FrameStatus",
    "ReceivedFrame",
    "ReceiverConfig",
    "Reception",
    "assemble",
    "receive_aligned",
    "receive_frames",
]
