"""Images sent in a circle: what lies between the first and the last frame counts, and no more."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phyemu.datasets import ImageSet
from phyemu.errors import CheckpointError
from phyemu.evaluation import ExportedPhyDnn, SentImages, encode_images
from phyemu.evaluation.circular_score import CircularScore, score_circular
from phyemu.receiver import FrameStatus, ReceivedFrame

GAP = 1000  # samples from frame to frame


@pytest.fixture(scope="module")
def sent(phydnn: ExportedPhyDnn, images: ImageSet) -> SentImages:
    """Return five images as frames that hold three halves of one each: the last has half."""
    five = encode_images(phydnn, images.subset(torch.arange(5)))
    size = five.symbols.shape[1]
    frame = size + size // 2
    return replace(five, payload_plan=(frame, frame, frame, size // 2))


def frame(sent: SentImages, number: int, sample: int, *, wrong: bool = False) -> ReceivedFrame:
    """Return frame `number` as received without noise, or with every symbol wrong."""
    begins = np.cumsum((0, *sent.payload_plan))
    symbols = sent.symbols.flatten()[begins[number] : begins[number + 1]]
    decided = (symbols + wrong) % sent.order
    return ReceivedFrame(
        sample_start=sample,
        sample_count=10,
        status=FrameStatus.OK,
        frame_index=number,
        erased=np.zeros(len(symbols), bool),
        points=np.zeros(len(symbols), np.complex64),
        posteriors=torch.nn.functional.one_hot(decided, sent.order).float().numpy(),
        disturbed_symbols=0,
        noise_variance=0.1,
        snr_db=12.0,
        cfo_hz=0.0,
        cfo_drift_hz=0.0,
        sfo_ppm=0.0,
        evm_db=-10.0,
        timing_samples=0.0,
        amplitude=1.0,
        response=np.zeros(0, np.complex64),
        response_offset_samples=0,
    )


def stream(
    sent: SentImages, positions: list[int], wrong: tuple[int, ...] = ()
) -> list[ReceivedFrame]:
    """Return the frames received at positions of the endless circle."""
    count = len(sent.payload_plan)
    return [
        frame(sent, position % count, position * GAP, wrong=position in wrong)
        for position in positions
    ]


def right(phydnn: ExportedPhyDnn, sent: SentImages, numbers: range) -> int:
    """Return how many of these images the tail understands without a single wrong symbol."""
    one_hot = torch.nn.functional.one_hot(sent.symbols, sent.order).float()
    with torch.no_grad():
        found = phydnn.tail(one_hot).argmax(-1)
    return int(sum(found[number] == sent.labels[number] for number in numbers))


def test_whole_passes_are_scored_pass_by_pass(phydnn: ExportedPhyDnn, sent: SentImages) -> None:
    score = score_circular(stream(sent, list(range(8))), sent, phydnn)
    assert (score.frames_received, score.frames_lost, score.images) == (8, 0, 10)
    assert score.images_right == 2 * right(phydnn, sent, range(5))
    assert (score.symbols, score.symbol_errors) == (2 * sent.symbols.numel(), 0)
    assert score.snr_sum_db == pytest.approx(8 * 12.0)


def test_a_better_reception_in_another_pass_does_not_help(
    phydnn: ExportedPhyDnn, sent: SentImages
) -> None:
    frames = stream(sent, list(range(8)), wrong=(0, 1, 2, 3))
    score = score_circular(frames, sent, phydnn)
    assert score.symbol_errors == sent.symbols.numel()


def test_what_came_before_and_after_listening_counts_as_nothing(
    phydnn: ExportedPhyDnn, sent: SentImages
) -> None:
    # Frame 1 has image 1.5 to 3, frame 2 image 3 to 4.5: images 2 and 3 are whole.
    score = score_circular(stream(sent, [1, 2]), sent, phydnn)
    assert (score.frames_received, score.frames_lost, score.images) == (2, 0, 2)
    assert score.images_right == right(phydnn, sent, range(2, 4))


def test_lost_frames_are_lost_symbols_and_their_images_are_judged(
    phydnn: ExportedPhyDnn, sent: SentImages
) -> None:
    score = score_circular(stream(sent, [0, 2, 3]), sent, phydnn)
    assert (score.frames_received, score.frames_lost, score.images) == (3, 1, 5)
    assert score.symbol_errors == sent.payload_plan[1]


@pytest.mark.parametrize(("pass_samples", "lost"), [(None, 1), (4.0 * GAP, 9)])
def test_a_gap_of_passes_is_told_by_its_samples(
    phydnn: ExportedPhyDnn, sent: SentImages, pass_samples: float | None, lost: int
) -> None:
    frames = stream(sent, [0, 1, 2, 12, 13])  # from 2 to 12: 3, two passes, and nothing else
    score = score_circular(frames, sent, phydnn, pass_samples=pass_samples)
    assert (score.frames_received, score.frames_lost) == (5, lost)
    assert score.symbols == sum(sent.payload_plan[position % 4] for position in range(3 + lost + 2))


def test_a_frame_that_the_end_of_listening_cut_does_not_count(
    phydnn: ExportedPhyDnn, sent: SentImages
) -> None:
    frames = stream(sent, list(range(5)))
    cut = replace(
        frames[-1], status=FrameStatus.TRUNCATED, erased=np.ones(len(frames[-1].points), bool)
    )
    score = score_circular([*frames[:-1], cut], sent, phydnn)
    assert (score.frames_received, score.symbol_errors) == (4, 0)
    # Within the stream a gap cut it, and what it lacks is lost.
    score = score_circular([*frames[:-1], cut, frame(sent, 1, 5 * GAP)], sent, phydnn)
    assert score.symbol_errors == len(cut.points)


def test_frames_of_something_else_are_counted_apart(
    phydnn: ExportedPhyDnn, sent: SentImages
) -> None:
    stray = replace(frame(sent, 0, 0), frame_index=7)
    short = replace(frame(sent, 3, 0), frame_index=0)
    header = replace(frame(sent, 0, 0), frame_index=None)
    score = score_circular([stray, short, header], sent, phydnn)
    assert score == CircularScore(frames_unexpected=2)


def test_another_phydnn_is_refused(phydnn: ExportedPhyDnn, sent: SentImages) -> None:
    with pytest.raises(CheckpointError, match="order 2"):
        score_circular([], replace(sent, order=2), phydnn)
    other = frame(sent, 0, 0)
    other = replace(other, posteriors=other.posteriors[:, :2])
    with pytest.raises(CheckpointError, match="frames of order 2"):
        score_circular([other], sent, phydnn)
