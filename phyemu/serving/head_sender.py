"""Images to samples, batch by batch: the head, the frames, and the introduction among them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.evaluation import HeadSide
from phyemu.waveform import build_frame, modulate

from .framing import GAP_SAMPLES, INTRODUCTION_INDEX, ImageFraming
from .image_source import ImageBatch
from .introduction import introduction_symbols
from .sent_record import SentImage

__all__ = ["AMPLITUDE", "FRAMES_BETWEEN", "EncodedBatch", "HeadCounts", "HeadSender"]

AMPLITUDE = 0.4
"""Of the strongest symbols, full scale 1; pulses add up to 1.3 times as much between them."""

FRAMES_BETWEEN = 512
"""Frames between two introductions: at 20 Msps, and 1024 symbols in each, 0.1 s."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class EncodedBatch:
    """What goes out for a batch of images.

    Attributes:
        iq: The samples, (num_samples,), complex64; silence surrounds each frame.
        images: Where each image lies.
        image_ends: The sample behind the last one of each image.
        frames: (first sample, number of samples, index, payload symbols) of each frame.
    """

    iq: NDArray[np.complex64]
    images: tuple[SentImage, ...]
    image_ends: tuple[int, ...]
    frames: tuple[tuple[int, int, int, int], ...]


@dataclass(slots=True)
class HeadCounts:
    """How much was encoded so far.

    Attributes:
        images: Images.
        frames: Frames, introductions included.
        introductions: Introductions.
        symbols: Channel symbols of the images.
        samples: Samples.
        head_s: Time that the head took [s].
        framing_s: Time that modulating and framing took [s].
    """

    images: int = 0
    frames: int = 0
    introductions: int = 0
    symbols: int = 0
    samples: int = 0
    head_s: float = 0.0
    framing_s: float = 0.0


class HeadSender:
    """Encodes batches, one after the other.

    Attributes:
        counts: How much was encoded so far.
    """

    def __init__(
        self,
        head: HeadSide,
        *,
        images_per_frame: int = 1,
        amplitude: float = AMPLITUDE,
        gap_samples: int = GAP_SAMPLES,
        frames_between: int = FRAMES_BETWEEN,
    ) -> None:
        """Begin with frame 0.

        Args:
            head: What encodes.
            images_per_frame: Images that go into a frame together.
            amplitude: Of the strongest symbols, full scale 1, within 0..1.
            gap_samples: Silence around each frame [samples], >= 0.
            frames_between: Frames of images between two introductions, >= 1.

        Raises:
            ConfigError: A number is out of range.
        """
        if not 0 < amplitude <= 1 or gap_samples < 0 or frames_between < 1:
            raise ConfigError(
                f"need an amplitude within 0..1, gap_samples >= 0 and frames_between >= 1, got "
                f"{amplitude=}, {gap_samples=}, {frames_between=}"
            )
        self.counts = HeadCounts()
        self._head = head
        self._framing = ImageFraming(
            symbols_per_image=head.symbols_per_image,
            frame_format=head.frame_format,
            images_per_frame=images_per_frame,
        )
        self._amplitude = amplitude
        self._gap = np.zeros(gap_samples, np.complex64)
        self._index = 0
        self._between = self._since = frames_between

    def encode(self, batch: ImageBatch) -> EncodedBatch:
        """Return what goes out for a batch.

        Raises:
            ConfigError: The samples would clip.
        """
        begun = time.perf_counter()
        symbols = self._head.symbols(batch.images)
        encoded = time.perf_counter()
        pieces: list[NDArray[np.complex64]] = []
        frames: list[tuple[int, int, int, int]] = []
        images: list[SentImage] = []
        image_ends: list[int] = []
        position = 0

        def add(payload: Tensor, index: int) -> None:
            nonlocal position
            samples = self._samples(payload, index)
            frames.append((position + len(self._gap), len(samples), index, len(payload)))
            pieces.extend((self._gap, samples))
            position += len(self._gap) + len(samples)

        for framed in self._framing.frames(symbols, first_index=self._index):
            if self._since >= self._between:
                add(introduction_symbols(self._head.card), INTRODUCTION_INDEX)
                self.counts.introductions += 1
                self._since = 0
            add(framed.symbols, framed.frame_index)
            for place in range(framed.num_images):
                images.append(batch.sent(len(images), framed.frame_index, place))
                image_ends.append(position)
            self._index = (framed.frame_index + 1) % self._framing.num_indices
            self._since += 1
        pieces.append(self._gap)
        iq = np.concatenate(pieces)
        self._count(symbols, frames, iq)
        self.counts.head_s += encoded - begun
        self.counts.framing_s += time.perf_counter() - encoded
        return EncodedBatch(
            iq=iq, images=tuple(images), image_ends=tuple(image_ends), frames=tuple(frames)
        )

    def _samples(self, payload: Tensor, index: int) -> NDArray[np.complex64]:
        points = modulate(payload, self._head.constellation)
        shaped = build_frame(points, frame_index=index, frame_format=self._head.frame_format)
        samples: NDArray[np.complex64] = (
            (self._amplitude * shaped).to(torch.complex64).detach().numpy()
        )
        peak = float(np.abs(samples).max())
        if peak > 1.0:
            raise ConfigError(
                f"amplitude {self._amplitude:g} gives peaks of {peak:.2f} of full scale, which "
                f"would clip; use at most {self._amplitude / peak:.2f}"
            )
        return samples

    def _count(
        self,
        symbols: Tensor,
        frames: Sequence[tuple[int, int, int, int]],
        iq: NDArray[np.complex64],
    ) -> None:
        self.counts.images += len(symbols)
        self.counts.symbols += symbols.numel()
        self.counts.frames += len(frames)
        self.counts.samples += len(iq)
