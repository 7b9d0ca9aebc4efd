"""Tables of frames: addresses as numbers and back, counts, and columns that belong together."""

import dataclasses

import numpy as np
import pytest

from phyemu.errors import SignalError
from phyemu.wifi import WifiContent, WifiFormat, WifiTable, address_number, address_text
from phyemu.wifi.mac_frame import MacFrame

A, B = "02:00:00:00:00:0a", "fe:dc:ba:98:76:54"


def _table() -> WifiTable:
    data = MacFrame(
        control=0x88,
        receiver_address=B,
        transmitter_address=A,
        third_address=B,
        fcs_ok=True,
    )
    wrong = dataclasses.replace(data, fcs_ok=False)
    legacy = WifiContent(
        format=WifiFormat.LEGACY, rate_mbps=24.0, length=100, sample_count=900, mac_frames=(data,)
    )
    ht = dataclasses.replace(legacy, format=WifiFormat.HT, mcs=1, rate_mbps=13.0)
    contents = [legacy, ht, dataclasses.replace(ht, mac_frames=(wrong,)), WifiContent()]
    return WifiTable.of_contents(contents, [None, None, B, None])


def test_addresses_survive_as_numbers() -> None:
    assert address_number(A) == 0x02000000000A
    assert address_text(address_number(B)) == B
    assert address_text(address_number(None)) is None
    for bad in ("02:00:00:00:00", "02:00:00:00:00:0g", "2:0:0:0:0:1", "02-00-00-00-00-0a"):
        with pytest.raises(SignalError, match="aa:bb:cc:dd:ee:ff"):
            address_number(bad)


def test_only_verified_addresses_are_in_the_table() -> None:
    table = _table()
    number = address_number(A)
    assert table.transmitter_address.tolist() == [number, number, -1, -1]
    assert table.fcs_ok.tolist() == [1, 1, 0, -1]
    assert table.mcs.tolist() == [-1, 1, 1, -1]
    assert np.isnan(table.rate_mbps[3])
    assert table.implied_sender.tolist() == [-1, -1, address_number(B), -1]
    assert table.select(np.array([2, 3])).implied_sender.tolist() == [address_number(B), -1]


def test_the_summary_counts() -> None:
    summary = _table().summary()
    assert summary == {
        "modulations": {"ht MCS 1 13 Mb/s": 2, "legacy 24 Mb/s": 1, "unknown": 1},
        "kinds": {"QoS data": 3, "unknown": 1},
        "fcs": {"ok": 2, "wrong": 1, "unknown": 1},
    }


def test_columns_of_different_lengths_are_refused() -> None:
    table = _table()
    with pytest.raises(SignalError, match="equally long"):
        dataclasses.replace(table, mcs=table.mcs[:2])
    with pytest.raises(SignalError, match=r"format must be 0\.\.4"):
        dataclasses.replace(table, format=np.full(4, 7))
