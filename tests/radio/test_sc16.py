"""Conversion between sc16 and complex64."""

import numpy as np

from phyemu.radio.sc16 import from_sc16, to_sc16


def test_every_16_bit_value_survives_the_way_there_and_back() -> None:
    values = np.arange(-32768, 32768).astype(np.int16)
    words = np.stack([values, values[::-1]], axis=1).reshape(-1).view(np.uint32)[None]
    iq = np.empty((1, words.shape[1]), np.complex64)
    from_sc16(words, iq)
    assert iq[0, 0] == complex(-1.0, 32767 / 32768)
    back, clipped = to_sc16(iq)
    np.testing.assert_array_equal(back, words)
    assert clipped == 0


def test_several_channels_go_into_rows_of_a_larger_buffer() -> None:
    words = np.array([[1, 2], [3, 4]], np.uint32)
    buffer = np.full((2, 5), 9, np.complex64)
    from_sc16(words, buffer[:, :2])
    np.testing.assert_array_equal(buffer[:, :2] * 32768, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(buffer[:, 2:], 9)


def test_samples_beyond_full_scale_are_limited_and_counted_once_each() -> None:
    iq = np.array([[1.0, 2 - 2j, 0.5 + 1.01j, -1 - 1j]], np.complex64)
    words, clipped = to_sc16(iq)
    assert clipped == 2
    np.testing.assert_array_equal(
        words.view(np.int16), [[32767, 0, 32767, -32768, 16384, 32767, -32768, -32768]]
    )
