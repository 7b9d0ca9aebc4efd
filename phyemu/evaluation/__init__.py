"""Evaluation of exported PhyDNNs: over links, over SNR, over the air."""

from phyemu.evaluation.air_bytes import AirBytes, bytes_on_air
from phyemu.evaluation.exported import (
    ExportedHead,
    ExportedPhyDnn,
    ExportedTail,
    HeadSide,
    TailSide,
    load_exported,
    load_exported_head,
    load_exported_tail,
)
from phyemu.evaluation.figure import plot_sweep
from phyemu.evaluation.image_frames import write_image_frames
from phyemu.evaluation.image_stream import ImagePrediction, ImageStream, StreamScore
from phyemu.evaluation.latency import Latency, measure_latency
from phyemu.evaluation.link_evaluation import (
    EvaluationFidelity,
    evaluate_phydnn,
    snr_range,
    sweep_snr,
)
from phyemu.evaluation.reception_score import RecordingScore, score_frames, score_recording
from phyemu.evaluation.result import Evaluation
from phyemu.evaluation.run_images import run_test_images
from phyemu.evaluation.side_latency import measure_side_latency
from phyemu.evaluation.transmission import (
    SentImages,
    encode_images,
    image_waveform,
    load_exported_of,
    load_sent_images,
    save_sent_images,
)

__all__ = [
    "AirBytes",
    "Evaluation",
    "EvaluationFidelity",
    "ExportedHead",
    "ExportedPhyDnn",
    "ExportedTail",
    "HeadSide",
    "ImagePrediction",
    "ImageStream",
    "Latency",
    "RecordingScore",
    "SentImages",
    "StreamScore",
    "TailSide",
    "bytes_on_air",
    "encode_images",
    "evaluate_phydnn",
    "image_waveform",
    "load_exported",
    "load_exported_head",
    "load_exported_of",
    "load_exported_tail",
    "load_sent_images",
    "measure_latency",
    "measure_side_latency",
    "plot_sweep",
    "run_test_images",
    "save_sent_images",
    "score_frames",
    "score_recording",
    "snr_range",
    "sweep_snr",
    "write_image_frames",
]
