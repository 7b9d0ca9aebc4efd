"""Samples in messages and in byte streams."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.iq.sample_format import sample_format
from phyemu.live.sample_bytes import MAX_MESSAGE_BYTES, SampleFramer, decode_message, encode
from phyemu.live.transport import InputCounts

CF32 = sample_format("cf32_le", where="test")
CI16 = sample_format("ci16_le", where="test")


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return `data` cut at the given places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


@given(
    values=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=2, max_size=64),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
    datatype=st.sampled_from(["cf32_le", "ci16_le"]),
)
def test_a_byte_stream_cut_anywhere_gives_the_same_samples(
    values: list[int], cuts: list[int], datatype: str
) -> None:
    pairs = np.array(values[: len(values) // 2 * 2]).reshape(-1, 2)
    iq = (pairs[:, 0] + 1j * pairs[:, 1]) / 2**15
    stored = pairs.astype("<i2") if datatype == "ci16_le" else (pairs / 2**15).astype("<f4")
    counts = InputCounts()
    framer = SampleFramer(sample_format(datatype, where="test"), counts)
    got = [framer.push(piece) for piece in pieces(stored.tobytes(), cuts)]
    framer.end()
    assert np.array_equal(np.concatenate(got), iq.astype(np.complex64))
    assert not counts.dropped
    assert counts.silenced_samples == 0


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_give_finite_samples_in_the_right_number(data: bytes, cuts: list[int]) -> None:
    counts = InputCounts()
    framer = SampleFramer(CF32, counts)
    got = np.concatenate([framer.push(piece) for piece in pieces(data, cuts)])
    framer.end()
    assert len(got) == len(data) // 8
    assert np.isfinite(got).all()
    assert bool(counts.dropped) == bool(len(data) % 8)
    message = decode_message(data, CF32, counts)
    assert np.isfinite(message).all()
    assert len(message) in (0, len(data) // 8)


def test_bad_samples_of_a_byte_stream_become_zeros_where_they_stand() -> None:
    iq = np.array([1, math.nan, 2j, complex(0, math.inf), 3, 2e9], np.complex64)
    counts = InputCounts()
    assert SampleFramer(CF32, counts).push(iq.tobytes()).tolist() == [1, 0, 2j, 0, 3, 0]
    assert counts.silenced_samples == 3


@pytest.mark.parametrize(
    ("message", "reason", "num_samples"),
    [
        (b"", "empty", 0),
        (bytes(12), "no whole samples", 1),
        (bytes(MAX_MESSAGE_BYTES + 8), "too large", MAX_MESSAGE_BYTES // 8 + 1),
        (np.array([1, math.nan], "<c8").tobytes(), "not finite or out of range", 2),
        (np.array([-2e9], "<c8").tobytes(), "not finite or out of range", 1),
    ],
)
def test_a_bad_message_is_dropped_and_counted(
    message: bytes, reason: str, num_samples: int
) -> None:
    counts = InputCounts()
    assert len(decode_message(message, CF32, counts)) == 0
    assert dict(counts.dropped) == {reason: 1}
    assert counts.dropped_samples == num_samples


def test_what_is_encoded_is_what_the_other_side_expects() -> None:
    iq: NDArray[np.complex64] = np.array([0.5 - 0.25j, 1.5j], np.complex64)
    data, num_clipped = encode(iq, CF32)
    assert bytes(data) == np.array([0.5, -0.25, 0, 1.5], "<f4").tobytes()
    assert num_clipped == 0
    data, num_clipped = encode(iq, CI16)
    assert bytes(data) == np.array([16384, -8192, 0, 32767], "<i2").tobytes()
    assert num_clipped == 1
