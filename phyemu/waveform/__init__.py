"""Waveforms: constellations, pulses, frames and sounders of our own, any reference.

Pure signal functions over (..., n) in torch; what is differentiable says so.
"""

from phyemu.waveform.channel_estimation import (
    ChannelEstimate,
    KnownWaveform,
    estimate_channel,
    known_waveform,
)
from phyemu.waveform.chip_detection import ChipDetector
from phyemu.waveform.chip_sequence import ChipKind, ChipSequence
from phyemu.waveform.constellation import (
    Constellation,
    constellation,
    custom_constellation,
    described_constellation,
    psk,
    qam,
)
from phyemu.waveform.detection import Detection, PreambleDetector
from phyemu.waveform.equalisation import Equaliser, equalise, mmse_equaliser
from phyemu.waveform.frame import (
    FramePlacement,
    build_frame,
    frame_points,
    split_payload,
    transmit_waveform,
)
from phyemu.waveform.frame_format import (
    FrameFormat,
    FrameLayout,
    frame_layout,
    pilot_points,
    preamble_points,
)
from phyemu.waveform.header import (
    HEADER_SYMBOLS,
    MAX_PAYLOAD_SYMBOLS,
    NUM_FRAME_INDICES,
    Header,
    decode_header,
    encode_header,
)
from phyemu.waveform.modulation import (
    decide,
    modulate,
    modulate_probabilities,
    psk_symbol_error_rate,
    symbol_posteriors,
)
from phyemu.waveform.pulse import matched_filter, rrc_taps, shape_pulses
from phyemu.waveform.reference_detection import ReferenceDetector, ReferenceHit
from phyemu.waveform.sequence import (
    ga128,
    glfsr_sequence,
    golay_pair,
    gold_sequence,
    m_sequence,
    zadoff_chu,
)
from phyemu.waveform.sounder import (
    SounderFormat,
    sounder_bins,
    sounder_codes,
    sounder_period,
    sounder_spectrum,
    sounder_waveform,
)
from phyemu.waveform.sounder_burst import SounderBurst
from phyemu.waveform.sounder_detection import SounderDetector, agree_on_offset
from phyemu.waveform.windows import OverlappingWindows

__all__ = [
    "HEADER_SYMBOLS",
    "MAX_PAYLOAD_SYMBOLS",
    "NUM_FRAME_INDICES",
    "ChannelEstimate",
    "ChipDetector",
    "ChipKind",
    "ChipSequence",
    "Constellation",
    "Detection",
    "Equaliser",
    "FrameFormat",
    "FrameLayout",
    "FramePlacement",
    "Header",
    "KnownWaveform",
    "OverlappingWindows",
    "PreambleDetector",
    "ReferenceDetector",
    "ReferenceHit",
    "SounderBurst",
    "SounderDetector",
    "SounderFormat",
    "agree_on_offset",
    "build_frame",
    "constellation",
    "custom_constellation",
    "decide",
    "decode_header",
    "described_constellation",
    "encode_header",
    "equalise",
    "estimate_channel",
    "frame_layout",
    "frame_points",
    "ga128",
    "glfsr_sequence",
    "golay_pair",
    "gold_sequence",
    "known_waveform",
    "m_sequence",
    "matched_filter",
    "mmse_equaliser",
    "modulate",
    "modulate_probabilities",
    "pilot_points",
    "preamble_points",
    "psk",
    "psk_symbol_error_rate",
    "qam",
    "rrc_taps",
    "shape_pulses",
    "sounder_bins",
    "sounder_codes",
    "sounder_period",
    "sounder_spectrum",
    "sounder_waveform",
    "split_payload",
    "symbol_posteriors",
    "transmit_waveform",
    "zadoff_chu",
]
