"""What a frame is made of: the settings that transmitter and receiver must share."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.waveform.header import HEADER_SYMBOLS, MAX_PAYLOAD_SYMBOLS
from phyemu.waveform.pulse import rrc_taps
from phyemu.waveform.sequence import m_sequence, zadoff_chu

__all__ = ["FrameFormat", "FrameLayout", "frame_layout", "pilot_points", "preamble_points"]

_CLOSEST_PILOTS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFormat:
    """A frame: preamble, header, then payload with a pilot behind every stretch of it.

    The preamble is a Zadoff-Chu sequence, repeated; the last repetition but one is inverted, which
    tells one repetition from the next.

    Attributes:
        sample_rate_hz: Sample rate [Hz], > 0.
        samples_per_symbol: Samples per symbol, 2..16.
        rolloff: Excess bandwidth of the root-raised-cosine pulses, 0.05..1.
        pulse_span_symbols: Length of a pulse [symbols], even, 4..64.
        preamble_period: Length of the Zadoff-Chu sequence [symbols], 16..256; it also bounds the
            delays that can be told apart.
        preamble_root: Root of the sequence, coprime to its length.
        preamble_periods: Repetitions, 4..16.
        pilot_interval: Most payload symbols in front of a pilot, 8..16384.
        pilots_wanted: Pilots that a shorter payload gets too, as far as that leaves 32 symbols in
            front of each, 1..1024.
        max_payload_symbols: Longest payload [symbols], 1..16384.

    Raises:
        ConfigError: A setting is out of range or contradicts another.
    """

    sample_rate_hz: float = 20e6
    samples_per_symbol: int = 2
    rolloff: float = 0.25
    pulse_span_symbols: int = 16
    preamble_period: int = 32
    preamble_root: int = 13
    preamble_periods: int = 4
    pilot_interval: int = 320
    pilots_wanted: int = 56
    max_payload_symbols: int = MAX_PAYLOAD_SYMBOLS

    def __post_init__(self) -> None:
        """Check the settings."""
        if not (math.isfinite(self.sample_rate_hz) and self.sample_rate_hz > 0):
            raise ConfigError(f"sample_rate_hz must be positive, got {self.sample_rate_hz}")
        if not 0.05 <= self.rolloff <= 1:
            raise ConfigError(f"rolloff must be 0.05..1, got {self.rolloff}")
        for name, low, high in (
            ("samples_per_symbol", 2, 16),
            ("pulse_span_symbols", 4, 64),
            ("preamble_period", 16, 256),
            ("preamble_periods", 4, 16),
            ("pilot_interval", 8, MAX_PAYLOAD_SYMBOLS),
            ("pilots_wanted", 1, 1024),
            ("max_payload_symbols", 1, MAX_PAYLOAD_SYMBOLS),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be {low}..{high}, got {value}")
        if self.pulse_span_symbols % 2:
            raise ConfigError(f"pulse_span_symbols must be even, got {self.pulse_span_symbols}")
        if math.gcd(self.preamble_root, self.preamble_period) != 1:
            raise ConfigError(
                f"preamble_root must be coprime to preamble_period {self.preamble_period}, got "
                f"{self.preamble_root}"
            )

    @property
    def symbol_rate_hz(self) -> float:
        """Symbols per second [Hz]."""
        return self.sample_rate_hz / self.samples_per_symbol

    @property
    def bandwidth_hz(self) -> float:
        """Band that the pulses occupy, (1 + rolloff) x symbol rate [Hz]."""
        return (1.0 + self.rolloff) * self.symbol_rate_hz

    @property
    def preamble_symbols(self) -> int:
        """Symbols of the preamble."""
        return self.preamble_period * self.preamble_periods

    @property
    def pulse_delay_samples(self) -> int:
        """Samples from the first sample of a frame to the peak of its first symbol."""
        return self.pulse_span_symbols * self.samples_per_symbol // 2

    def reference_power(self, amplitude: float) -> float:
        """Return the mean sample power while every symbol is sent at peak [full scale^2]."""
        return amplitude**2 / self.samples_per_symbol

    def num_pilots(self, payload_symbols: int) -> int:
        """Return the pilots among a payload."""
        needed = math.ceil(payload_symbols / self.pilot_interval)
        affordable = math.ceil(payload_symbols / _CLOSEST_PILOTS)
        return max(needed, min(self.pilots_wanted, affordable))

    def overhead_symbols(self, payload_symbols: int) -> int:
        """Return the symbols of a frame that carry no payload: preamble, header, pilots."""
        return self.preamble_symbols + HEADER_SYMBOLS + self.num_pilots(payload_symbols)

    def frame_symbols(self, payload_symbols: int) -> int:
        """Return all symbols of a frame."""
        return payload_symbols + self.overhead_symbols(payload_symbols)

    def frame_samples(self, payload_symbols: int) -> int:
        """Return the samples of a frame, the first and the last pulse included."""
        symbols = self.frame_symbols(payload_symbols)
        return (symbols - 1 + self.pulse_span_symbols) * self.samples_per_symbol + 1

    def pulse_taps(self) -> Tensor:
        """Return the pulse, unit energy, (span x samples_per_symbol + 1,), float64; read only."""
        return _pulse_taps(self.samples_per_symbol, self.rolloff, self.pulse_span_symbols)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FrameFormat":
        """Return the format that `to_dict` described.

        Raises:
            ConfigError: An unknown key (the near match is named), or a value of the wrong type.
        """
        known = {item.name: item.type for item in fields(cls)}
        for key, value in values.items():
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
                raise ConfigError(f"frame format: unknown key {key!r}; {hint}")
            allowed = int if known[key] is int else (int, float)
            if isinstance(value, bool) or not isinstance(value, allowed):
                raise ConfigError(f"frame format: {key} must be a number, got {value!r}")
        return cls(**values)


@dataclass(frozen=True, eq=False, slots=True)
class FrameLayout:
    """Where the symbols of a frame are, counted from the first of the preamble.

    Attributes:
        num_symbols: All symbols.
        payload_positions: Of each payload symbol, (payload_symbols,), int64.
        pilot_positions: Of each pilot, (num_pilots,), int64; the last one ends the frame.
    """

    num_symbols: int
    payload_positions: Tensor
    pilot_positions: Tensor


@lru_cache(maxsize=64)
def frame_layout(frame_format: FrameFormat, payload_symbols: int) -> FrameLayout:
    """Return where the symbols of a frame are.

    The payload is cut into equal stretches (their sizes differ by one at most), a pilot behind
    each: 7 symbols with two pilots lie as d d d P d d d d P behind the header.

    Args:
        frame_format: The settings.
        payload_symbols: Length of the payload, 1..`max_payload_symbols`.

    Raises:
        ConfigError: The payload is empty or too long.
    """
    if not 1 <= payload_symbols <= frame_format.max_payload_symbols:
        raise ConfigError(
            f"a payload has 1..{frame_format.max_payload_symbols} symbols, got {payload_symbols}; "
            "split it with split_payload"
        )
    pilots = frame_format.num_pilots(payload_symbols)
    body = frame_format.preamble_symbols + HEADER_SYMBOLS
    ends = torch.arange(1, pilots + 1) * payload_symbols // pilots
    pilot_positions = body + ends + torch.arange(pilots)
    payload = torch.arange(payload_symbols)
    payload_positions = body + payload + torch.bucketize(payload, ends, right=True)
    return FrameLayout(
        num_symbols=frame_format.frame_symbols(payload_symbols),
        payload_positions=payload_positions,
        pilot_positions=pilot_positions,
    )


@lru_cache(maxsize=16)
def _pulse_taps(samples_per_symbol: int, rolloff: float, span_symbols: int) -> Tensor:
    return rrc_taps(samples_per_symbol, rolloff, span_symbols)


@lru_cache(maxsize=16)
def preamble_points(frame_format: FrameFormat) -> Tensor:
    """Return the symbols of the preamble, (preamble_symbols,), complex64; do not write to it."""
    period = zadoff_chu(frame_format.preamble_period, frame_format.preamble_root)
    signs = torch.ones(frame_format.preamble_periods)
    signs[-2] = -1.0
    return (signs[:, None] * period).flatten()


@lru_cache(maxsize=64)
def pilot_points(num_pilots: int) -> Tensor:
    """Return the pilots of a frame in order, (num_pilots,), complex64; do not write to it."""
    bits = m_sequence(11)
    return (1.0 - 2.0 * bits[torch.arange(num_pilots) % len(bits)]).to(torch.complex64)
