"""Gaps between segments are part of a recording's time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from phyemu.iq import Recording, RecordingWriter, open_recording
from phyemu.progress import no_progress
from phyemu.sounding.recording_time import blocks_with_progress, radio_samples


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
