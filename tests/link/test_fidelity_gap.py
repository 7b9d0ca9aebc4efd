"""How far the fast link is from the radio: symbol errors beside those of the stream receiver."""

import math

import numpy as np
import pytest
import torch

from phyemu.channel import ChannelRealisation, ChannelStream, draw_of, load_channel, with_snr
from phyemu.link import SymbolLink
from phyemu.receiver import receive_frames
from phyemu.waveform import FrameFormat, build_frame, modulate, psk, psk_symbol_error_rate

FRAME = FrameFormat()
NUM_SYMBOLS = 1024
AMPLITUDE = 0.5
NUM_FRAMES = 24


def errors_over_the_stream(
    realisation: ChannelRealisation, order: int, *, seed: int
) -> float | None:
    """Return the symbol error rate of a frame through emulator and receiver; None if lost."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(order, (NUM_SYMBOLS,), generator=generator)
    frame = build_frame(modulate(symbols, psk(order)), frame_index=0, frame_format=FRAME)
    stream = ChannelStream.of_realisation(
        realisation,
        sample_rate_hz=FRAME.sample_rate_hz,
        symbol_rate_hz=FRAME.symbol_rate_hz,
        reference_power=FRAME.reference_power(AMPLITUDE),
        seed=seed,
    )
    silence = (300, 900 + stream.latency_samples)
    iq = torch.nn.functional.pad(AMPLITUDE * frame, silence).to(torch.complex64)
    received = stream.process(iq.numpy().astype(np.complex64))
    frames = receive_frames([received], frame_format=FRAME, constellation=psk(order))
    if len(frames) != 1 or len(frames[0].points) != NUM_SYMBOLS:
        return None
    return float((frames[0].posteriors.argmax(-1) != symbols.numpy()).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "order", "snr_db"),
    [("world:office-nlos", 8, 10.0), ("world:conference-nlos", 16, 12.0), ("tgn-d:15", 8, 15.0)],
)
def test_symbol_errors_are_those_of_the_receiver_within_half_a_decibel(
    spec: str, order: int, snr_db: float
) -> None:
    model = with_snr(load_channel(spec), snr_db)
    link = SymbolLink(model, psk(order), FRAME)
    measured, better, worse = [], [], []
    for seed in range(NUM_FRAMES):
        generator = torch.Generator().manual_seed(seed)
        realisation = model.realise(symbol_rate_hz=FRAME.symbol_rate_hz, generator=generator)
        rate = errors_over_the_stream(realisation, order, seed=seed)
        if rate is None:
            continue
        channel = link.effective_channel(draw_of(realisation, num_steps=1, interval_s=1e-3))
        # A small phase error displaces a point of the ring by noise of its variance.
        sinr_db = -10 * math.log10(float(1 / channel.sinr + channel.phase_variance))
        measured.append(rate)
        better.append(psk_symbol_error_rate(order, sinr_db + 0.5))
        worse.append(psk_symbol_error_rate(order, sinr_db - 0.5))
    assert len(measured) >= NUM_FRAMES - 1  # frames in a deep fade of TGn may be lost
    assert np.mean(better) < np.mean(measured) < np.mean(worse)
