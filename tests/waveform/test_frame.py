"""Frames as samples."""

import numpy as np
import pytest
import torch

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform import (
    FrameFormat,
    build_frame,
    decode_header,
    frame_points,
    matched_filter,
    modulate,
    preamble_points,
    psk,
    split_payload,
    transmit_waveform,
)

FORMAT = FrameFormat()


def test_the_matched_filter_shows_preamble_header_and_payload(generator: torch.Generator) -> None:
    payload = modulate(torch.randint(8, (700,), generator=generator), psk(8))
    iq = build_frame(payload, frame_index=9, frame_format=FORMAT)
    assert len(iq) == FORMAT.frame_samples(700)
    filtered = matched_filter(iq, FORMAT.pulse_taps())
    symbols = filtered[FORMAT.pulse_delay_samples :: 2][: FORMAT.frame_symbols(700)]
    sent = frame_points(payload, frame_index=9, frame_format=FORMAT)
    # Pulses cut at 8 symbols leave interference at -50 dB.
    error = (symbols - sent).abs().square().mean().item()
    assert 10 * np.log10(error) < -45
    torch.testing.assert_close(sent[:128], preamble_points(FORMAT))
    header = decode_header(symbols[128:200].real.contiguous())
    assert header is not None
    assert (header.frame_index, header.payload_symbols) == (9, 700)


def test_mean_power_is_the_reference_power(generator: torch.Generator) -> None:
    payload = modulate(torch.randint(4, (16384,), generator=generator), psk(4))
    iq, placements = transmit_waveform(payload, frame_format=FORMAT, amplitude=0.4, gap_samples=100)
    frame = iq[placements[0].sample_start :][: placements[0].sample_count]
    power = frame.abs().square().mean().item()
    # Pulses at the ends are half empty: 16 of 16636 symbols.
    assert power == pytest.approx(FORMAT.reference_power(0.4), rel=5e-3)


def test_batches_equal_singles_and_gradients_are_right(generator: torch.Generator) -> None:
    points = torch.randn(2, 3, dtype=torch.complex128, generator=generator, requires_grad=True)
    batch = build_frame(points, frame_index=0, frame_format=FORMAT)
    single = build_frame(points[1], frame_index=0, frame_format=FORMAT)
    torch.testing.assert_close(batch[1], single)
    assert torch.autograd.gradcheck(
        lambda x: build_frame(x, frame_index=0, frame_format=FORMAT)[..., 400:], (points,)
    )


@pytest.mark.parametrize("count", [1, 16384, 16385, 40_000, 65_536])
def test_a_split_is_balanced_and_complete(count: int) -> None:
    sizes = split_payload(count, FORMAT)
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-count // 16384)


def test_placements_say_where_frames_are(generator: torch.Generator) -> None:
    short = FrameFormat(max_payload_symbols=50)
    points = modulate(torch.randint(4, (120,), generator=generator), psk(4))
    iq, placements = transmit_waveform(points, frame_format=short, amplitude=1.0, gap_samples=77)
    assert [p.payload_symbols for p in placements] == [40, 40, 40]
    assert [p.frame_index for p in placements] == [0, 1, 2]
    first = placements[0]
    assert first.sample_start == 77
    assert placements[1].sample_start == 77 + first.sample_count + 77
    assert iq[:77].abs().max() == 0
    expected = build_frame(points[40:80], frame_index=1, frame_format=short)
    begin = placements[1].sample_start
    torch.testing.assert_close(iq[begin : begin + len(expected)], expected)
    assert len(iq) == placements[2].sample_start + placements[2].sample_count + 77


def test_bad_input_is_refused() -> None:
    with pytest.raises(SignalError, match="complex"):
        build_frame(torch.zeros(3), frame_index=0, frame_format=FORMAT)
    with pytest.raises(ConfigError, match="frame_index"):
        build_frame(torch.zeros(3) + 0j, frame_index=-1, frame_format=FORMAT)
    with pytest.raises(ConfigError, match="at least one"):
        split_payload(0, FORMAT)
    with pytest.raises(ConfigError, match="amplitude"):
        transmit_waveform(torch.zeros(3) + 0j, frame_format=FORMAT, amplitude=0.0, gap_samples=0)
    with pytest.raises(SignalError, match="complex"):
        transmit_waveform(torch.zeros(3), frame_format=FORMAT, amplitude=1.0, gap_samples=0)
