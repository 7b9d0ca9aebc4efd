"""MAC headers, check sequences and A-MPDUs; anything at all may come instead."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.wifi.mac_frame import frame_kind, read_mac_frame, split_ampdu

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"

# IEEE Std 802.11-2020, I.1.2: the MAC frame of the example, its check sequence at the end.
ANNEX_I = bytes.fromhex("0402002e006008cd37a60020d6013cf1006008ad3baf0000") + (
    b"Joy, bright spark of divinity,\nDaughter of Elysium,\nFire-insired we trea\x67\x33\x21\xb6"
)


def test_the_frame_of_annex_i_passes_its_check() -> None:
    frame = read_mac_frame(ANNEX_I, complete=True)
    assert frame is not None
    assert frame.fcs_ok is True
    assert frame.receiver_address == "00:60:08:cd:37:a6"
    assert frame.transmitter_address == "00:20:d6:01:3c:f1"
    # Its first octet, as printed, says control frame: no third address.
    assert frame.third_address is None
    damaged = bytes([*ANNEX_I[:50], ANNEX_I[50] ^ 1, *ANNEX_I[51:]])
    wrong = read_mac_frame(damaged, complete=True)
    assert wrong is not None
    assert wrong.fcs_ok is False


def test_a_cut_frame_names_its_addresses_and_no_verdict() -> None:
    frame = read_mac_frame(bytes([0x08]) + ANNEX_I[1:30], complete=False)
    assert frame is not None
    assert (frame.fcs_ok, frame.transmitter_address) == (None, "00:20:d6:01:3c:f1")
    assert frame.third_address == "00:60:08:ad:3b:af"
    shorter = read_mac_frame(bytes([0x08]) + ANNEX_I[1:20], complete=False)
    assert shorter is not None
    assert (shorter.transmitter_address, shorter.third_address) == ("00:20:d6:01:3c:f1", None)


@pytest.mark.parametrize(
    ("control", "kind", "transmitter"),
    [
        (0x80, "beacon", A),
        (0x40, "probe request", A),
        (0x08, "data", A),
        (0x88, "QoS data", A),
        (0xB4, "RTS", A),
        (0x84, "block ack request", A),
        (0x94, "block ack", A),
        (0xC4, "CTS", None),
        (0xD4, "ack", None),
        (0x58, "data 5", A),
        (0x0C, "extension 0", None),
    ],
)
def test_only_frames_that_name_their_transmitter_have_one(
    control: int, kind: str, transmitter: str | None, wifi_transmitter: ModuleType
) -> None:
    frame = read_mac_frame(wifi_transmitter.data_mpdu(A, B, control=control), complete=True)
    assert frame is not None
    assert frame_kind(control) == frame.kind == kind
    assert (frame.transmitter_address, frame.receiver_address) == (transmitter, B)


def test_the_bandwidth_bit_of_a_control_frames_transmitter_is_no_part_of_its_address(
    wifi_transmitter: ModuleType,
) -> None:
    frame = read_mac_frame(
        wifi_transmitter.data_mpdu("03:00:00:00:00:0a", B, control=0xB4), complete=True
    )
    assert frame is not None
    assert frame.transmitter_address == A


def test_an_ampdu_comes_apart_even_behind_a_damaged_delimiter(wifi_transmitter: ModuleType) -> None:
    parts = [wifi_transmitter.data_mpdu(A, B, bytes(count)) for count in (3, 50, 8)]
    psdu = wifi_transmitter.ampdu(parts)
    assert split_ampdu(psdu, complete=True) == [(part, True) for part in parts]
    damaged = bytes([psdu[0] ^ 0x10]) + psdu[1:]
    assert split_ampdu(damaged, complete=True) == [(part, True) for part in parts[1:]]
    cut = split_ampdu(psdu[:-3], complete=False)
    assert cut == [(parts[0], True), (parts[1], True), (parts[2][:-3], False)]


@given(st.binary(max_size=200), st.booleans())
def test_any_octets_are_read_without_a_fuss(octets: bytes, complete: bool) -> None:
    frame = read_mac_frame(octets, complete=complete)
    assert (frame is None) == (len(octets) < 2)
    for piece, _ in split_ampdu(octets, complete=complete):
        assert piece in octets
