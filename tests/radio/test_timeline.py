"""Placing runs of samples by time stamp."""

import hypothesis.strategies as st
from hypothesis import given, settings

from phyemu.radio.timeline import SampleTimeline


@settings(deadline=None)
@given(
    st.integers(-(10**12), 10**12),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 1000)), min_size=1, max_size=20),
)
def test_with_time_stamps_every_index_is_the_stamp_less_the_first_one(
    first: int, runs: list[tuple[int, int]]
) -> None:
    timeline = SampleTimeline()
    tick = first
    for number, (lost, count) in enumerate(runs):
        tick += lost if number else 0
        placed = timeline.place(tick, count)
        assert placed.sample_index == tick - first
        assert placed.lost_samples == (lost if number else 0)
        tick += count
    assert timeline.next_index == tick - first


def test_without_time_stamps_samples_follow_each_other_until_an_error() -> None:
    timeline = SampleTimeline()
    assert timeline.place(None, 10).lost_samples == 0
    assert timeline.place(None, 10).sample_index == 10
    timeline.mark_broken()
    placed = timeline.place(None, 10)
    assert placed.lost_samples is None
    assert placed.sample_index == 20
    assert timeline.place(None, 10).lost_samples == 0


def test_a_clock_that_runs_backwards_never_labels_two_samples_alike() -> None:
    timeline = SampleTimeline()
    timeline.place(1000, 10)
    placed = timeline.place(500, 10)
    assert (placed.sample_index, placed.lost_samples, placed.jumped) == (10, None, True)
    assert timeline.place(510, 10).sample_index == 20


def test_samples_before_the_first_time_stamp_keep_their_indices() -> None:
    timeline = SampleTimeline()
    timeline.place(None, 7)
    assert timeline.place(1000, 5).sample_index == 7
    assert timeline.place(1006, 5).lost_samples == 1


def test_a_loss_that_a_later_time_stamp_tells_is_not_put_in_the_wrong_place() -> None:
    timeline = SampleTimeline()
    timeline.place(1000, 10)
    timeline.mark_broken()
    assert timeline.place(None, 10).lost_samples is None
    # Five are missing, but before the run that came without a time.
    placed = timeline.place(1025, 10)
    assert (placed.sample_index, placed.lost_samples) == (25, None)
    assert timeline.place(1038, 10).lost_samples == 3


def test_the_time_of_a_packet_that_began_before_is_no_clock_that_ran_backwards() -> None:
    timeline = SampleTimeline(packet_samples=8)
    timeline.place(0, 12)
    placed = timeline.place(8, 8)
    assert (placed.sample_index, placed.lost_samples, placed.jumped) == (12, 0, False)
    assert timeline.place(20, 8).lost_samples == 0
    timeline.mark_broken()
    # After a report a packet of its own begins.
    assert timeline.place(24, 8).jumped


def test_a_first_time_of_the_middle_of_a_packet_does_not_become_a_loss() -> None:
    # Packets of four samples; the first stamp comes with sample 6 and is that of sample 4.
    timeline = SampleTimeline(packet_samples=4)
    timeline.place(None, 6)
    assert timeline.place(1004, 2).sample_index == 6
    # Two samples further on by the clock, none by the packets: nobody can tell.
    placed = timeline.place(1008, 4)
    assert (placed.sample_index, placed.lost_samples) == (8, None)
    # By the stamp 12 are missing; up to three of them are the doubt about the first one.
    timeline.mark_broken()
    placed = timeline.place(1024, 4)
    assert placed.lost_samples is None
    assert 12 < placed.sample_index <= 24
    # A packet of its own follows a report, so from here on the times are believed.
    placed = timeline.place(1034, 4)
    assert placed.lost_samples == 6


def test_a_loss_that_the_time_of_a_packet_start_hides_stays_unknown() -> None:
    timeline = SampleTimeline(packet_samples=4)
    timeline.place(1000, 4)
    timeline.mark_broken()
    # One sample was lost, and nothing tells: these are samples 5 to 10.
    assert timeline.place(None, 6).lost_samples is None
    # The call begins in the middle of a packet, and has the time of its start.
    assert timeline.place(1009, 2).sample_index == 10
    # Three more are lost without a word; by the times it would be four.
    assert timeline.place(1016, 4).lost_samples is None
