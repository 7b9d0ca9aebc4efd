"""Batches of frames with gradients."""

import math

import pytest
import torch

from phyemu.errors import SignalError
from phyemu.receiver import receive_aligned, receive_frames
from phyemu.waveform import FrameFormat, build_frame, decide, modulate, psk

FORMAT = FrameFormat()


def _batch(generator: torch.Generator, snr_db: float) -> tuple[torch.Tensor, torch.Tensor]:
    symbols = torch.randint(4, (3, 1000), generator=generator)
    frames = build_frame(modulate(symbols, psk(4)), frame_index=5, frame_format=FORMAT)
    padded = torch.nn.functional.pad(frames, (200, 300))
    noise = torch.randn(padded.shape, dtype=torch.complex64, generator=generator)
    return padded + math.sqrt(10 ** (-snr_db / 10)) * noise, symbols


def test_it_agrees_with_the_stream_receiver(generator: torch.Generator) -> None:
    iq, symbols = _batch(generator, 14.0)
    received = receive_aligned(
        iq,
        sample_start=200,
        payload_symbols=1000,
        frame_index=5,
        frame_format=FORMAT,
        constellation=psk(4),
    )
    assert received.detected.all()
    assert torch.equal(decide(received.points, psk(4)), symbols)
    for row in range(3):
        (frame,) = receive_frames([iq[row].numpy()], frame_format=FORMAT, constellation=psk(4))
        torch.testing.assert_close(
            received.points[row], torch.from_numpy(frame.points), atol=1e-4, rtol=1e-4
        )
        assert received.noise_variance[row].item() == pytest.approx(frame.noise_variance, rel=1e-3)


def test_gradients_are_those_of_a_linear_map(generator: torch.Generator) -> None:
    iq, _ = _batch(generator, 30.0)
    iq.requires_grad_()
    received = receive_aligned(
        iq,
        sample_start=200,
        payload_symbols=1000,
        frame_index=5,
        frame_format=FORMAT,
        constellation=psk(4),
    )
    # Linear: the derivative in the direction of iq itself is the output.
    probe = torch.randn(received.points.shape, dtype=torch.complex64, generator=generator)
    (gradient,) = torch.autograd.grad((received.points * probe.conj()).real.sum(), iq)
    derivative = (gradient.conj() * iq).real.sum()
    expected = (received.points * probe.conj()).real.sum()
    assert derivative.item() == pytest.approx(expected.item(), rel=1e-3)


def test_rows_without_a_frame_are_lost(generator: torch.Generator) -> None:
    iq, _ = _batch(generator, 14.0)
    iq[1] = torch.randn(iq.shape[1], dtype=torch.complex64, generator=generator)
    received = receive_aligned(
        iq,
        sample_start=200,
        payload_symbols=1000,
        frame_index=5,
        frame_format=FORMAT,
        constellation=psk(4),
    )
    assert received.detected.tolist() == [True, False, True]
    assert received.points[1].abs().max() == 0
    assert math.isinf(received.noise_variance[1].item())


def test_short_batches_are_refused() -> None:
    with pytest.raises(SignalError, match="samples"):
        receive_aligned(
            torch.zeros(2, 100, dtype=torch.complex64),
            sample_start=0,
            payload_symbols=1000,
            frame_index=0,
            frame_format=FORMAT,
            constellation=psk(4),
        )
