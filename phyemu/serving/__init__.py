"""A PhyDNN at work: a device sends images by its head, relays pass them on, a tail answers."""

from .device_sides import (
    DeviceHead,
    DeviceRelay,
    DeviceTail,
    load_head_side,
    load_relay_side,
    load_tail_side,
)
from .frame_sender import (
    AMPLITUDE,
    FRAMES_BETWEEN,
    EncodedBatch,
    FrameSender,
    Portion,
    SentCounts,
)
from .framing import GAP_SAMPLES, INTRODUCTION_INDEX, FramedImages, ImageFraming
from .head_run import HeadRun, run_head
from .head_sender import HeadSender
from .image_assembly import ArrivedImages, ImageAssembly
from .image_source import (
    ImageBatch,
    batches_of,
    folder_images,
    spec_images,
    watched_images,
)
from .introduction import Partner, introduction_symbols, recognise
from .outlet import Outlet, RadioOutlet, RecordingOutlet, SinkOutlet, open_recording_outlet
from .received_images import ImageHearing, ReceivedImages, hearing
from .relay_run import RelayRun, serve_relay
from .relay_server import RelayCounts, RelayServer
from .result_socket import ResultSocket, open_result_socket
from .run_export import export_run
from .sent_record import SentImage, SentRecord, load_sent_record
from .tail_server import ServingCounts, TailServer, prediction_values, serve_tail

__all__ = [
    "AMPLITUDE",
    "FRAMES_BETWEEN",
    "GAP_SAMPLES",
    "INTRODUCTION_INDEX",
    "ArrivedImages",
    "DeviceHead",
    "DeviceRelay",
    "DeviceTail",
    "EncodedBatch",
    "FrameSender",
    "FramedImages",
    "HeadRun",
    "HeadSender",
    "ImageAssembly",
    "ImageBatch",
    "ImageFraming",
    "ImageHearing",
    "Outlet",
    "Partner",
    "Portion",
    "RadioOutlet",
    "ReceivedImages",
    "RecordingOutlet",
    "RelayCounts",
    "RelayRun",
    "RelayServer",
    "ResultSocket",
    "SentCounts",
    "SentImage",
    "SentRecord",
    "ServingCounts",
    "SinkOutlet",
    "TailServer",
    "batches_of",
    "export_run",
    "folder_images",
    "hearing",
    "introduction_symbols",
    "load_head_side",
    "load_relay_side",
    "load_sent_record",
    "load_tail_side",
    "open_recording_outlet",
    "open_result_socket",
    "prediction_values",
    "recognise",
    "run_head",
    "serve_relay",
    "serve_tail",
    "spec_images",
    "watched_images",
]
