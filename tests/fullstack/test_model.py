"""Whole transfers: what is conserved, what grows, what repeats."""

import dataclasses
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import ConfigError
from phyemu.fullstack import (
    RATES_MBPS,
    Engine,
    Protocol,
    SnrTrace,
    WifiLink,
    phy_rate,
    summarise,
    transfer,
)

KIB = 1024


@st.composite
def links(draw: st.DrawFn) -> WifiLink:
    """A link that may fade, and on which nothing may arrive."""
    count = draw(st.integers(1, 4))
    levels = draw(st.lists(st.floats(-5, 40), min_size=count, max_size=count))
    snr_db = np.repeat(np.array(levels)[:, None], 4, axis=1)
    return WifiLink(
        snr=SnrTrace(
            snr_db=snr_db, mean_snr_db=snr_db[:, 0], interval_s=draw(st.floats(1e-4, 0.3))
        ),
        rate_mbps=draw(st.sampled_from([None, *RATES_MBPS])),
        mtu_bytes=draw(st.integers(128, 2296)),
        retry_limit=draw(st.integers(1, 8)),
    )


@settings(max_examples=60)
@given(st.integers(1, 60_000), links(), st.sampled_from(Protocol), st.integers(0, 2**31))
def test_bytes_are_conserved(payload: int, link: WifiLink, protocol: Protocol, seed: int) -> None:
    found = transfer(payload, link, protocol, seed=seed)
    assert 0 <= found.delivered_bytes <= payload
    assert all(value >= 0 for value in found.overhead_bytes.values())
    assert found == transfer(payload, link, protocol, seed=seed)
    header = 20 + (32 if protocol is Protocol.TCP else 8)
    segments = -(-payload // (link.mtu_bytes - header))
    if protocol is Protocol.TCP and found.delivered_bytes == payload:
        assert found.overhead_bytes["lost"] == 0
    if protocol is Protocol.UDP:
        assert found.transport_retransmissions == 0
        assert found.delivered_bytes + found.overhead_bytes["lost"] == payload
        assert found.overhead_bytes["ip"] == 20 * segments
        assert found.overhead_bytes["transport"] == 8 * segments
        assert found.mac_retransmissions <= segments * (link.retry_limit - 1)
    if found.delivered_bytes == payload:
        # All was on the air before the last byte arrived, but for one answer and what collided.
        slack_s = phy_rate(6).duration_s(link.mtu_bytes + 36)
        assert found.airtime_s <= 2 * found.duration_s + slack_s
        bits = 8 * (found.bytes_on_air - found.payload_bytes)
        assert bits / 54e6 <= found.airtime_s


@pytest.mark.parametrize("rate_mbps", [6, 24, 54])
def test_airtime_is_what_the_bytes_take_at_their_rate(rate_mbps: int) -> None:
    # UDP on a clean link: every frame at one rate, every answer at the basic one; SIGNAL's three
    # bytes take 4 us and the preamble 16 us, at any rate.
    found = transfer(256 * KIB, WifiLink.at_snr(40.0, rate_mbps), Protocol.UDP, seed=1)
    frames = found.num_frames // 2
    bits = 8 * (found.bytes_on_air - found.overhead_bytes["ack"]) - 2 * 24 * frames
    basic = {6: 6, 24: 24, 54: 24}[rate_mbps]
    ack_s = frames * phy_rate(basic).duration_s(14)
    ack_bits = 8 * (phy_rate(basic).phy_bytes(14)) * frames - 24 * frames
    expected_s = 20e-6 * frames + (bits - ack_bits) / (rate_mbps * 1e6) + ack_s
    assert found.airtime_s == pytest.approx(expected_s)
    assert found.receive_s == pytest.approx(ack_s)


def test_a_clean_tcp_transfer_sends_one_acknowledgement_for_two_segments() -> None:
    found = transfer(100 * 1448, WifiLink.at_snr(40.0, 24), Protocol.TCP, seed=0)
    assert found.delivered_bytes == 100 * 1448
    assert found.transport_retransmissions == 0
    # SYN and SYN-ACK with 40 bytes, the third of the handshake and 50 acknowledgements with 32;
    # the last of them comes behind the last byte.
    headers = found.overhead_bytes["transport"] - 100 * 32 - 80
    assert headers in {32 * 50, 32 * 51}


@pytest.mark.parametrize("protocol", Protocol)
def test_more_snr_takes_less_time(protocol: Protocol) -> None:
    def mean_s(snr_db: float) -> float:
        link = WifiLink.at_snr(snr_db, 24)
        found = [transfer(64 * KIB, link, protocol, seed=seed) for seed in range(24)]
        return statistics.mean(item.duration_s for item in found)

    # A frame error rate of 92, 42, 10 and 0 %: far apart against their scatter.
    durations = [mean_s(snr_db) for snr_db in (12.75, 13.0, 13.5, 20.0)]
    assert durations == sorted(durations, reverse=True)
    assert durations[0] > 1.5 * durations[-1]


def test_tcp_survives_an_outage_and_udp_does_not() -> None:
    snr_db = np.full((40, 4), 30.0)
    snr_db[2:8] = -10.0  # from 50 to 200 ms
    trace = SnrTrace(snr_db=snr_db, mean_snr_db=snr_db[:, 0], interval_s=0.025)
    link = WifiLink(snr=trace, rate_mbps=24)
    tcp = transfer(256 * KIB, link, Protocol.TCP, seed=0)
    assert tcp.delivered_bytes == 256 * KIB
    assert tcp.transport_retransmissions > 0
    assert tcp.duration_s > 0.2 + 0.05  # its timer waits for 200 ms at least
    udp = transfer(256 * KIB, link, Protocol.UDP, seed=0)
    assert 0 < udp.delivered_bytes < 256 * KIB
    assert udp.overhead_bytes["lost"] == 256 * KIB - udp.delivered_bytes


def test_a_hopeless_connection_is_given_up() -> None:
    found = transfer(KIB, WifiLink.at_snr(-10.0, 6), Protocol.TCP, seed=0)
    assert found.delivered_bytes == 0
    assert found.duration_s == 0.0
    assert found.goodput_mbps == 0.0
    assert found.num_frames == 7 * 7  # seven SYNs, each sent seven times


def test_the_rate_follows_the_snr() -> None:
    slow, fast = (
        transfer(64 * KIB, WifiLink.at_snr(snr_db), Protocol.TCP, seed=0) for snr_db in (8.0, 25.0)
    )
    fixed = transfer(64 * KIB, WifiLink.at_snr(25.0, 54), Protocol.TCP, seed=0)
    assert slow.duration_s > 2.5 * fast.duration_s
    # Until the first answer it knows nothing and sends at 6 Mbit/s.
    assert fixed.duration_s < fast.duration_s < fixed.duration_s + 1e-3


@pytest.mark.parametrize(
    ("payload", "seed", "said"),
    [(0, 0, "1 byte to 1 GiB"), (1 << 31, 0, "1 byte to 1 GiB"), (10, -1, "seed")],
)
def test_what_cannot_be_sent_is_refused(payload: int, seed: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        transfer(payload, WifiLink.at_snr(10.0), Protocol.TCP, seed=seed)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("rate_mbps", 11, "6, 9, 12"), ("mtu_bytes", 60, "128 to 2296"), ("retry_limit", 0, "1 to")],
)
def test_what_no_link_has_is_refused(field: str, value: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(WifiLink.at_snr(10.0), **{field: value})


@pytest.mark.parametrize(
    ("snr_db", "mean_snr_db", "interval_s"),
    [
        (np.zeros((0, 4)), np.zeros(0), 1.0),
        (np.zeros((2, 3)), np.zeros(2), 1.0),
        (np.zeros((2, 4)), np.zeros(3), 1.0),
        (np.full((2, 4), np.nan), np.zeros(2), 1.0),
        (np.zeros((2, 4)), np.zeros(2), 0.0),
    ],
)
def test_what_no_trace_has_is_refused(
    snr_db: np.ndarray, mean_snr_db: np.ndarray, interval_s: float
) -> None:
    with pytest.raises(ConfigError):
        SnrTrace(snr_db=snr_db, mean_snr_db=mean_snr_db, interval_s=interval_s)


def test_a_summary_is_the_mean_of_its_transfers() -> None:
    link = WifiLink.at_snr(13.5, 24)
    found = [transfer(32 * KIB, link, Protocol.TCP, seed=seed) for seed in range(5)]
    summary = summarise(found)
    durations = [item.duration_s for item in found]
    assert summary.engine is Engine.MODEL
    assert summary.duration_s == pytest.approx(statistics.mean(durations))
    assert summary.duration_std_s == pytest.approx(statistics.stdev(durations))
    assert summary.num_complete == 5
    assert summary.total_overhead_bytes == pytest.approx(
        statistics.mean(item.total_overhead_bytes for item in found)
    )
    assert summarise(found[:1]).duration_std_s == 0.0
    with pytest.raises(ConfigError, match="of one payload"):
        summarise([*found, transfer(KIB, link, Protocol.TCP, seed=0)])
    with pytest.raises(ConfigError, match="got 0"):
        summarise([])
