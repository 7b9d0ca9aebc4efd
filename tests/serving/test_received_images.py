"""Frames of single images, with frames that are lost, cut, doubled and from strangers."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup, evaluating
from phyemu.errors import CheckpointError
from phyemu.evaluation import ExportedHead, ExportedPhyDnn
from phyemu.receiver import FrameStatus, ReceivedFrame
from phyemu.serving import (
    INTRODUCTION_INDEX,
    ImageFraming,
    Partner,
    ReceivedImages,
    introduction_symbols,
)


def frame_of(
    symbols: torch.Tensor, index: int | None, *, order: int = 4, start: int = 0
) -> ReceivedFrame:
    """Return a frame as the receiver makes it of a quiet air."""
    count = len(symbols)
    posteriors = np.full((count, order), 1e-3, np.float32)
    posteriors[np.arange(count), symbols.numpy()] = 1 - (order - 1) * 1e-3
    return ReceivedFrame(
        sample_start=start,
        sample_count=count,
        status=FrameStatus.OK,
        frame_index=index,
        erased=np.zeros(count, bool),
        points=np.zeros(count, np.complex64),
        posteriors=posteriors,
        disturbed_symbols=0,
        noise_variance=0.01,
        snr_db=20.0,
        cfo_hz=0.0,
        cfo_drift_hz=0.0,
        sfo_ppm=0.0,
        evm_db=-20.0,
        timing_samples=0.0,
        amplitude=1.0,
        response=np.ones(1, np.complex64),
        response_offset_samples=0,
    )


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
    assert stream.partner is Partner.OURS
    assert (stream.score.frames_lost, stream.score.restarts) == (0, 1)


def test_the_head_of_another_export_is_refused(phydnn: ExportedPhyDnn) -> None:
    card = dataclasses.replace(phydnn.tail.card, embedding_sha256="0123456789abcdef" * 4)
    with pytest.raises(CheckpointError, match="another dictionary than this tail"):
        ReceivedImages(phydnn).hear(frame_of(introduction_symbols(card), INTRODUCTION_INDEX))


def test_the_head_of_another_order_is_refused(phydnn: ExportedPhyDnn) -> None:
    eight = torch.zeros(4 * 22, dtype=torch.int64)
    with pytest.raises(CheckpointError, match=r"has a constellation of 8 points, .* has 4;"):
        ReceivedImages(phydnn).hear(frame_of(eight, INTRODUCTION_INDEX))
