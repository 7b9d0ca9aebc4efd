"""Streams that make trouble: the work for a sample and the memory held stay bounded."""

from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import torch

from phyemu.receiver import FrameReceiver, FrameStatus
from phyemu.receiver.decoding import FrameDecoder
from phyemu.waveform import FrameFormat, build_frame, modulate, psk
from phyemu.waveform.detection import PreambleDetector

FORMAT = FrameFormat()
COUNT = 300_000
PREAMBLE = FORMAT.preamble_symbols * FORMAT.samples_per_symbol
LONGEST = FORMAT.frame_samples(FORMAT.max_payload_symbols)


def _frame(size: int) -> np.ndarray:
    symbols = torch.randint(4, (size,), generator=torch.Generator().manual_seed(size))
    return build_frame(modulate(symbols, psk(4)), frame_index=3, frame_format=FORMAT).numpy()


def _noise(rng: np.random.Generator, level: float) -> np.ndarray:
    both = rng.standard_normal(COUNT) + 1j * rng.standard_normal(COUNT)
    return level * both


def _repeated(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.resize(piece, COUNT) + _noise(rng, 0.01)


STREAMS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "silence": lambda _: np.zeros(COUNT),
    "constant": lambda _: np.full(COUNT, 0.7 + 0.2j),
    "tone": lambda rng: np.exp(0.031j * np.arange(COUNT)) + _noise(rng, 1e-3),
    "clipped noise": lambda rng: np.sign(rng.standard_normal(COUNT)) + 0j,
    "one sample at a time": lambda rng: (rng.random(COUNT) < 1e-3) * 1.0,
    "preambles": lambda rng: _repeated(_frame(1)[:PREAMBLE], rng),
    "a period of the preamble": lambda rng: _repeated(_frame(1)[: PREAMBLE // 4], rng),
    "headers that promise the longest payload": lambda rng: _repeated(
        _frame(FORMAT.max_payload_symbols)[: PREAMBLE + 160], rng
    ),
    "shortest frames": lambda rng: _repeated(_frame(1), rng),
}


@pytest.mark.parametrize("name", STREAMS)
def test_work_and_memory_are_bounded(name: str) -> None:
    iq = STREAMS[name](np.random.default_rng(1)).astype(np.complex64)
    receiver = FrameReceiver(FORMAT, psk(4))
    with (
        mock.patch.object(
            PreambleDetector, "_confirm", autospec=True, side_effect=PreambleDetector._confirm
        ) as confirmed,
        mock.patch.object(
            FrameDecoder, "read_header", autospec=True, side_effect=FrameDecoder.read_header
        ) as headers,
    ):
        frames = []
        for begin in range(0, COUNT, 10_000):
            frames += receiver.process(iq[begin : begin + 10_000])
            # A frame that is not whole yet, or a search window, and what one call brought.
            held = receiver._buffer.stop - receiver._buffer.start
            assert held <= LONGEST + (1 << 15) + 10_000
        frames += receiver.finish()
    # A quarter of a preamble between openings of the first gate, a preamble between headers.
    assert confirmed.call_count <= 2 * COUNT / (PREAMBLE // 4)
    assert headers.call_count <= COUNT / PREAMBLE + 2
    assert all(np.isfinite(frame.points).all() for frame in frames)
    assert len(frames) <= headers.call_count
    if name == "shortest frames":
        assert sum(frame.status is FrameStatus.OK for frame in frames) > 0.9 * COUNT / len(
            _frame(1)
        )
    if name in ("silence", "constant", "clipped noise", "tone"):
        assert not frames


def test_memory_stays_where_it_is_however_many_frames_pass() -> None:
    receiver = FrameReceiver(FORMAT, psk(4))
    piece = _repeated(np.concatenate([_frame(1000), _frame(3000)]), np.random.default_rng(2))
    piece = piece.astype(np.complex64)
    sizes = []
    for _ in range(6):
        for begin in range(0, COUNT, 20_000):
            receiver.process(piece[begin : begin + 20_000])
        sizes.append(receiver._buffer._storage.nbytes)
    assert sizes[-1] == sizes[0] <= 8 * 4 * LONGEST
