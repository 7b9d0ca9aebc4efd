"""The buffer, against a plain array."""

import numpy as np

from phyemu.receiver.sample_buffer import SampleBuffer


def test_it_holds_what_a_plain_array_holds() -> None:
    rng = np.random.default_rng(1)
    stream = rng.standard_normal(3_000_000).astype(np.complex64)
    buffer = SampleBuffer()
    first = position = 0
    while position < len(stream):
        count = int(rng.integers(0, 90_000))
        buffer.append(stream[position : position + count])
        position = min(position + count, len(stream))
        first = max(first, position - int(rng.integers(0, 150_000)))
        buffer.drop_before(first)
        assert (buffer.start, buffer.stop) == (first, position)
        begin, end = first + 3, position - 2
        np.testing.assert_array_equal(buffer.read(begin, end), stream[begin : max(begin, end)])
    # Bounded: a few times the most that was held, not the stream.
    assert len(buffer._storage) < 1_000_000


def test_what_is_not_held_is_left_out() -> None:
    buffer = SampleBuffer()
    buffer.append(np.arange(10).astype(np.complex64))
    buffer.drop_before(4)
    assert buffer.read(0, 6).real.tolist() == [4, 5]
    assert buffer.read(8, 20).real.tolist() == [8, 9]
    assert len(buffer.read(20, 30)) == 0
