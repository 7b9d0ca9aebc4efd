"""SIGNAL fields are read as the standard prints them, and refused where they cannot be right."""

from types import ModuleType

import numpy as np
import pytest

from phyemu.wifi.signal_field import crc8, read_ht_sig, read_l_sig


def test_the_signal_field_of_annex_i_is_read() -> None:
    # I.1.4: 36 Mb/s, 100 octets.
    l_sig = read_l_sig(np.array([int(bit) for bit in "101100010011000000000000"], np.uint8))
    assert l_sig is not None
    assert l_sig.mode.rate_mbps() == 36
    assert l_sig.length == 100
    # 16 + 800 + 6 bits in symbols of 144: the six data symbols of the example.
    assert l_sig.num_symbols == 6


@pytest.mark.parametrize("wrong", [0, 2, 4, 8, 17, 20])
def test_an_l_sig_with_one_wrong_bit_is_refused(wrong: int, wifi_transmitter: ModuleType) -> None:
    bits = np.array(wifi_transmitter.l_sig_bits("1101", 100), np.uint8)
    assert read_l_sig(bits) is not None
    bits[wrong] ^= 1
    assert read_l_sig(bits) is None


def test_an_l_sig_without_octets_is_refused(wifi_transmitter: ModuleType) -> None:
    assert read_l_sig(np.array(wifi_transmitter.l_sig_bits("1101", 0), np.uint8)) is None


def test_check_bits_are_those_of_the_standards_example() -> None:
    # 19.3.9.4.4: {m0 .. m33} = {1 1 1 1 0 0 0 1 0 0 1 0 0 1 1 0 0 0 0 0 0 0 0 0 1 1 1 0 0 0 0 0
    # 0 0} has the check bits {c7 .. c0} = {1 0 1 0 1 0 0 0}.
    message = "1111000100100110000000001110000000"
    bits = np.array([int(bit) for bit in message], np.uint8)
    assert "".join(map(str, crc8(bits))) == "10101000"


def test_every_field_of_ht_sig_is_read(wifi_transmitter: ModuleType) -> None:
    low = wifi_transmitter.low_bits
    bits = [*low(5, 7), 1, *low(40_000, 16), 1, 1, 1, 1, *low(2, 2), 1, 1, *low(1, 2)]
    sent = np.array([*bits, *wifi_transmitter.crc8(bits), *[0] * 6], np.uint8)
    found = read_ht_sig(sent)
    assert found is not None
    assert (found.mcs, found.wide, found.length, found.aggregated) == (5, True, 40_000, True)
    assert (found.stbc, found.ldpc, found.short_guard, found.extension_streams) == (
        2,
        True,
        True,
        1,
    )
    assert not found.single_stream
    for wrong in range(48):
        changed = sent.copy()
        changed[wrong] ^= 1
        assert read_ht_sig(changed) is None
