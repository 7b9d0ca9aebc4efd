"""A link from its settings."""

from phyemu.channel import ChannelModel
from phyemu.waveform import Constellation, FrameFormat

from .fidelity import Fidelity
from .symbol_link import SymbolLink
from .waveform_link import WaveformLink

__all__ = ["build_link"]


def build_link(
    model: ChannelModel,
    constellation: Constellation,
    frame_format: FrameFormat,
    *,
    fidelity: Fidelity,
) -> SymbolLink | WaveformLink:
    """Return the link of a fidelity, with its defaults.

    Args:
        model: The channel.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
        fidelity: How closely the radio is followed.
    """
    if fidelity is Fidelity.WAVEFORM:
        return WaveformLink(model, constellation, frame_format)
    return SymbolLink(model, constellation, frame_format)
