"""Modes against the standard's tables; interleaving against its equations."""

from types import ModuleType

import numpy as np
import pytest

from phyemu.wifi.modes import HT_MODES, LEGACY_MODES, SIGNAL_MODE, Mode


def test_rates_are_those_of_the_tables() -> None:
    legacy = {bits: mode.rate_mbps() for bits, mode in LEGACY_MODES.items()}
    # Table 17-6 with its N_DBPS of Table 17-4.
    assert legacy == {
        "1101": 6,
        "1111": 9,
        "0101": 12,
        "0111": 18,
        "1001": 24,
        "1011": 36,
        "0001": 48,
        "0011": 54,
    }
    # Table 19-27.
    assert [mode.data_bits for mode in HT_MODES] == [26, 52, 78, 104, 156, 208, 234, 260]
    assert [mode.rate_mbps() for mode in HT_MODES] == [6.5, 13, 19.5, 26, 39, 52, 58.5, 65]
    assert HT_MODES[7].rate_mbps(short_guard=True) == pytest.approx(72.2, abs=0.05)


@pytest.mark.parametrize("mode", [*LEGACY_MODES.values(), *HT_MODES])
def test_deinterleaving_undoes_the_interleaver(mode: Mode, wifi_transmitter: ModuleType) -> None:
    bits = np.random.default_rng(0).integers(0, 2, mode.coded_bits)
    sent = wifi_transmitter.interleave(
        bits.tolist(), mode.bits_per_carrier, mode.interleaver_columns
    )
    assert (np.array(sent)[mode.deinterleaving] == bits).all()


def test_the_signal_field_of_annex_i_comes_back(wifi_transmitter: ModuleType) -> None:
    # IEEE Std 802.11-2020, I.1.4: SIGNAL of 36 Mb/s and 100 octets, encoded and interleaved.
    encoded = "110100011010000100000010001111100111000000000000"
    interleaved = "100101001101000000010100100000110010010010010100"
    bits = wifi_transmitter.l_sig_bits("1011", 100)
    assert "".join(map(str, wifi_transmitter.encode(bits))) == encoded
    undone = np.array([int(bit) for bit in interleaved])[SIGNAL_MODE.deinterleaving]
    assert "".join(map(str, undone)) == encoded
