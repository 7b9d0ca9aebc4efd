"""A link from its settings."""

from phyemu.channel import ChannelModel
from phyemu.waveform import Constellation, FrameFormat

from .fidelity import Fidelity
from .symbol_link import SymbolLink

__all__ = ["build_link"]


def build_link(
    model: ChannelModel,
    constellation: Constellation,
    frame_format: FrameFormat,
    *,
    fidelity: Fidelity,
) -> SymbolLink:
    """Return the link of a fidelity.

    Args:
        model: The channel.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
        fidelity: How closely the radio is followed.
    """
    return SymbolLink(model, constellation, frame_format)
