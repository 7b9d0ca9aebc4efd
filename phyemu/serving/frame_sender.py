"""Symbols of images to samples: the frames, their numbers, and the introduction among them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.evaluation import AirSide
from phyemu.waveform import build_frame, modulate

from .framing import GAP_SAMPLES, INTRODUCTION_INDEX, ImageFraming
from .introduction import introduction_symbols
from .sent_record import SentImage

__all__ = ["AMPLITUDE", "FRAMES_BETWEEN", "EncodedBatch", "FrameSender", "Portion", "SentCounts"]

AMPLITUDE = 0.4
"""Of the strongest symbols, full scale 1; pulses add up to 1.3 times as much between them."""

FRAMES_BETWEEN = 512
"""Frames between two introductions: at 20 Msps, and 1024 symbols in each, 0.1 s."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Portion:
    """Images that go out one after the other.

    Attributes:
        symbols: (num_images, symbols_per_image), int64.
        describe: Returns what is told of image `row` that is at `position` in `frame`.
        images_per_frame: Images that go into a frame together.
        num_missing: Images before them that are not sent, but have their numbers: whoever receives
            counts them as lost.
        introduces: Whether an introduction comes before them in any case.
    """

    symbols: Tensor
    describe: Callable[[int, int, int], SentImage]
    images_per_frame: int = 1
    num_missing: int = 0
    introduces: bool = False


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
class SentCounts:
    """How much was encoded so far.

    Attributes:
        images: Images.
        frames: Frames, introductions included.
        introductions: Introductions.
        restarts: Times that numbers began anew: more frames were left out than could be counted.
        symbols: Channel symbols of the images.
        samples: Samples.
        framing_s: Time that modulating and framing took [s].
    """

    images: int = 0
    frames: int = 0
    introductions: int = 0
    restarts: int = 0
    symbols: int = 0
    samples: int = 0
    framing_s: float = 0.0


class FrameSender:
    """Makes the samples of images, batch by batch.

    Attributes:
        counts: How much so far.
    """

    def __init__(
        self,
        side: AirSide,
        *,
        amplitude: float = AMPLITUDE,
        gap_samples: int = GAP_SAMPLES,
        frames_between: int = FRAMES_BETWEEN,
    ) -> None:
        """Begin with frame 0.

        Args:
            side: What sends: its card, frames and constellation.
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
        self.counts = SentCounts()
        self.framing = ImageFraming(
            symbols_per_image=side.symbols_per_image, frame_format=side.frame_format
        )
        self._side = side
        self._amplitude = amplitude
        self._gap = np.zeros(gap_samples, np.complex64)
        self._index = 0
        self._last_images = 1
        self._between = self._since = frames_between

    def encode(self, portions: Sequence[Portion]) -> EncodedBatch:
        """Return what goes out for images; without portions, nothing.

        Raises:
            ConfigError: The samples would clip, or so many images do not fit into a frame.
        """
        begun = time.perf_counter()
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

        for portion in portions:
            self._pass_over(portion.num_missing)
            if portion.introduces:
                self._since = self._between
            framing = replace(self.framing, images_per_frame=portion.images_per_frame)
            row = 0
            for framed in framing.frames(portion.symbols, first_index=self._index):
                if self._since >= self._between:
                    add(introduction_symbols(self._side.card), INTRODUCTION_INDEX)
                    self.counts.introductions += 1
                    self._since = 0
                add(framed.symbols, framed.frame_index)
                for place in range(framed.num_images):
                    images.append(portion.describe(row, framed.frame_index, place))
                    image_ends.append(position)
                    row += 1
                self._index = (framed.frame_index + 1) % self.framing.num_indices
                self._last_images = framed.num_images
                self._since += 1
            self.counts.symbols += portion.symbols.numel()
        if pieces:
            pieces.append(self._gap)
        iq = np.concatenate(pieces) if pieces else np.zeros(0, np.complex64)
        self.counts.images += len(images)
        self.counts.frames += len(frames)
        self.counts.samples += len(iq)
        self.counts.framing_s += time.perf_counter() - begun
        return EncodedBatch(
            iq=iq, images=tuple(images), image_ends=tuple(image_ends), frames=tuple(frames)
        )

    def _pass_over(self, num_missing: int) -> None:
        """Leave out the frames of images that are missing.

        Whoever receives takes a frame that is missing for as many images as the last one held. Of
        more frames than half the numbers it cannot tell how many they are. So numbers begin anew:
        as far ahead as it takes for a new beginning, a quarter of them more or fewer.
        """
        parts, total = len(self.framing.plan), self.framing.num_indices
        skipped = num_missing * parts if parts > 1 else num_missing // self._last_images
        if skipped > total // 2 - 1:
            skipped = total * 3 // 4 // parts * parts
            self._since = self._between
            self.counts.restarts += 1
        self._index = (self._index + skipped) % total

    def _samples(self, payload: Tensor, index: int) -> NDArray[np.complex64]:
        points = modulate(payload, self._side.constellation)
        shaped = build_frame(points, frame_index=index, frame_format=self._side.frame_format)
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
