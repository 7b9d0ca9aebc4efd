"""The medium access against closed forms: one undisturbed sender, and Bianchi's saturated two."""

import random

import numpy as np
import pytest

from phyemu.fullstack.dcf import Dcf
from phyemu.fullstack.frame_tally import DEVICE, EDGE, FrameKind
from phyemu.fullstack.link import SnrTrace, WifiLink
from phyemu.fullstack.packet import Packet
from phyemu.fullstack.rates import phy_rate


def packet(behind_ip_bytes: int = 1480) -> Packet:
    return Packet(kind=FrameKind.SEGMENT, behind_ip_bytes=behind_ip_bytes)


def test_one_sender_takes_a_frame_an_answer_and_half_a_window() -> None:
    arrivals: list[int] = []
    link = WifiLink.at_snr(40.0, 24)
    dcf = Dcf(link, random.Random(1), lambda station, item, now: arrivals.append(now))
    count = 2000
    for _ in range(count):
        dcf.send(DEVICE, packet(), 0)
    while dcf.step():
        pass
    assert len(arrivals) == count
    # 536 us of frame, SIFS, 28 us of acknowledgement, DIFS, and 0 to 15 slots of 9 us.
    expected_ns = 1000 * (536 + 16 + 28 + 34 + 7.5 * 9)
    slot_deviation_ns = 9000 * ((16**2 - 1) / 12) ** 0.5
    mean_ns = (arrivals[-1] - arrivals[0]) / (count - 1)
    assert mean_ns == pytest.approx(expected_ns, abs=5 * slot_deviation_ns / count**0.5)
    assert arrivals[0] == 536_000  # an idle medium is taken at once


def test_two_saturated_stations_collide_as_often_as_bianchi_says() -> None:
    dcf = Dcf(WifiLink.at_snr(40.0, 24), random.Random(2), lambda station, item, now: None)
    count = 4000
    for _ in range(count):
        dcf.send(DEVICE, packet(), 0)
        dcf.send(EDGE, packet(), 0)
    queues = [station.queue for station in dcf._stations]
    while all(queues):
        dcf.step()
    sent = dcf.frames.total()
    acks = sum(n for sort, n in dcf.frames.items() if sort.kind is FrameKind.ACK)
    attempts = sent - acks
    collided = attempts - acks
    # Bianchi (2000), Eqs. (7), (9) for n = 2: p = tau, window 16 doubling six times.
    p = 0.1
    for _ in range(200):
        tau = 2 * (1 - 2 * p) / ((1 - 2 * p) * 17 + p * 16 * (1 - (2 * p) ** 6))
        p = (p + tau) / 2
    # He lets a slot pass before a backoff of 0 sends again, the standard does not; besides that
    # scatter: of some 8000 attempts, five deviations are 0.017.
    assert collided / attempts == pytest.approx(p, abs=0.02)


def test_the_window_doubles_to_its_limit_and_the_frame_is_given_up() -> None:
    link = WifiLink(snr=SnrTrace.constant(-10.0), rate_mbps=54, retry_limit=9)
    dcf = Dcf(link, random.Random(3), lambda station, item, now: pytest.fail("arrived"))
    dcf.send(DEVICE, packet(), 0)
    windows = []
    while dcf.step():
        windows.append(dcf._stations[DEVICE].window)
    assert windows == [31, 63, 127, 255, 511, 1023, 1023, 1023, 15]
    kinds = {sort.kind: count for sort, count in dcf.frames.items()}
    assert kinds == {FrameKind.SEGMENT: 1, FrameKind.MAC_RETRANSMISSION: 8}


def test_a_repeated_frame_is_delivered_once() -> None:
    # At 12 Mbit/s the acknowledgement goes at 12, too, and at 6.3 dB a few of them fail.
    trace = SnrTrace.constant(6.3)
    delivered: list[Packet] = []
    dcf = Dcf(
        WifiLink(snr=trace, rate_mbps=12, retry_limit=100),
        random.Random(4),
        lambda station, item, now: delivered.append(item),
    )
    sent = [packet(60) for _ in range(300)]
    for item in sent:
        dcf.send(DEVICE, item, 0)
    while dcf.step():
        pass
    assert delivered == sent
    acks = sum(n for sort, n in dcf.frames.items() if sort.kind is FrameKind.ACK)
    assert acks > len(sent)  # some were lost, so some frames came twice
    assert phy_rate(12).success_rate(6.3, 14) < 0.99


@pytest.mark.parametrize(("snr_db", "wait_ns"), [(10.0, 16_000 + 44_000 + 34_000), (3.0, 34_000)])
def test_a_station_waits_longer_behind_a_frame_that_it_could_not_read(
    snr_db: float, wait_ns: int
) -> None:
    # The first frame is noticed above 4 dB, but 54 Mbit/s cannot be read; then the link is good.
    levels = np.array([snr_db, 40.0])
    trace = SnrTrace(
        snr_db=np.repeat(levels[:, None], 4, axis=1), mean_snr_db=levels, interval_s=240e-6
    )
    arrivals: list[tuple[int, int]] = []
    dcf = Dcf(
        WifiLink(snr=trace, rate_mbps=54, retry_limit=1),
        random.Random(6),
        lambda station, item, now: arrivals.append((station, now)),
    )
    dcf.send(DEVICE, packet(), 0)
    end = round(phy_rate(54).duration_s(packet().psdu_bytes) * 1e9)
    assert end < 240_000 + 16_000
    dcf.timers.set(end, lambda now: dcf.send(EDGE, packet(60), now))
    while dcf.step():
        pass
    ((station, arrived),) = arrivals
    assert station == DEVICE
    duration = round(phy_rate(54).duration_s(packet(60).psdu_bytes) * 1e9)
    slots, rest = divmod(arrived - duration - end - wait_ns, 9_000)
    assert (rest, 0 <= slots <= 15) == (0, True)  # an EIFS and a DIFS differ by no whole slots


def test_a_station_waits_for_a_medium_that_is_busy() -> None:
    order: list[tuple[int, int]] = []

    def deliver(station: int, item: Packet, now: int) -> None:
        order.append((station, now))
        if station == EDGE:
            dcf.send(EDGE, packet(60), now)

    dcf = Dcf(WifiLink.at_snr(40.0, 24), random.Random(5), deliver)
    dcf.send(DEVICE, packet(), 0)
    while dcf.step():
        pass
    (first, arrived), (second, answered) = order
    assert (first, second) == (EDGE, DEVICE)
    duration_ns = round(phy_rate(24).duration_s(packet(60).psdu_bytes) * 1e9)
    waited = answered - duration_ns - (arrived + 16_000 + 28_000 + 34_000)
    assert waited >= 0
    assert waited % 9_000 == 0
    assert waited <= 15 * 9_000
