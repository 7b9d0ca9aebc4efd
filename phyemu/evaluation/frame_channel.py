"""Symbols as frames through a channel to the stream receiver, each frame over a draw of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from phyemu.channel import ChannelLayer, ChannelModel
from phyemu.progress import ProgressCallback, no_progress
from phyemu.receiver import ReceivedFrame, receive_frames
from phyemu.waveform import Constellation, FrameFormat, build_frame, modulate

__all__ = ["frames_through", "mean_snr_db"]

_AMPLITUDE = 0.5
_PAD_SAMPLES = 512
_NUM_INDICES = 4096


def frames_through(
    symbols: Tensor,
    payload_plan: Sequence[int],
    channel: ChannelModel,
    *,
    constellation: Constellation,
    frame_format: FrameFormat,
    generator: torch.Generator,
    progress: ProgressCallback = no_progress,
) -> list[ReceivedFrame]:
    """Return the frames that arrive, in the order in which they were sent.

    Args:
        symbols: (num_symbols,) int64.
        payload_plan: Symbols of each frame.
        channel: Drawn anew for each frame.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
        generator: CPU source of channel and noise; it is advanced.
        progress: Told of the frames sent.
    """
    layer = ChannelLayer(
        channel,
        sample_rate_hz=frame_format.sample_rate_hz,
        symbol_rate_hz=frame_format.symbol_rate_hz,
        reference_power=frame_format.reference_power(_AMPLITUDE),
    )
    payloads = torch.split(modulate(symbols, constellation), list(payload_plan))
    received: list[ReceivedFrame] = []
    for index, payload in enumerate(payloads):
        frame = build_frame(payload, frame_index=index % _NUM_INDICES, frame_format=frame_format)
        iq = torch.nn.functional.pad(_AMPLITUDE * frame, (_PAD_SAMPLES, 2 * _PAD_SAMPLES))
        arrived = layer(iq[None].to(torch.complex64), generator)[0].numpy().astype(np.complex64)
        received += receive_frames(
            [arrived], frame_format=frame_format, constellation=constellation
        )
        progress("evaluate", index + 1, len(payloads), channel.name)
    return received


def mean_snr_db(channel: ChannelModel, frame_format: FrameFormat, seed: int) -> float:
    """Return the mean SNR of a channel over draws [dB]."""
    draw = channel.draw(
        1024,
        num_steps=1,
        interval_s=1e-3,
        symbol_rate_hz=frame_format.symbol_rate_hz,
        generator=torch.Generator().manual_seed(seed),
    )
    return float(draw.snr_db.mean())
