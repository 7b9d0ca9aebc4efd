"""Gaps between segments are part of a recording's time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from phyemu.iq import Recording, RecordingWriter, open_recording
from phyemu.progress import no_progress
from phyemu.sounding.recording_time import blocks_with_progress, radio_samples, sent_interval


def test_a_segment_that_began_later_moves_what_is_behind_it(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "gap.sigmf", sample_rate_hz=1e6) as writer:
        writer.start_segment(global_index=5000)
        writer.write(np.zeros(100, np.complex64))
        writer.start_segment(global_index=5400)  # 300 samples were lost
        writer.write(np.zeros(100, np.complex64))
    with open_recording(tmp_path / "gap.sigmf") as recording:
        samples = np.array([0.0, 99.5, 100.0, 150.0])
        np.testing.assert_array_equal(radio_samples(recording, samples), [0, 99.5, 400, 450])


def test_blocks_report_the_samples_done(make_recording: Callable[..., Recording]) -> None:
    recording = make_recording(np.full(300_000, 0.1 + 0j), 1e6)
    seen: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int, note: str = "") -> None:
        seen.append((stage, done, total))

    blocks = list(blocks_with_progress(recording, channel=0, stage="look", progress=note))
    assert sum(len(block) for block in blocks) == 300_000
    assert seen[-1] == ("look", 300_000, 300_000)
    assert len(
        list(blocks_with_progress(recording, channel=0, stage="", progress=no_progress))
    ) == len(blocks)


def test_the_interval_of_bursts_is_stated_or_seen(tmp_path: Path) -> None:
    def recorded(name: str, begins: list[int], **fields: object) -> Recording:
        path = tmp_path / name
        with RecordingWriter(
            path, sample_rate_hz=1e6, datatype="cf32_le", global_fields=fields
        ) as writer:
            for begin in begins:
                writer.start_segment(global_index=begin)
                writer.write(np.zeros(10, np.complex64))
        return open_recording(path)

    steady = [5, 50_005, 100_005, 150_005]
    stated = {"phyemu:burst_interval_samples": 50_010}
    with recorded("stated.sigmf", steady, **stated) as recording:
        assert sent_interval(recording, 700) == (50_010, True)
    # 50,000 is no multiple of 700: segments that follow a clock of their own give the step only.
    with recorded("seen.sigmf", steady) as recording:
        assert sent_interval(recording, 700) == (50_000, False)
    with recorded("multiple.sigmf", steady) as recording:
        assert sent_interval(recording, 500) == (50_000, True)
    # Gaps after overflows come at any time.
    with recorded("gaps.sigmf", [0, 300, 90_000, 91_000]) as recording:
        assert sent_interval(recording, 700) == (700, True)
