"""The air interface as a differentiable layer: symbols in, posteriors out, at two fidelities."""

from phyemu.link.build import build_link
from phyemu.link.effective_sinr import folded_power, mmse_sinr
from phyemu.link.fidelity import Fidelity
from phyemu.link.receiver_loss import ReceiverLoss
from phyemu.link.symbol_link import EffectiveChannel, SymbolLink

__all__ = [
    "EffectiveChannel",
    "Fidelity",
    "ReceiverLoss",
    "SymbolLink",
    "build_link",
    "folded_power",
    "mmse_sinr",
]
