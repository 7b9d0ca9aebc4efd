"""Transmitters are told apart by who they are, and one is never split by fading or drift."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.transmitters import name_transmitters, separate_transmitters
from phyemu.wifi import WifiTable


def _frames(
    cfo_hz: NDArray[np.float64], power_db: NDArray[np.float64], cfo_std_hz: float = 100.0
) -> ProbeFrames:
    count = len(cfo_hz)
    amplitude = 10 ** (power_db / 20)
    return ProbeFrames(
        probe="wifi",
        bandwidth_hz=1e6,
        frequencies_hz=np.arange(4) * 1e5,
        period_s=1e-5,
        sample_start=np.arange(count),
        reference_start=np.arange(count, dtype=float),
        interval_samples=None,
        transfer=(amplitude[:, None] * np.ones((count, 4))).astype(np.complex64),
        noise_variance=np.full((count, 4), 1e-9),
        noise_density=np.full(count, 1e-12),
        noise_floor=np.full(count, 1e-5),
        cfo_hz=cfo_hz,
        cfo_std_hz=np.full(count, cfo_std_hz),
        confidence=np.ones(count),
    )


def test_two_radios_become_two_links_the_stronger_first() -> None:
    rng = np.random.default_rng(0)
    far = rng.random(60) < 0.3
    cfo = np.where(far, -15e3, -35e3) + rng.normal(0, 700, 60)
    power = np.where(far, -40.0, -29.0) + rng.normal(0, 1, 60)
    links = separate_transmitters(_frames(cfo, power))
    assert [index.tolist() for index in links] == [
        np.flatnonzero(~far).tolist(),
        np.flatnonzero(far).tolist(),
    ]


def test_a_fading_drifting_radio_stays_one_link() -> None:
    rng = np.random.default_rng(1)
    cfo = np.linspace(-10e3, 30e3, 200) + rng.normal(0, 300, 200)
    power = -30 + 10 * np.log10(rng.exponential(size=200))
    assert len(separate_transmitters(_frames(cfo, power))) == 1


def test_noisy_offsets_do_not_split_a_link() -> None:
    cfo = np.random.default_rng(2).normal(0, 5e3, 100)
    assert len(separate_transmitters(_frames(cfo, np.zeros(100), cfo_std_hz=5e3))) == 1


def test_small_clusters_are_dropped_unless_nothing_is_left() -> None:
    cfo = np.array([0.0, 10.0, 20.0, 90e3])
    frames = _frames(cfo, np.zeros(4))
    assert [len(index) for index in separate_transmitters(frames, min_frames=2)] == [3]
    single = frames.select(np.array([3]))
    assert [len(index) for index in separate_transmitters(single, min_frames=2)] == [1]


F = 52
FREQUENCIES = np.arange(F) * 312.5e3
SNR = 1e3  # of each value of a response


def _response(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Return a random response of eight paths of equal power, unit mean power."""
    gains = (rng.standard_normal((8, 2)) @ np.array([1.0, 1j])) / 4.0
    return np.exp(-2j * np.pi * np.outer(FREQUENCIES, np.arange(8) * 50e-9)) @ gains


def _measured(
    responses: NDArray[np.complex128], addresses: list[int] | None = None, seed: int = 0
) -> ProbeFrames:
    """Return frames of these responses at one offset, each with a delay, a phase and noise."""
    rng = np.random.default_rng(seed)
    count = len(responses)
    delays = rng.uniform(-50e-9, 50e-9, (count, 1))
    phases = rng.uniform(0, 2 * np.pi, (count, 1))
    turned = responses * np.exp(1j * (phases - 2 * np.pi * FREQUENCIES * delays))
    noise = rng.standard_normal((count, F, 2)) @ np.array([1.0, 1j]) / np.sqrt(2 * SNR)
    base = _frames(rng.normal(0, 300, count), np.zeros(count))
    table = None
    if addresses is not None:
        unknown = np.full(count, -1)
        table = WifiTable(
            format=np.zeros(count, np.int64),
            rate_mbps=np.full(count, np.nan),
            mcs=unknown,
            length=unknown,
            frame_control=unknown,
            transmitter_address=np.array(addresses),
            receiver_address=unknown,
            implied_sender=unknown,
            fcs_ok=unknown,
        )
    return dataclasses.replace(
        base,
        frequencies_hz=FREQUENCIES,
        period_s=1 / 312.5e3,
        transfer=(turned + noise).astype(np.complex64),
        noise_variance=np.full((count, F), 1 / SNR),
        wifi=table,
    )


def _moving(rng: np.random.Generator, count: int, step: float) -> NDArray[np.complex128]:
    """Return a Rayleigh link of eight paths whose gains forget themselves by `step` per frame."""
    gains = (rng.standard_normal((8, 2)) @ np.array([1.0, 1j])) / 4.0
    steering = np.exp(-2j * np.pi * np.outer(FREQUENCIES, np.arange(8) * 50e-9))
    out = []
    for _ in range(count):
        fresh = (rng.standard_normal((8, 2)) @ np.array([1.0, 1j])) / 4.0
        gains = np.sqrt(1 - step) * gains + np.sqrt(step) * fresh
        out.append(steering @ gains)
    return np.array(out)


def test_addresses_decide_whatever_the_rest_says() -> None:
    # One station drifts by 200 kHz; another is exactly like it at first.
    cfo = np.array([0.0, 100e3, 200e3, 0.0, 10.0])
    frames = _frames(cfo, np.array([0.0, -30.0, 0.0, -3.0, -3.0]))
    table = _measured(np.ones((5, F), complex), [7, 7, 7, 9, 9]).wifi
    links = separate_transmitters(dataclasses.replace(frames, wifi=table))
    assert [index.tolist() for index in links] == [[0, 1, 2], [3, 4]]


def test_frames_without_address_join_the_link_whose_response_they_have() -> None:
    rng = np.random.default_rng(5)
    first, second = _response(rng), _response(rng)
    true = rng.integers(0, 2, 60)
    addresses = np.where(rng.random(60) < 0.5, true + 7, -1).tolist()
    frames = _measured(np.where(true[:, None] == 0, first, second), addresses)
    links = separate_transmitters(frames)
    assert sorted(index.tolist() for index in links) == sorted(
        np.flatnonzero(true == number).tolist() for number in (0, 1)
    )


def test_a_frame_without_address_and_like_no_link_is_a_link_of_its_own() -> None:
    rng = np.random.default_rng(6)
    known, strange = _response(rng), _response(rng)
    responses = np.array([known] * 20 + [strange] * 3)
    links = separate_transmitters(_measured(responses, [7] * 20 + [-1] * 3))
    assert sorted(map(len, links)) == [3, 20]


def test_a_fading_station_takes_its_frames_without_address() -> None:
    # Its own frames show how much it changes, so those in between are not taken for another.
    rng = np.random.default_rng(7)
    for step in (0.02, 0.2, 1.0):
        addresses = [7 if number % 3 else -1 for number in range(60)]
        links = separate_transmitters(_measured(_moving(rng, 60, step), addresses))
        assert [len(index) for index in links] == [60]


def test_a_frame_far_off_in_frequency_never_joins() -> None:
    frames = _measured(np.ones((10, F), complex), [7] * 9 + [-1])
    moved = frames.cfo_hz.copy()
    moved[9] += 50e3
    links = separate_transmitters(dataclasses.replace(frames, cfo_hz=moved))
    assert sorted(map(len, links)) == [1, 9]


@pytest.mark.parametrize("addresses", [None, [-1] * 60])
def test_two_steady_links_that_take_turns_are_told_apart_by_response(
    addresses: list[int] | None,
) -> None:
    rng = np.random.default_rng(8)
    true = rng.integers(0, 2, 60)
    responses = np.where(true[:, None] == 0, _response(rng), _response(rng))
    links = separate_transmitters(_measured(responses, addresses))
    assert sorted(index.tolist() for index in links) == sorted(
        np.flatnonzero(true == number).tolist() for number in (0, 1)
    )


@pytest.mark.parametrize("step", [1e-4, 1e-3, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_moving_link_is_never_split_by_its_response(step: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    responses = _moving(rng, 80, step)
    assert len(separate_transmitters(_measured(responses))) == 1


def test_a_link_that_changes_once_is_not_split() -> None:
    rng = np.random.default_rng(9)
    before, after = _response(rng), _response(rng)
    for responses in ([before] * 30 + [after] * 30, [before] * 20 + [after] * 20 + [before] * 20):
        assert len(separate_transmitters(_measured(np.array(responses)))) == 1


def test_a_long_recording_is_separated_in_bounded_time() -> None:
    # All pairs of 100,000 frames would take 40 GB.
    rng = np.random.default_rng(10)
    count = 100_000
    far = rng.random(count) < 0.3
    cfo = np.where(far, -15e3, -35e3) + rng.normal(0, 700, count)
    power = np.where(far, -40.0, -29.0) + rng.normal(0, 1, count)
    links = separate_transmitters(_frames(cfo, power))
    assert [len(index) for index in links] == [np.count_nonzero(~far), np.count_nonzero(far)]


def _named(own: list[int], implied: list[int], links: list[list[int]]) -> list[str | None]:
    wifi = _measured(np.ones((len(own), F), complex), own).wifi
    assert wifi is not None
    table = dataclasses.replace(wifi, implied_sender=np.array(implied))
    return name_transmitters(table, [np.array(link) for link in links])


SEVEN, EIGHT = "00:00:00:00:00:07", "00:00:00:00:00:08"


@pytest.mark.parametrize(
    ("implied", "name"),
    [
        ([8, 8, -1, 8, 5], EIGHT),  # three of four agree
        ([8, 8, -1, 5, 5], None),
        ([8, -1, -1, -1, -1], None),  # once may be chance
        ([7, 7, 7, 7, 7], None),  # another link has that name
    ],
)
def test_a_link_without_a_name_is_named_by_its_exchanges(
    implied: list[int], name: str | None
) -> None:
    # Station 7 answers each frame of the second link; what is implied of its own frames is ignored.
    own = [-1, 7] * 5
    both = [value for one in implied for value in (one, 9)]
    assert _named(own, both, [[1, 3, 5, 7, 9], [0, 2, 4, 6, 8]]) == [SEVEN, name]


def test_a_station_does_not_answer_itself() -> None:
    # Damaged frames of a station that alone is heard, each before its own ACK to another.
    assert _named([-1] * 6, [8, -1] * 3, [list(range(6))]) == [None]


def test_an_implied_sender_never_moves_a_frame() -> None:
    # The corrupted data frame of a station that alone is heard, followed by its own ACK to another.
    frames = _measured(np.array([_response(np.random.default_rng(3))] * 12), [7] * 11 + [-1])
    assert frames.wifi is not None
    wifi = dataclasses.replace(frames.wifi, implied_sender=np.array([-1] * 11 + [9]))
    links = separate_transmitters(dataclasses.replace(frames, wifi=wifi))
    assert [len(index) for index in links] == [12]
