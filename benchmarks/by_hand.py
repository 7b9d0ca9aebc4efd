"""The work as a careful user of NumPy, SciPy or torch writes it for the occasion.

All of them: delays on the sample grid, gains held for an update, samples before the first are
silence. They get their gains for nothing. `prepare_torch_compiled` gets the samples split into
planes for nothing besides.
"""

import math
import shutil
from collections.abc import Callable, Sequence

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray

__all__ = ["by_numpy", "by_scipy", "by_torch", "prepare_torch_compiled"]

Complex = NDArray[np.complex64]


def by_torch(
    iq: torch.Tensor,
    out: torch.Tensor,
    *,
    lags: Sequence[int],
    gains: Complex,
    update_samples: int,
    sigma: float,
) -> None:
    """Do the work in `out` with torch, as fast as a hand-written loop was found to go.

    An update of 20 000 samples lies in the second-level cache. The noise is drawn in place with
    its variance, and `add_` with a complex factor is the fastest of the ways to add a tap
    (addcmul_ 0.7 times as fast, real and imaginary planes 0.5, matrix products 0.3 to 0.4).
    """
    steps = gains.tolist()
    for step, row in enumerate(steps):
        begin = step * update_samples
        chunk = out[begin : begin + update_samples]
        if sigma:
            chunk.normal_(0.0, sigma)
        else:
            chunk.zero_()
        for lag, gain in zip(lags, row, strict=True):
            start = begin - lag
            if start >= 0:
                chunk.add_(iq[start : start + update_samples], alpha=gain)
            else:
                chunk[-start:].add_(iq[: update_samples + start], alpha=gain)


def prepare_torch_compiled(
    iq: torch.Tensor,
    out: torch.Tensor,
    *,
    lags: Sequence[int],
    gains: Complex,
    update_samples: int,
    sigma: float,
) -> Callable[[], None]:
    """Return the work as one compiled function per update, noise and taps fused.

    torch's own generator cannot be fused on a CPU; here a hash of the sample's number and
    Box-Muller stand for it.

    Raises:
        RuntimeError: There is no C++ compiler.
    """
    if not shutil.which("g++") and not shutil.which("clang++"):
        raise RuntimeError("torch.compile needs a C++ compiler")
    last = max(lags)
    planes = torch.zeros(2, last + len(iq))
    planes[0, last:], planes[1, last:] = iq.real, iq.imag
    both = torch.view_as_real(torch.from_numpy(gains))
    index = torch.arange(update_samples, dtype=torch.int32)
    counter = torch.zeros((), dtype=torch.int32)

    def mixed(words: torch.Tensor) -> torch.Tensor:
        # The finalizer "lowbias32"; torch shifts int32 with the sign, so that is masked off.
        words = words ^ ((words >> 16) & 0xFFFF)
        words = words * 0x7FEB352D
        words = words ^ ((words >> 15) & 0x1FFFF)
        words = words * (0x846CA68B - 2**32)
        return words ^ ((words >> 16) & 0xFFFF)

    def step(re: torch.Tensor, im: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        number = (index + counter) * 2
        uniform = ((mixed(number + 0x9E3779) >> 8) & 0xFFFFFF).float() * 2.0**-24 + 2.0**-25
        turn = ((mixed(number + 0x9E377A) >> 8) & 0xFFFFFF).float() * (2 * math.pi * 2.0**-24)
        radius = torch.sqrt(-torch.log(uniform)) * sigma
        out_re, out_im = radius * torch.cos(turn), radius * torch.sin(turn)
        for path, lag in enumerate(lags):
            part = slice(last - lag, last - lag + update_samples)
            out_re = out_re + row[path, 0] * re[part] - row[path, 1] * im[part]
            out_im = out_im + row[path, 0] * im[part] + row[path, 1] * re[part]
        return torch.stack((out_re, out_im), -1)

    compiled = torch.compile(step, dynamic=False)
    pairs = torch.view_as_real(out)

    def work() -> None:
        for number in range(len(both)):
            begin = number * update_samples
            counter.fill_(begin)
            window = slice(begin, begin + update_samples + last)
            chunk = compiled(planes[0, window], planes[1, window], both[number])
            pairs[begin : begin + update_samples] = chunk

    return work


def by_numpy(
    iq: Complex,
    out: Complex,
    *,
    lags: Sequence[int],
    gains: Complex,
    update_samples: int,
    sigma: float,
) -> None:
    """Do the work in `out` with NumPy and its fastest generator, SFC64."""
    fast = np.random.Generator(np.random.SFC64(1))
    product = np.empty(update_samples, np.complex64)
    for step, row in enumerate(gains):
        begin = step * update_samples
        chunk = out[begin : begin + update_samples]
        fast.standard_normal(out=chunk.view(np.float32), dtype=np.float32)
        chunk *= np.float32(sigma / math.sqrt(2))
        for lag, gain in zip(lags, row, strict=True):
            start = begin - lag
            late = max(0, -start)
            source = iq[max(0, start) : start + update_samples]
            np.multiply(source, gain, out=product[late:])
            chunk[late:] += product[late:]


def by_scipy(
    iq: Complex,
    out: Complex,
    *,
    lags: Sequence[int],
    gains: Complex,
    update_samples: int,
    sigma: float,
) -> None:
    """Do the work in `out` with an overlap-add convolution per update."""
    fast = np.random.Generator(np.random.SFC64(1))
    fast.standard_normal(out=out.view(np.float32), dtype=np.float32)
    out *= np.float32(sigma / math.sqrt(2))
    last = max(lags)
    response = np.zeros(last + 1, np.complex64)
    for step, row in enumerate(gains):
        begin = step * update_samples
        response[list(lags)] = row
        # The samples before an update still arrive through its gains.
        source = iq[max(0, begin - last) : begin + update_samples]
        part = scipy.signal.oaconvolve(source, response)
        place = len(source) - update_samples
        out[begin : begin + update_samples] += part[place : place + update_samples]
