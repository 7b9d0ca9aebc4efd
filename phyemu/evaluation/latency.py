"""How long a batch of images takes from the device to the class, stage by stage.

What runs on a computer is measured where this runs; the time on the air is that of the samples.
Neither radios and their buffers nor a network are in it, so it is a lower bound of what an
experiment sees.
"""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup, evaluating
from phyemu.errors import ConfigError
from phyemu.receiver import assemble, receive_frames
from phyemu.waveform import modulate, split_payload, transmit_waveform

from .exported import ExportedPhyDnn
from .stopwatch import time_calls

__all__ = ["Latency", "measure_latency"]

_AMPLITUDE = 0.5
_GAP_SAMPLES = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Times of a batch, medians of repeated runs [s].

    Attributes:
        num_images: Images of the batch.
        head_s: Images to symbols, on this machine.
        modulation_s: Symbols to samples of frames, on this machine.
        air_s: Frames on the air: their samples over the sample rate, without gaps.
        receiver_s: Samples to posteriors, by the stream receiver on this machine.
        tail_s: Posteriors to classes, on this machine.
        num_threads: Threads that torch was given.
    """

    num_images: int
    head_s: float
    modulation_s: float
    air_s: float
    receiver_s: float
    tail_s: float
    num_threads: int

    @property
    def total_s(self) -> float:
        """Return the sum: each stage begins when the one before has ended [s]."""
        return self.head_s + self.modulation_s + self.air_s + self.receiver_s + self.tail_s

    def to_dict(self) -> dict[str, Any]:
        """Return the times as JSON values."""
        return {**asdict(self), "total_s": self.total_s}

    def line(self) -> str:
        """Return the times for people."""
        stages = ("head", "modulation", "air", "receiver", "tail")
        parts = [f"{stage} {1e3 * getattr(self, f'{stage}_s'):.2f}" for stage in stages]
        images = "1 image" if self.num_images == 1 else f"{self.num_images} images"
        return (
            f"latency of {images}: {1e3 * self.total_s:.2f} ms ({', '.join(parts)}; "
            f"{self.num_threads} threads)"
        )


def measure_latency(
    phydnn: ExportedPhyDnn,
    images: ImageSet,
    *,
    num_images: int = 64,
    repetitions: int = 7,
    lookup: Lookup | None = None,
) -> Latency:
    """Return the times of a batch; its frames reach the receiver undisturbed.

    Args:
        phydnn: Head and tail as deployed.
        images: The first `num_images` of them are sent, from the start again where they are fewer.
        num_images: Images of the batch, >= 1.
        repetitions: Timed runs of each stage, >= 1, after one that is not.
        lookup: Hard, soft or learned; None: as in training.

    Raises:
        ConfigError: There are no images, or a number is out of range.
    """
    if not len(images) or num_images < 1 or repetitions < 1:
        raise ConfigError(
            f"there is nothing to time: {len(images)} images, {num_images=}, {repetitions=}"
        )
    index = torch.arange(num_images) % len(images)
    batch = images.images[index]
    frame_format = phydnn.frame_format
    plan = split_payload(num_images * phydnn.symbols_per_image, frame_format)

    def encode() -> torch.Tensor:
        symbols: torch.Tensor = phydnn.head(batch)
        return symbols

    with evaluating(phydnn.head), torch.inference_mode():
        head_s, symbols = _timed(encode, repetitions)
    symbols = symbols.clone()

    def send() -> torch.Tensor:
        points = modulate(symbols.flatten(), phydnn.constellation)
        iq, _ = transmit_waveform(
            points, frame_format=frame_format, amplitude=_AMPLITUDE, gap_samples=_GAP_SAMPLES
        )
        return iq

    modulation_s, iq = _timed(send, repetitions)
    samples = np.pad(iq.numpy().astype(np.complex64), (0, _GAP_SAMPLES))

    def receive() -> torch.Tensor:
        frames = receive_frames(
            [samples], frame_format=frame_format, constellation=phydnn.constellation
        )
        posteriors = assemble(frames, plan, order=phydnn.order).posteriors
        return torch.from_numpy(posteriors).view(num_images, phydnn.symbols_per_image, -1)

    receiver_s, posteriors = _timed(receive, repetitions)

    def decide() -> torch.Tensor:
        classes: torch.Tensor = phydnn.tail(posteriors, lookup).argmax(-1)
        return classes

    with evaluating(phydnn.tail), torch.inference_mode():
        tail_s, _ = _timed(decide, repetitions)
    on_air = sum(frame_format.frame_samples(size) for size in plan)
    return Latency(
        num_images=num_images,
        head_s=head_s,
        modulation_s=modulation_s,
        air_s=on_air / frame_format.sample_rate_hz,
        receiver_s=receiver_s,
        tail_s=tail_s,
        num_threads=torch.get_num_threads(),
    )


def _timed(function: Callable[[], torch.Tensor], repetitions: int) -> tuple[float, torch.Tensor]:
    """Return the median time of a call [s], and its result."""
    times, result = time_calls(lambda _: function(), repetitions)
    return statistics.median(times), result
