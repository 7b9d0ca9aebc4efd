"""Frames that are missing are counted by where those around them lie."""

from pathlib import Path

import numpy as np
import pytest

from phyemu.batch.link_measurements import measure_frames
from phyemu.batch.result_table import LinkResult
from phyemu.listening import FrameStore
from phyemu.receiver import FrameStatus, ReceivedFrame
from phyemu.waveform import FrameFormat, constellation
from phyemu.waveform.sent_frames import SentFrames

RESULT = LinkResult(
    kind="receive", reservation="", job="", scenario="", loop=1, transmitter=1, receiver=2
)
# Five frames of 1000 samples and a short one, then silence.
COUNT, STEP, PASS = 6, 1000, 5600


def received(index: int, start: int) -> ReceivedFrame:
    return ReceivedFrame(
        sample_start=start,
        sample_count=400,
        status=next(iter(FrameStatus)),
        frame_index=index,
        points=np.ones(1, np.complex64),
        posteriors=np.full((1, 4), 0.25, np.float32),
        erased=np.zeros(1, bool),
        disturbed_symbols=0,
        snr_db=20.0,
        evm_db=-20.0,
        cfo_hz=0.0,
        cfo_drift_hz=0.0,
        sfo_ppm=0.0,
        timing_samples=0.0,
        amplitude=0.5,
        noise_variance=0.01,
        response=np.zeros(0, np.complex64),
        response_offset_samples=0,
    )


def circle(*passes: int, begin: int = 100) -> list[tuple[int, int]]:
    return [(n, begin + p * PASS + n * STEP + p % 2) for p in passes for n in range(COUNT)]


def without(frames: list[tuple[int, int]], *places: int) -> list[tuple[int, int]]:
    return [frame for place, frame in enumerate(frames) if place not in places]


RESTARTED = circle(0)[:3] + circle(0, 1, begin=40_300)


@pytest.mark.parametrize(
    ("frames", "lost"),
    [
        (circle(0, 1, 2), 0),
        (circle(0, 10), 9 * COUNT),  # nine passes went by unheard
        (without(circle(0, 1, 2), 9), 1),
        (without(circle(0, 1, 2), 5, 6), 2),  # the short one, and the one behind it
        (without(circle(0, 3), 5), 2 * COUNT + 1),
        (RESTARTED, 0),  # it began anew after 37 000 samples: nothing was sent in between
        (without(RESTARTED, 5), 1),
    ],
)
def test_missing_frames_are_told_by_their_places(
    frames: list[tuple[int, int]], lost: int, tmp_path: Path
) -> None:
    path = tmp_path / "frames.h5"
    sent = SentFrames(
        frame_format=FrameFormat(sample_rate_hz=1e6), constellation=constellation("psk", 4)
    )
    with FrameStore(path, sent, provenance={}) as store:
        for index, start in frames:
            store.add(received(index, start))

    def measured(told: dict[str, int]) -> tuple[int | None, int | None]:
        found = measure_frames(
            RESULT,
            [path],
            [],
            run=None,
            summaries=[told],
            frames_per_pass=COUNT,
            pass_samples=PASS,
        )
        return found.frames_received, found.frames_lost

    assert measured({}) == (len(frames), lost)
    # A node that was told what is sent knows better.
    assert measured({"frames_received": 70, "frames_lost": 7}) == (70, 7)
