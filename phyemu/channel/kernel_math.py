"""Arithmetic of the streaming kernels: compiled, vectorisable, and the same for any blocking.

Every operation here is one IEEE operation per sample with a fused multiply-add stated as such, and
none is left to the compiler's choice of association, so that a sample comes out with the same bits
whether a vector or a remainder loop computes it. The polynomials are Cephes' single-precision ones
(relative error below 2e-7).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

__all__ = ["F4", "I4", "U4", "U8", "bits", "fma", "inline", "kernel", "log_float", "mix", "sincos"]

F = TypeVar("F", bound=Callable[..., Any])

F4 = np.float32
U4 = np.uint32
U8 = np.uint64
I4 = np.int32

# When and how large the sources of all kernels are: a kernel is made of others in other files.
_SOURCES = [Path(__file__), *sorted(Path(__file__).parent.glob("*_kernel.py"))]
_SOURCES.append(Path(__file__).with_name("simd.py"))
_STAMP = tuple((source.stat().st_mtime, source.stat().st_size) for source in _SOURCES)


def kernel(function: F) -> F:
    """Return the compiled function; `nogil` lets the threads of a stream run side by side.

    Compiled code is kept on disk. Numba takes it up again as long as the file of the function is
    the same; here it must be all files of kernels, or old code would go on inside new code.
    """
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    kept = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = _STAMP
    return cast(F, compiled)


_intrinsic = cast(Callable[[F], Any], intrinsic)
inline = cast(Callable[[F], F], numba.njit(inline="always", error_model="numpy"))


@_intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once (float32)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


@_intrinsic
def bits(typing: Any, value: Any) -> Any:
    """Return the bits of a float32 as uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), generate


@_intrinsic
def _float(typing: Any, value: Any) -> Any:
    """Return the float32 of the bits in a uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), generate


_GOLDEN = U8(0x9E3779B97F4A7C15)
_MIX_1 = U8(0xBF58476D1CE4E5B9)
_MIX_2 = U8(0x94D049BB133111EB)


@inline
def mix(key0: Any, key1: Any, counter: Any) -> Any:
    """Return the 64 bits of `phyemu.channel.counter_random` at `counter` (all uint64)."""
    z = key0 + counter * _GOLDEN
    z = (z ^ (z >> U8(30))) * _MIX_1 + key1
    z = (z ^ (z >> U8(27))) * _MIX_2
    return z ^ (z >> U8(31))


_QUARTER_TURN = F4(2 * math.pi / 2**32)


@inline
def sincos(turns: Any) -> Any:
    """Return (sin, cos) of an angle in units of 2^-32 turns (uint32)."""
    quarter = U4(U4(turns + U4(0x20000000)) >> U4(30))
    x = F4(I4(U4(turns - U4(quarter << U4(30))))) * _QUARTER_TURN
    x2 = x * x
    sine = fma(F4(-1.9515295891e-4), x2, F4(8.3321608736e-3))
    sine = fma(fma(sine, x2, F4(-1.6666654611e-1)), x2 * x, x)
    cosine = fma(F4(2.443315711809948e-5), x2, F4(-1.388731625493765e-3))
    cosine = fma(cosine, x2, F4(4.166664568298827e-2))
    cosine = fma(cosine, x2 * x2, fma(F4(-0.5), x2, F4(1)))
    odd = (quarter & U4(1)) != U4(0)
    first = cosine if odd else sine
    second = sine if odd else cosine
    sign = U4((quarter & U4(2)) << U4(30))
    other = U4((U4(quarter + U4(1)) & U4(2)) << U4(30))
    return _float(U4(bits(first) ^ sign)), _float(U4(bits(second) ^ other))


_LN2 = F4(0.6931471805599453)
_SQRT_HALF = U4(0x3F3504F3)


@inline
def log_float(value: Any) -> Any:
    """Return the natural logarithm of a positive, normal float32."""
    shifted = U4(bits(value) - _SQRT_HALF)
    exponent = F4(I4(I4(shifted) >> I4(23)))
    m = _float(U4((shifted & U4(0x007FFFFF)) + _SQRT_HALF)) - F4(1)
    p = fma(F4(7.0376836292e-2), m, F4(-1.1514610310e-1))
    p = fma(p, m, F4(1.1676998740e-1))
    p = fma(p, m, F4(-1.2420140846e-1))
    p = fma(p, m, F4(1.4249322787e-1))
    p = fma(p, m, F4(-1.6668057665e-1))
    p = fma(p, m, F4(2.0000714765e-1))
    p = fma(p, m, F4(-2.4999993993e-1))
    p = fma(p, m, F4(3.3333331174e-1))
    m2 = m * m
    return fma(exponent, _LN2, fma(F4(-0.5), m2, m2 * m * p) + m)
