"""Streams with samples missing: no frame is lost, reported twice or in the wrong place for it."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import SignalError
from phyemu.receiver import FrameReceiver, FrameStatus, ReceivedFrame
from phyemu.waveform import (
    HEADER_SYMBOLS,
    FrameFormat,
    FramePlacement,
    decide,
    modulate,
    psk,
    psk_symbol_error_rate,
    transmit_waveform,
)

SIZE = 500
FORMAT = FrameFormat(max_payload_symbols=SIZE)
LENGTH = FORMAT.frame_samples(SIZE)
HEAD = (FORMAT.preamble_symbols + HEADER_SYMBOLS + FORMAT.pulse_span_symbols) * 2


@cache
def _stream(count: int = 5) -> tuple[np.ndarray, np.ndarray, tuple[FramePlacement, ...]]:
    """Return frames at 20 dB: the samples, the symbols of each, and where they are."""
    symbols = torch.randint(4, (count * SIZE,), generator=torch.Generator().manual_seed(1))
    iq, placements = transmit_waveform(
        modulate(symbols, psk(4)), frame_format=FORMAT, amplitude=1.0, gap_samples=300
    )
    rng = np.random.default_rng(2)
    noise = rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq))
    turned = iq.numpy() * np.exp(2j * np.pi * 31e3 / 20e6 * np.arange(len(iq)))
    received = (turned + math.sqrt(0.5e-2) * noise).astype(np.complex64)
    return received, symbols.numpy().reshape(count, SIZE), tuple(placements)


def _receive(
    iq: np.ndarray, gaps: list[tuple[int, int]], *, exact: bool = True
) -> list[ReceivedFrame]:
    receiver = FrameReceiver(FORMAT, psk(4))
    frames: list[ReceivedFrame] = []
    position = 0
    for begin, end in gaps:
        frames += receiver.process(iq[position:begin])
        frames += receiver.skip(end - begin, exact=exact)
        assert receiver.num_samples == end
        position = end
    return frames + receiver.process(iq[position:]) + receiver.finish()


def _wrong(frame: ReceivedFrame, symbols: np.ndarray) -> int:
    decided = decide(torch.from_numpy(frame.points), psk(4)).numpy()
    return int(((decided != symbols) & ~frame.erased).sum())


@st.composite
def gaps_in(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """Return stretches of a stream that are missing, apart from each other and in order."""
    edges = draw(st.lists(st.integers(0, length), min_size=2, max_size=6, unique=True))
    edges = sorted(edges[: len(edges) // 2 * 2])
    longest = draw(st.sampled_from([40, 700, length]))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(begin, min(end, begin + longest)) for begin, end in pairs]


@given(gaps=gaps_in(len(_stream()[0])), exact=st.booleans())
@settings(max_examples=25, deadline=None)
def test_gaps_anywhere_lose_duplicate_and_misplace_nothing(
    gaps: list[tuple[int, int]], exact: bool
) -> None:
    iq, symbols, placements = _stream()
    frames = _receive(iq, gaps, exact=exact)
    starts = [frame.sample_start for frame in frames]
    assert starts == sorted(set(starts))
    seen: dict[int, ReceivedFrame] = {}
    for frame in frames:
        if frame.frame_index is None:
            # Only a head with a hole in it may fail.
            assert any(
                begin < frame.sample_start + HEAD and end > frame.sample_start - HEAD
                for begin, end in gaps
            )
            continue
        assert frame.frame_index not in seen
        seen[frame.frame_index] = frame
        # A preamble that was heard in part may be placed a sample beside.
        assert abs(frame.sample_start - placements[frame.frame_index].sample_start) <= 1
    for placement in placements:
        begin, end = placement.sample_start, placement.sample_start + LENGTH
        hit = [gap for gap in gaps if gap[0] < end and gap[1] > begin]
        if any(gap[0] < begin + HEAD for gap in hit):
            continue
        frame = seen[placement.frame_index]
        assert frame.sample_start == begin
        assert frame.received_symbols + frame.erased_symbols == SIZE
        lost = sum(min(gap[1], end) - max(gap[0], begin) for gap in hit)
        # The theory's symbol error rate at 20 dB is 1e-23.
        assert _wrong(frame, symbols[placement.frame_index]) == 0
        np.testing.assert_array_equal(frame.posteriors[frame.erased], np.float32(0.25))
        if not hit:
            assert frame.status is FrameStatus.OK
            assert not frame.erased.any()
        elif exact:
            # Each gap also costs the symbols whose pulses reach into it, and their pilots.
            assert frame.status in (FrameStatus.PARTIAL, FrameStatus.TRUNCATED)
            most = lost / 2 + len(hit) * (FORMAT.pulse_span_symbols + 2)
            assert frame.erased_symbols <= most
        else:
            assert frame.status is FrameStatus.TRUNCATED
            assert frame.sample_count == hit[0][0] - begin


def test_symbols_before_and_behind_a_gap_are_kept_with_their_phase() -> None:
    # Nearly half of the longest frame is lost; a clock offset and a carrier run on below the gap.
    size, order = 16384, 8
    symbols = torch.randint(order, (size,), generator=torch.Generator().manual_seed(3))
    iq, placements = transmit_waveform(
        modulate(symbols, psk(order)), frame_format=FrameFormat(), amplitude=1.0, gap_samples=500
    )
    times = np.arange(len(iq) - 64) * (1 + 20e-6)
    grid = np.arange(-32, 33)
    taps = np.sinc((times % 1)[:, None] - grid) * np.kaiser(65, 8)
    places = np.clip(times.astype(int)[:, None] + grid, 0, len(iq) - 1)
    slow = (iq.numpy()[places] * taps).sum(1)
    rng = np.random.default_rng(4)
    noise = rng.standard_normal(len(slow)) + 1j * rng.standard_normal(len(slow))
    turned = slow * np.exp(2j * np.pi * 47e3 / 20e6 * np.arange(len(slow)))
    received = (turned + math.sqrt(0.5 * 10**-1.8) * noise).astype(np.complex64)
    start = placements[0].sample_start
    begin, end = start + 6_000, start + 21_000
    receiver = FrameReceiver(FrameFormat(), psk(order))
    frames = receiver.process(received[:begin]) + receiver.skip(end - begin)
    frames += receiver.process(received[end:]) + receiver.finish()
    (frame,) = frames
    assert frame.status is FrameStatus.PARTIAL
    lost = (end - begin) / 2
    assert 0.98 * lost < frame.erased_symbols < lost + 20
    decided = decide(torch.from_numpy(frame.points), psk(order)).numpy()
    wrong = int(((decided != symbols.numpy()) & ~frame.erased).sum())
    # At 0.5 dB from theory, and four standard deviations of the count.
    limit = psk_symbol_error_rate(order, 17.5) * frame.received_symbols
    assert wrong < limit + 4 * math.sqrt(limit)
    assert frame.sfo_ppm == pytest.approx(-20.0, abs=3.0)
    assert frame.cfo_hz == pytest.approx(47e3, abs=20.0)
    assert 10 * math.log10(frame.noise_variance) == pytest.approx(-18.0, abs=0.5)


def test_gaps_in_pieces_are_one_gap() -> None:
    iq, _, placements = _stream()
    begin = placements[2].sample_start + 600
    for length in (200, LENGTH + 500, 4 * LENGTH):
        whole = _receive(iq, [(begin, begin + length)])
        parts = _receive(iq, [(begin + k, begin + k + 50) for k in range(0, length, 50)])
        assert [f.sample_start for f in whole] == [f.sample_start for f in parts]
        assert [f.status for f in whole] == [f.status for f in parts]
        for first, second in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(first.erased, second.erased)
            np.testing.assert_allclose(first.points, second.points, atol=1e-5)


def test_a_long_gap_takes_no_memory() -> None:
    receiver = FrameReceiver(FORMAT, psk(4))
    receiver.skip(10**12)
    assert receiver.num_samples == 10**12
    assert receiver._buffer.stop - receiver._buffer.start < 10_000


def test_a_negative_gap_is_refused() -> None:
    with pytest.raises(SignalError, match="missing must be >= 0, got -1"):
        FrameReceiver(FORMAT, psk(4)).skip(-1)
