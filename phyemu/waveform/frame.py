"""Frames on the air: payload points behind a preamble and a header (paper, Fig. 5)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.frame_format import (
    FrameFormat,
    frame_layout,
    pilot_points,
    preamble_points,
)
from phyemu.waveform.header import NUM_FRAME_INDICES, Header, encode_header
from phyemu.waveform.pulse import shape_pulses

__all__ = ["FramePlacement", "build_frame", "frame_points", "split_payload", "transmit_waveform"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FramePlacement:
    """Where a frame lies in a waveform.

    Attributes:
        sample_start: First sample of its first pulse.
        sample_count: Samples up to the end of its last pulse.
        frame_index: What its header states, 0..4095.
        payload_symbols: Length of its payload [symbols].
    """

    sample_start: int
    sample_count: int
    frame_index: int
    payload_symbols: int


def frame_points(points: Tensor, *, frame_index: int, frame_format: FrameFormat) -> Tensor:
    """Return all symbols of a frame, (..., frame_symbols), complex.

    Args:
        points: Payload points, (..., S), complex, |points| <= 1; gradients flow to them.
        frame_index: Stated in the header, 0..4095.
        frame_format: The settings.

    Raises:
        SignalError: `points` is not complex.
        ConfigError: `frame_index` or the length is out of range.
    """
    if not points.is_complex() or points.ndim == 0:
        raise SignalError(
            f"points must be complex, (..., num_symbols), got {points.dtype} {tuple(points.shape)}"
        )
    payload_symbols = points.shape[-1]
    layout = frame_layout(frame_format, payload_symbols)
    header = encode_header(Header(frame_index=frame_index, payload_symbols=payload_symbols))
    known = torch.cat([preamble_points(frame_format), header.to(torch.complex64)])
    pilots = pilot_points(len(layout.pilot_positions))
    known_positions = torch.cat([torch.arange(len(known)), layout.pilot_positions])
    fixed = torch.zeros(layout.num_symbols, dtype=points.dtype, device=points.device)
    fixed[known_positions.to(points.device)] = torch.cat([known, pilots]).to(points)
    symbols = fixed.expand(*points.shape[:-1], -1)
    positions = layout.payload_positions.to(points.device)
    return symbols.index_add(-1, positions, points)


def build_frame(points: Tensor, *, frame_index: int, frame_format: FrameFormat) -> Tensor:
    """Return the samples of a frame, (..., frame_samples), complex, symbols of amplitude 1.

    The mean power while all symbols are at peak is 1 / samples_per_symbol. Symbol s of the frame
    peaks at sample pulse_delay_samples + s x samples_per_symbol.

    Args:
        points: Payload points, (..., S), complex, |points| <= 1; gradients flow to them.
        frame_index: Stated in the header, 0..4095.
        frame_format: The settings.

    Raises:
        SignalError: `points` is not complex.
        ConfigError: `frame_index` or the length is out of range.
    """
    symbols = frame_points(points, frame_index=frame_index, frame_format=frame_format)
    return shape_pulses(
        symbols,
        frame_format.pulse_taps(),
        samples_per_symbol=frame_format.samples_per_symbol,
    )


def split_payload(num_symbols: int, frame_format: FrameFormat) -> list[int]:
    """Return the payload lengths of the fewest frames that hold the symbols, alike within one.

    >>> split_payload(40_000, FrameFormat())
    [13334, 13333, 13333]

    Args:
        num_symbols: Symbols to send, >= 1.
        frame_format: The settings.

    Raises:
        ConfigError: There is nothing to send.
    """
    if num_symbols < 1:
        raise ConfigError(f"need at least one symbol to send, got {num_symbols}")
    frames = math.ceil(num_symbols / frame_format.max_payload_symbols)
    size, longer = divmod(num_symbols, frames)
    return [size + 1] * longer + [size] * (frames - longer)


def transmit_waveform(
    points: Tensor, *, frame_format: FrameFormat, amplitude: float, gap_samples: int
) -> tuple[Tensor, list[FramePlacement]]:
    """Return the samples that send the points as frames, and where each frame lies.

    Silence of `gap_samples` precedes each frame and ends the waveform.

    Args:
        points: All payload points, (S,), complex, |points| <= 1; split by `split_payload`.
        frame_format: The settings.
        amplitude: Amplitude of a symbol [full scale], > 0. RRC pulses add up to more between the
            symbols: with rolloff 0.25, samples peak near 1.3 x amplitude at two per symbol.
        gap_samples: Silence between frames [samples], >= 0.

    Returns:
        iq (num_samples,), complex64, and the placements in order; frame k has the index
        k mod 4096.

    Raises:
        SignalError: `points` is not complex and one-dimensional.
        ConfigError: `amplitude` or `gap_samples` is out of range, or there are no points.
    """
    if not points.is_complex() or points.ndim != 1:
        raise SignalError(f"points must be complex, (S,), got {points.dtype} {tuple(points.shape)}")
    if not (math.isfinite(amplitude) and amplitude > 0) or gap_samples < 0:
        raise ConfigError(
            f"need amplitude > 0 and gap_samples >= 0, got {amplitude=}, {gap_samples=}"
        )
    silence = torch.zeros(gap_samples, dtype=torch.complex64, device=points.device)
    pieces = [silence]
    placements = []
    position = gap_samples
    for number, payload in enumerate(torch.split(points, split_payload(len(points), frame_format))):
        index = number % NUM_FRAME_INDICES
        samples = build_frame(payload, frame_index=index, frame_format=frame_format)
        placements.append(
            FramePlacement(
                sample_start=position,
                sample_count=len(samples),
                frame_index=index,
                payload_symbols=len(payload),
            )
        )
        pieces += [(amplitude * samples).to(torch.complex64), silence]
        position += len(samples) + gap_samples
    return torch.cat(pieces), placements
