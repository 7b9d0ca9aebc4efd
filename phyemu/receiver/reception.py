"""The frames of a transmission put together, with what was lost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, SignalError
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
from phyemu.waveform import NUM_FRAME_INDICES

__all__ = ["Reception", "assemble"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reception:
    """All symbols of a transmission, in the order they were sent.

    Attributes:
        points: (num_symbols,), complex64; 0 where nothing was received.
        posteriors: (num_symbols, M), float32; uniform where nothing was received.
        received: Which symbols were received, (num_symbols,), bool.
        frames_sent: Frames of the transmission.
        lost_frames: Numbers of the frames of which nothing was received, ascending.
        partial_samples: Where frames began in which samples are missing [samples].
        truncated_samples: Where the frames began that the stream cut off [samples].
        header_error_samples: Where preambles were found whose headers failed [samples].
        unexpected_samples: Where frames began that do not fit the transmission: an index or a
            length that it does not have [samples].
        repeated_samples: Where frames began of which another reception was better [samples].
    """

    points: NDArray[np.complex64]
    posteriors: NDArray[np.float32]
    received: NDArray[np.bool_]
    frames_sent: int
    lost_frames: tuple[int, ...]
    partial_samples: tuple[int, ...]
    truncated_samples: tuple[int, ...]
    header_error_samples: tuple[int, ...]
    unexpected_samples: tuple[int, ...]
    repeated_samples: tuple[int, ...]

    @property
    def frames_lost(self) -> int:
        """Number of frames of which nothing was received."""
        return len(self.lost_frames)


def assemble(
    frames: Sequence[ReceivedFrame], payload_plan: Sequence[int], *, order: int
) -> Reception:
    """Return the symbols of a transmission, with erasures where frames are missing.

    Of several receptions of one frame (a transmission that was repeated), the one with the most
    symbols counts, and among those the one with the least noise.

    Args:
        frames: As received, in the order of their samples.
        payload_plan: Length of the payload of each frame sent, in order, as `split_payload` gives.
        order: Number of points of the constellation, M.

    Raises:
        ConfigError: The plan is empty or a length is not positive.
        SignalError: A frame was received with another constellation.
    """
    if not payload_plan or min(payload_plan) < 1:
        raise ConfigError("payload_plan needs the length of each frame sent, at least one, all > 0")
    chosen: dict[int, ReceivedFrame] = {}
    unexpected: list[int] = []
    repeated: list[int] = []
    last = 0
    for frame in frames:
        if frame.posteriors.shape[-1] != order:
            raise SignalError(
                f"frame at sample {frame.sample_start} has {frame.posteriors.shape[-1]} "
                f"posteriors a symbol, expected {order}; decode with the constellation sent"
            )
        if frame.frame_index is None:
            continue
        number = frame.frame_index
        if len(payload_plan) > NUM_FRAME_INDICES:
            # Indices begin again: the number is the first one not before the last frame's.
            number = last + (frame.frame_index - last) % NUM_FRAME_INDICES
        if number >= len(payload_plan) or len(frame.points) != payload_plan[number]:
            unexpected.append(frame.sample_start)
            continue
        last = number
        other = chosen.get(number)
        if other is None:
            chosen[number] = frame
            continue
        better = (frame.received_symbols, -frame.noise_variance) > (
            other.received_symbols,
            -other.noise_variance,
        )
        repeated.append(other.sample_start if better else frame.sample_start)
        if better:
            chosen[number] = frame
    total = sum(payload_plan)
    points = np.zeros(total, np.complex64)
    posteriors = np.full((total, order), 1.0 / order, np.float32)
    received = np.zeros(total, bool)
    begin = 0
    for number, length in enumerate(payload_plan):
        frame_there = chosen.get(number)
        if frame_there is not None:
            end = begin + length
            points[begin:end] = frame_there.points
            posteriors[begin:end] = frame_there.posteriors
            received[begin:end] = ~frame_there.erased
        begin += length
    return Reception(
        points=points,
        posteriors=posteriors,
        received=received,
        frames_sent=len(payload_plan),
        lost_frames=tuple(n for n in range(len(payload_plan)) if n not in chosen),
        partial_samples=_starts(frames, FrameStatus.PARTIAL),
        truncated_samples=_starts(frames, FrameStatus.TRUNCATED),
        header_error_samples=_starts(frames, FrameStatus.HEADER_ERROR),
        unexpected_samples=tuple(unexpected),
        repeated_samples=tuple(repeated),
    )


def _starts(frames: Sequence[ReceivedFrame], status: FrameStatus) -> tuple[int, ...]:
    return tuple(frame.sample_start for frame in frames if frame.status is status)
