"""Images of a circle of frames: what a stream says against what a recording's score says."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.datasets import ImageSet
from phyemu.errors import CheckpointError
from phyemu.evaluation import (
    ExportedPhyDnn,
    ExportedTail,
    ImageStream,
    SentImages,
    encode_images,
    image_waveform,
    score_frames,
)
from phyemu.receiver import ReceivedFrame, receive_frames

GAP = 400


@pytest.fixture(scope="module")
def short(phydnn: ExportedPhyDnn) -> ExportedPhyDnn:
    """Return the PhyDNN with frames of at most 250 symbols, across which images lie."""
    frame_format = dataclasses.replace(phydnn.frame_format, max_payload_symbols=250)
    return dataclasses.replace(phydnn, frame_format=frame_format)


@pytest.fixture(scope="module")
def sent(short: ExportedPhyDnn, images: ImageSet) -> SentImages:
    """Return what is sent of 12 images."""
    return encode_images(short, images.subset(torch.arange(12)))


@pytest.fixture(scope="module")
def one_pass(short: ExportedPhyDnn, sent: SentImages) -> tuple[list[ReceivedFrame], int]:
    """Return the frames of a pass with noise that makes errors, and its length in samples."""
    iq, _ = image_waveform(
        sent, short.constellation, short.frame_format, amplitude=0.3, gap_samples=GAP
    )
    noise = torch.Generator().manual_seed(4)
    iq = iq + 0.12 * torch.empty_like(iq).normal_(generator=noise)
    frames = receive_frames(
        [iq.numpy()], frame_format=short.frame_format, constellation=short.constellation
    )
    assert [frame.frame_index for frame in frames] == list(range(len(sent.payload_plan)))
    return frames, len(iq)


def stream_of(short: ExportedPhyDnn, sent: SentImages) -> ImageStream:
    tail = ExportedTail(
        tail=short.tail, constellation=short.constellation, frame_format=short.frame_format
    )
    return ImageStream(tail, sent, gap_samples=GAP)


def heard(frames: Sequence[ReceivedFrame], length: int, number: int) -> ReceivedFrame:
    """Return frame `number` of endless passes."""
    passes, index = divmod(number, len(frames))
    frame = frames[index]
    return dataclasses.replace(frame, sample_start=frame.sample_start + passes * length)


@settings(max_examples=30)
@given(missing=st.sets(st.integers(0, 99)))
def test_a_pass_is_scored_as_a_recording_of_it(
    missing: set[int],
    short: ExportedPhyDnn,
    sent: SentImages,
    one_pass: tuple[list[ReceivedFrame], int],
) -> None:
    frames, _ = one_pass
    # The first and the last frame come: a stream cannot know of others before and after.
    kept = [
        frame
        for number, frame in enumerate(frames)
        if number not in missing or number in (0, len(frames) - 1)
    ]
    stream = stream_of(short, sent)
    told = [image for frame in kept for image in stream.hear(frame)]
    expected = score_frames(kept, sent, short, channel="x", fidelity="x")
    score = stream.score
    assert score.frames_lost == expected.evaluation.frames_lost
    assert score.symbol_errors / score.symbols == pytest.approx(expected.evaluation.ser)
    assert score.images == 12
    assert 100 * score.images_right / 12 == pytest.approx(expected.evaluation.accuracy)
    assert len(told) == 12 - score.images_lost
    for image in told:
        assert image.index is not None
        assert image.prediction == expected.predictions[image.index]
        assert image.label == sent.labels[image.index]
    assert [image.index for image in told] == sorted(image.index or 0 for image in told)


@settings(max_examples=30)
@given(first=st.integers(0, 30), gap=st.integers(0, 40), drift=st.floats(-40e-6, 40e-6))
def test_passes_that_are_missing_are_counted(
    first: int,
    gap: int,
    drift: float,
    short: ExportedPhyDnn,
    sent: SentImages,
    one_pass: tuple[list[ReceivedFrame], int],
) -> None:
    frames, length = one_pass
    stream = stream_of(short, sent)
    count = len(frames)
    numbers = [*range(first, first + 5), *range(first + 5 + gap, first + 2 * count + gap)]
    for number in numbers:
        frame = heard(frames, length, number)
        start = round(frame.sample_start * (1 + drift)) + 12_345
        stream.hear(dataclasses.replace(frame, sample_start=start))
    score = stream.score
    assert (score.frames_received, score.frames_lost) == (len(numbers), gap)
    begins = [0]
    for number in range(first + 2 * count + gap):
        begins.append(begins[-1] + sent.payload_plan[number % count])
    begin, end = begins[first], begins[-1]
    assert score.symbols == end - begin
    size = short.symbols_per_image
    assert score.images == end // size - -(-begin // size)
    assert score.restarts == 0


def test_a_transmitter_that_begins_anew_loses_no_frames(
    short: ExportedPhyDnn, sent: SentImages, one_pass: tuple[list[ReceivedFrame], int]
) -> None:
    frames, length = one_pass
    stream = stream_of(short, sent)
    for frame in frames[:4]:
        stream.hear(frame)
    for frame in frames:
        late = dataclasses.replace(frame, sample_start=frame.sample_start + length // 2)
        stream.hear(late)
    assert (stream.score.frames_lost, stream.score.restarts) == (0, 1)
    whole = score_frames(frames, sent, short, channel="x", fidelity="x").evaluation
    size = short.symbols_per_image
    before = sum(sent.payload_plan[:4]) // size
    assert stream.score.images == before + 12
    right = sum(image.label == image.prediction for image in _all(stream_of(short, sent), frames))
    assert 100 * right / 12 == pytest.approx(whole.accuracy)


def _all(stream: ImageStream, frames: Sequence[ReceivedFrame]) -> list:  # type: ignore[type-arg]
    return [image for frame in frames for image in stream.hear(frame)]


def test_frames_of_another_transmission_are_left_out(
    short: ExportedPhyDnn, sent: SentImages, one_pass: tuple[list[ReceivedFrame], int]
) -> None:
    frames, _ = one_pass
    stream = stream_of(short, sent)
    assert stream.hear(dataclasses.replace(frames[0], frame_index=4000)) == []
    assert stream.hear(dataclasses.replace(frames[0], frame_index=None)) == []
    assert stream.score.frames_unexpected == 1
    assert stream.score.frames_received == 0


def test_what_was_sent_by_another_is_refused(short: ExportedPhyDnn, sent: SentImages) -> None:
    other = dataclasses.replace(sent, order=8)
    with pytest.raises(CheckpointError, match=r"of order 8 are sent, but this tail takes"):
        stream_of(short, other)
