"""Frames of single images, with frames that are lost, cut, doubled and from strangers."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup, evaluating
from phyemu.evaluation import ExportedHead, ExportedPhyDnn, StreamScore
from phyemu.evaluation.image_stream import classify
from phyemu.receiver import FrameStatus, ReceivedFrame
from phyemu.serving import (
    INTRODUCTION_INDEX,
    ImageFraming,
    Partner,
    ReceivedImages,
    SentImage,
    SentRecord,
    introduction_symbols,
)
from tests.serving.quiet_air import frame_of


def head_of(phydnn: ExportedPhyDnn) -> ExportedHead:
    return ExportedHead(
        head=phydnn.head, constellation=phydnn.constellation, frame_format=phydnn.frame_format
    )


def sent_frames(phydnn: ExportedPhyDnn, images: ImageSet, first: int) -> list[ReceivedFrame]:
    framing = ImageFraming(
        symbols_per_image=phydnn.symbols_per_image, frame_format=phydnn.frame_format
    )
    symbols = head_of(phydnn).symbols(images.images)
    frames = framing.frames(symbols, first_index=first)
    return [frame_of(sent.symbols, sent.frame_index) for sent in frames]


def expected_classes(
    phydnn: ExportedPhyDnn, images: ImageSet, kept: Sequence[bool]
) -> dict[int, int]:
    """Return the class of each image of which something came, by the tail itself."""
    size, order = phydnn.symbols_per_image, phydnn.order
    plan = ImageFraming(symbols_per_image=size, frame_format=phydnn.frame_format).plan
    symbols = head_of(phydnn).symbols(images.images)
    posteriors = torch.full((*symbols.shape, order), 1e-3)
    posteriors.scatter_(2, symbols[..., None], 1 - (order - 1) * 1e-3)
    classes = {}
    for image in range(len(symbols)):
        came = kept[image * len(plan) : (image + 1) * len(plan)]
        begin = 0
        for part, length in enumerate(plan):
            if not came[part]:
                posteriors[image, begin : begin + length] = 1 / order
            begin += length
        if any(came):
            with evaluating(phydnn.tail):
                logits = phydnn.tail(posteriors[image : image + 1], Lookup.HARD)
            classes[image] = int(logits.argmax())
    return classes


@settings(max_examples=25)
@given(missing=st.sets(st.integers(0, 35)), whole=st.booleans(), first=st.sampled_from([0, 4086]))
def test_what_comes_is_classified_and_what_does_not_is_counted(
    missing: set[int],
    whole: bool,
    first: int,
    phydnn: ExportedPhyDnn,
    short: ExportedPhyDnn,
    images: ImageSet,
) -> None:
    ours = phydnn if whole else short
    frames = sent_frames(ours, images, first)
    assert len(frames) == (12 if whole else 36)
    kept = [number not in missing or number == 0 for number in range(len(frames))]
    kept[-1] = True
    stream = ReceivedImages(ours)
    told = []
    for frame, came in zip(frames, kept, strict=True):
        if came:
            told += stream.hear(frame)
    told += stream.finish()
    expected = expected_classes(ours, images, kept)
    assert [image.prediction for image in told] == list(expected.values())
    parts = len(frames) // len(images)
    begun = frames[0].frame_index
    assert begun is not None
    total = ImageFraming(
        symbols_per_image=ours.symbols_per_image, frame_format=ours.frame_format
    ).num_indices
    ends = [(begun + image * parts + parts - 1) % total for image in expected]
    assert [image.frame for image in told] == ends
    score = stream.score
    assert score.frames_received == sum(kept)
    assert score.frames_lost == len(frames) - sum(kept)
    assert score.images_lost == len(images) - len(expected)
    assert score.images == len(images)


def test_symbols_that_are_missing_inside_a_frame_are_no_errors(
    phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    frame = sent_frames(phydnn, images, 0)[0]
    erased = np.zeros(len(frame.points), bool)
    erased[10:60] = True
    posteriors = np.where(erased[:, None], np.float32(0.25), frame.posteriors)
    cut = dataclasses.replace(
        frame, erased=erased, posteriors=posteriors, status=FrameStatus.PARTIAL
    )
    (told,) = ReceivedImages(phydnn).hear(cut)
    assert told.received_symbols == phydnn.symbols_per_image - 50
    assert told.position == 0


def test_frames_of_others_are_left_out(phydnn: ExportedPhyDnn) -> None:
    stream = ReceivedImages(phydnn)
    zeros = torch.zeros(phydnn.symbols_per_image + 1, dtype=torch.int64)
    assert stream.hear(frame_of(zeros, 3)) == []
    assert stream.hear(frame_of(zeros, None)) == []
    assert stream.hear(frame_of(zeros[:0], None)) == []
    assert (stream.score.frames_unexpected, stream.score.images) == (1, 0)


def test_a_head_that_begins_anew_loses_no_images(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    stream = ReceivedImages(phydnn)
    symbols = introduction_symbols(phydnn.tail.card)
    for first in (4000, 0):
        stream.hear(frame_of(symbols, INTRODUCTION_INDEX))
        for frame in sent_frames(phydnn, images, first):
            stream.hear(frame)
    assert stream.assembly.partner is Partner.OURS
    assert (stream.score.frames_lost, stream.score.restarts) == (0, 1)


def stranger_of(phydnn: ExportedPhyDnn) -> ReceivedFrame:
    card = dataclasses.replace(phydnn.tail.card, embedding_sha256="0123456789abcdef" * 4)
    return frame_of(introduction_symbols(card), INTRODUCTION_INDEX)


def test_images_of_a_stranger_are_left_out_until_ours_introduces_itself(
    phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    stream = ReceivedImages(phydnn)
    frames = sent_frames(phydnn, images, 0)
    assert stream.hear(stranger_of(phydnn)) == []
    assert [told for frame in frames for told in stream.hear(frame)] == []
    assert (stream.assembly.partner, stream.assembly.strangers) == (Partner.OTHER, 1)
    assert "another dictionary than this tail" in (stream.assembly.stranger or "")
    assert (stream.score.images, stream.score.frames_unexpected) == (0, len(frames))
    stream.hear(frame_of(introduction_symbols(phydnn.tail.card), INTRODUCTION_INDEX))
    assert len([told for frame in frames for told in stream.hear(frame)]) == len(images)
    assert stream.assembly.partner is Partner.OURS


@pytest.mark.parametrize("length", [4 * 22, 1, 4 * 32, 16384])
def test_an_introduction_amid_our_frames_costs_none_of_them(
    length: int, phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    stream = ReceivedImages(phydnn)
    stream.hear(frame_of(introduction_symbols(phydnn.tail.card), INTRODUCTION_INDEX))
    told = []
    hostile = frame_of(torch.zeros(length, dtype=torch.int64), INTRODUCTION_INDEX)
    for number, frame in enumerate(sent_frames(phydnn, images, 7)):
        if number:
            assert stream.hear(hostile) == []
        if number != 3:  # what the stranger's frame collided with
            told += stream.hear(frame)
    assert len(told) == len(images) - 1
    assert (stream.assembly.partner, stream.assembly.strangers) == (Partner.OURS, len(images) - 1)
    assert (stream.score.images_lost, stream.score.frames_unexpected) == (1, 0)


def test_a_stranger_that_begins_is_not_taken_for_ours(
    phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    stream = ReceivedImages(phydnn)
    stream.hear(frame_of(introduction_symbols(phydnn.tail.card), INTRODUCTION_INDEX))
    for frame in sent_frames(phydnn, images, 1000):
        stream.hear(frame)
    stream.hear(stranger_of(phydnn))
    assert [told for frame in sent_frames(phydnn, images, 0) for told in stream.hear(frame)] == []
    assert (stream.score.images, stream.score.restarts) == (len(images), 0)


def test_a_head_of_another_order_is_told(phydnn: ExportedPhyDnn) -> None:
    stream = ReceivedImages(phydnn)
    stream.hear(frame_of(torch.zeros(4 * 22, dtype=torch.int64), INTRODUCTION_INDEX))
    assert "has a constellation of 8 points, and this tail's has 4;" in (
        stream.assembly.stranger or ""
    )


def test_a_frame_of_very_many_images_goes_through_the_tail_in_parts() -> None:
    sizes: list[int] = []

    class Tail:
        def logits(self, posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
            sizes.append(len(posteriors))
            return posteriors[:, 0]

    posteriors = np.random.default_rng(3).random((1000, 1, 4), np.float32)
    score = StreamScore()
    classes, _ = classify(Tail(), posteriors, score)  # type: ignore[arg-type]
    assert classes.tolist() == posteriors[:, 0].argmax(-1).tolist()
    assert max(sizes) <= 64
    assert (sum(sizes), score.tail_images) == (1000, 1000)


def test_what_arrives_is_scored_by_the_record_of_the_head(
    phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    # Two passes, the second from frame 12 on; one image of each is lost.
    frames = [*sent_frames(phydnn, images, 0), *sent_frames(phydnn, images, 12)]
    labels = images.labels.tolist()
    record = SentRecord(
        SentImage(name=str(9 * row), frame=12 * turn + row, position=0, index=9 * row, label=label)
        for turn in range(2)
        for row, label in enumerate(labels)
    )
    stream = ReceivedImages(phydnn, record)
    kept = [frame for number, frame in enumerate(frames) if number % 12 != 5]
    told = [image for frame in kept for image in stream.hear(frame)]
    assert [image.index for image in told] == 2 * [9 * row for row in range(12) if row != 5]
    assert [image.label for image in told] == 2 * [*labels[:5], *labels[6:]]
    right = sum(image.prediction == image.label for image in told)
    assert (stream.score.images, stream.score.images_lost) == (24, 2)
    assert stream.score.images_right == right
