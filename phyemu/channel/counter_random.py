"""Counter-based random numbers: the n-th draw of a stream, for any n, in any order.

    z = key0 + n * 0x9E3779B97F4A7C15        (mod 2^64; n = 0, 1, 2, ...)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 + key1
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    z =  z ^ (z >> 31)

This is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, DOI 10.1145/2660193.2660195), which passes
BigCrush, read as a function of its counter; `key1` makes streams of different seeds different
permutations instead of shifts of one sequence. The upper 32 bits give the radius and the lower 32
the angle of a Box-Muller pair, so normals reach to 6.7 sigma.

The same function stands in `phyemu.channel.kernel_math` (`mix`) and `front_end_kernel`
(`fill_noise`), in float32, for the streaming executor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["counter_normals", "counter_normals_of", "counter_uniforms", "stream_keys"]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    """Return the int64 with the bits of the 64-bit `value`."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * _MIX_2) & _MASK
    return value ^ (value >> 31)


def stream_keys(seed: int, stream: int = 0) -> tuple[int, int]:
    """Return (key0, key1) of a stream as unsigned 64-bit integers.

    Args:
        seed: Any integer; taken modulo 2^64.
        stream: Which of the independent streams of that seed, >= 0.
    """
    first = _mix((seed * _GOLDEN + 2 * stream + 1) & _MASK)
    return first, _mix((first + (2 * stream + 2) * _GOLDEN) & _MASK)


def _shift(value: Tensor, bits: int) -> Tensor:
    """Return the logical right shift of int64 `value`."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _words(first: Tensor | int, second: Tensor | int, counters: Tensor) -> tuple[Tensor, Tensor]:
    """Return the upper and lower 32 bits of each counter's 64, int64; keys as signed integers."""
    value = counters * _signed(_GOLDEN) + first
    value = (value ^ _shift(value, 30)) * _signed(_MIX_1) + second
    value = (value ^ _shift(value, 27)) * _signed(_MIX_2)
    value = value ^ _shift(value, 31)
    return _shift(value, 32), value & 0xFFFFFFFF


def counter_uniforms(keys: tuple[int, int], counters: Tensor) -> Tensor:
    """Return the uniforms in (0, 1) of `counters` (int64, any shape), float64.

    The generator has no state: the same keys and counters give the same numbers.
    """
    upper, lower = _words(_signed(keys[0]), _signed(keys[1]), counters)
    return (upper.double() + (lower.double() + 0.5) * 2.0**-32) * 2.0**-32


def counter_normals(keys: tuple[int, int], counters: Tensor) -> Tensor:
    """Return circular complex normals of variance one (1/2 per real dimension), complex128.

    Args:
        keys: From `stream_keys`.
        counters: Which draws, int64, any shape; consecutive ones are independent.
    """
    return _normals(*_words(_signed(keys[0]), _signed(keys[1]), counters))


def counter_normals_of(keys: Sequence[tuple[int, int]], counters: Tensor) -> Tensor:
    """Return what `counter_normals` gives under each of several keys, (keys, counters).

    Args:
        keys: Each from `stream_keys`.
        counters: Which draws, int64, (counters,).
    """
    signed = [[_signed(first), _signed(second)] for first, second in keys]
    first, second = torch.tensor(signed, dtype=torch.int64, device=counters.device).T[:, :, None]
    return _normals(*_words(first, second, counters))


def _normals(upper: Tensor, lower: Tensor) -> Tensor:
    radius = torch.sqrt(-torch.log((upper.double() + 0.5) * 2.0**-32))
    signed = torch.where(lower >= 1 << 31, lower - (1 << 32), lower)
    return torch.polar(radius, signed.double() * (2 * torch.pi * 2.0**-32))
