"""The air interface as a differentiable layer: symbols in, posteriors out, at two fidelities."""

from phyemu.link.build import build_link
from phyemu.link.effective_sinr import folded_power, mmse_sinr
from phyemu.link.fidelity import Fidelity
from phyemu.link.hop_specs import hop_specs
from phyemu.link.symbol_link import EffectiveChannel, ReceiverModel, SymbolLink
from phyemu.link.waveform_link import WaveformLink

__all__ = [
    "EffectiveChannel",
    "Fidelity",
    "ReceiverModel",
    "SymbolLink",
    "WaveformLink",
    "build_link",
    "folded_power",
    "hop_specs",
    "mmse_sinr",
]
