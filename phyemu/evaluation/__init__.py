"""Evaluation of exported PhyDNNs: over links, over SNR, over the air."""

from phyemu.evaluation.air_bytes import AirBytes, bytes_on_air
from phyemu.evaluation.chain_evaluation import ChainEvaluation, HopEvaluation, evaluate_chain
from phyemu.evaluation.communication import (
    Communication,
    Transferred,
    full_stack_communication,
    phy_communication,
)
from phyemu.evaluation.exported import (
    ExportedHead,
    ExportedPhyDnn,
    ExportedTail,
    exported_waveform,
    load_exported,
    load_exported_head,
    load_exported_tail,
)
from phyemu.evaluation.exported_chain import ExportedChain, load_exported_chain
from phyemu.evaluation.exported_parts import is_chain, relay_name, relay_numbers
from phyemu.evaluation.exported_relay import ExportedRelay, load_exported_relay
from phyemu.evaluation.figure import plot_sweep
from phyemu.evaluation.image_frames import write_image_frames
from phyemu.evaluation.image_stream import (
    ImagePrediction,
    ImageStream,
    StreamCounts,
    StreamScore,
)
from phyemu.evaluation.latency import Latency, measure_latency
from phyemu.evaluation.link_evaluation import (
    EvaluationFidelity,
    evaluate_phydnn,
    snr_range,
    sweep_snr,
)
from phyemu.evaluation.profiled_heads import profiled_heads
from phyemu.evaluation.reception_score import RecordingScore, score_frames, score_recording
from phyemu.evaluation.result import Evaluation
from phyemu.evaluation.run_images import run_test_images
from phyemu.evaluation.side_latency import measure_side_latency
from phyemu.evaluation.sides import AirSide, HeadSide, RelaySide, TailSide
from phyemu.evaluation.system_cost import (
    CostSettings,
    full_stack_cost,
    inference_cost,
    phy_cost,
    phydnn_cost,
    phydnn_costs,
    profile_for_costs,
)
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
    "AirSide",
    "ChainEvaluation",
    "Communication",
    "CostSettings",
    "Evaluation",
    "EvaluationFidelity",
    "ExportedChain",
    "ExportedHead",
    "ExportedPhyDnn",
    "ExportedRelay",
    "ExportedTail",
    "HeadSide",
    "HopEvaluation",
    "ImagePrediction",
    "ImageStream",
    "Latency",
    "RecordingScore",
    "RelaySide",
    "SentImages",
    "StreamCounts",
    "StreamScore",
    "TailSide",
    "Transferred",
    "bytes_on_air",
    "encode_images",
    "evaluate_chain",
    "evaluate_phydnn",
    "exported_waveform",
    "full_stack_communication",
    "full_stack_cost",
    "image_waveform",
    "inference_cost",
    "is_chain",
    "load_exported",
    "load_exported_chain",
    "load_exported_head",
    "load_exported_of",
    "load_exported_relay",
    "load_exported_tail",
    "load_sent_images",
    "measure_latency",
    "measure_side_latency",
    "phy_communication",
    "phy_cost",
    "phydnn_cost",
    "phydnn_costs",
    "plot_sweep",
    "profile_for_costs",
    "profiled_heads",
    "relay_name",
    "relay_numbers",
    "run_test_images",
    "save_sent_images",
    "score_frames",
    "score_recording",
    "snr_range",
    "sweep_snr",
    "write_image_frames",
]
