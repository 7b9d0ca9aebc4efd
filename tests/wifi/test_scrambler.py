"""The scrambler against the standard's sequence, and pilots against the polarity it prints."""

import numpy as np
import pytest

from phyemu.errors import SignalError
from phyemu.wifi.scrambler import descrambled, pilot_polarity, scrambling_sequence

# IEEE Std 802.11-2020, 17.3.5.5: the sequence from the all-ones state.
SEQUENCE = (
    "00001110 11110010 11001001 00000010 00100110 00101110 10110110 00001100"
    "11010100 11100111 10110100 00101010 11111010 01010001 10111000 1111111"
).replace(" ", "")


def test_the_all_ones_state_gives_the_printed_sequence() -> None:
    printed = np.array([int(bit) for bit in SEQUENCE], np.uint8)
    assert scrambling_sequence(printed[:7], 254).tolist() == [*printed, *printed]


def test_pilot_polarity_is_the_printed_one() -> None:
    # 17.3.5.10: p0 .. p19 = 1 1 1 1 -1 -1 -1 1 -1 -1 -1 -1 1 1 -1 1 -1 -1 1 1
    expected = [1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, -1, 1, 1, -1, 1, -1, -1, 1, 1]
    assert pilot_polarity(0, 20).tolist() == expected
    assert pilot_polarity(130, 4).tolist() == expected[3:7]


def test_any_initial_state_is_undone_by_the_zeros_of_service() -> None:
    data = np.random.default_rng(0).integers(0, 2, 300).astype(np.uint8)
    data[:16] = 0
    printed = np.array([int(bit) for bit in SEQUENCE], np.uint8)
    for start in (0, 50, 126):
        mask = np.resize(np.roll(printed, -start), 300)
        assert (descrambled(data ^ mask) == data).all()


def test_a_sequence_of_another_beginning_is_refused() -> None:
    with pytest.raises(SignalError, match="first 7 bits"):
        scrambling_sequence(np.ones(6, np.uint8), 10)
