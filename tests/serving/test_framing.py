"""Frames of single images."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phyemu.errors import ConfigError
from phyemu.serving import INTRODUCTION_INDEX, ImageFraming
from phyemu.waveform import FrameFormat


@given(
    size=st.integers(1, 400),
    longest=st.integers(50, 300),
    num_images=st.integers(1, 9),
    first=st.integers(0, 4000),
)
def test_the_symbols_of_images_come_back_from_indices_and_lengths_alone(
    size: int, longest: int, num_images: int, first: int
) -> None:
    frame_format = FrameFormat(max_payload_symbols=longest)
    framing = ImageFraming(symbols_per_image=size, frame_format=frame_format)
    parts = len(framing.plan)
    first = first // parts * parts % framing.num_indices
    symbols = torch.arange(num_images * size).view(num_images, size)
    frames = list(framing.frames(symbols, first_index=first))
    assert torch.equal(torch.cat([frame.symbols for frame in frames]), symbols.flatten())
    assert sum(frame.num_images for frame in frames) == num_images
    for number, frame in enumerate(frames):
        assert frame.frame_index == (first + number) % framing.num_indices
        assert frame.frame_index < INTRODUCTION_INDEX
        assert len(frame.symbols) <= longest
        if parts > 1:
            # The index alone tells which part of an image it is.
            part = frame.frame_index % parts
            assert part == number % parts
            assert len(frame.symbols) == framing.plan[part]
            assert framing.images_in(len(frame.symbols)) == 0
        else:
            assert framing.images_in(len(frame.symbols)) == 1


def test_several_images_share_a_frame() -> None:
    framing = ImageFraming(symbols_per_image=64, frame_format=FrameFormat(), images_per_frame=3)
    frames = list(framing.frames(torch.zeros(7, 64, dtype=torch.int64), first_index=4094))
    assert [frame.num_images for frame in frames] == [3, 3, 1]
    assert [frame.frame_index for frame in frames] == [4094, 0, 1]
    assert [framing.images_in(len(frame.symbols)) for frame in frames] == [3, 3, 1]
    assert framing.images_in(65) == 0


def test_more_images_than_fit_into_a_frame_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"images_per_frame must be 1\.\.16: an image takes 1024"):
        ImageFraming(symbols_per_image=1024, frame_format=FrameFormat(), images_per_frame=17)
