"""How far the fast link is from the radio: symbol errors beside those of the stream receiver."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from phyemu.channel import ChannelModel, ChannelStream, load_channel, with_snr
from phyemu.link import SymbolLink
from phyemu.receiver import receive_frames
from phyemu.waveform import FrameFormat, build_frame, modulate, psk

FRAME = FrameFormat()
SYMBOLS = 1024
AMPLITUDE = 0.5


def over_the_stream(model: ChannelModel, order: int, num_frames: int) -> tuple[float, int]:
    """Return the symbol error rate of the frames received, and how many were not."""
    wrong = total = lost = 0
    for seed in range(num_frames):
        generator = torch.Generator().manual_seed(seed)
        symbols = torch.randint(order, (SYMBOLS,), generator=generator)
        frame = build_frame(modulate(symbols, psk(order)), frame_index=0, frame_format=FRAME)
        stream = ChannelStream(
            model,
            sample_rate_hz=FRAME.sample_rate_hz,
            symbol_rate_hz=FRAME.symbol_rate_hz,
            reference_power=FRAME.reference_power(AMPLITUDE),
            seed=seed,
        )
        silence = (300, 900 + stream.latency_samples)
        iq = torch.nn.functional.pad(AMPLITUDE * frame, silence).to(torch.complex64)
        received = stream.process(iq.numpy().astype(np.complex64))
        frames = receive_frames([received], frame_format=FRAME, constellation=psk(order))
        if len(frames) != 1 or len(frames[0].points) != SYMBOLS:
            lost += 1
            continue
        decided = frames[0].posteriors.argmax(-1)
        wrong += int((decided != symbols.numpy()).sum())
        total += SYMBOLS
    return wrong / total, lost


def over_the_link(model: ChannelModel, order: int) -> float:
    generator = torch.Generator().manual_seed(0)
    symbols = torch.randint(order, (3000, 32), generator=generator)
    posteriors = SymbolLink(model, psk(order), FRAME)(one_hot(symbols, order).float(), generator)
    return (posteriors.argmax(-1) != symbols).float().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "order", "snr_db"),
    [("world:office-nlos", 8, 10.0), ("world:office-nlos", 16, 12.0), ("tgn-d:15", 8, 15.0)],
)
def test_symbol_errors_are_those_of_the_receiver_within_half_a_decibel(
    spec: str, order: int, snr_db: float
) -> None:
    model = with_snr(load_channel(spec), snr_db)
    measured, lost = over_the_stream(model, order, num_frames=40)
    assert lost == 0
    better = over_the_link(with_snr(model, snr_db + 0.5), order)
    worse = over_the_link(with_snr(model, snr_db - 0.5), order)
    # Frames fade: over 40 of them the mean rate moves by some 5 % of its value.
    assert better * 0.95 < measured < worse * 1.05
