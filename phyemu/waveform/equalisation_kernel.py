"""The equaliser of a stream of frames, compiled: the steps between its FFTs, one pass each.

The same as `phyemu.waveform.equalisation`, which training takes its gradients through, for samples
in memory and estimates that are numbers; a test holds the one to the other.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["edge_correlations", "equaliser_weights", "folded_blocks", "steady_blocks"]

_LANES = 64


@numba.njit(cache=True, nogil=True, fastmath=True)
def _turns(step: float, cosines: NDArray[np.float32], sines: NDArray[np.float32]) -> None:
    """Write cos and sin of 0, step, 2 step, ... to the last two arguments."""
    turn, turned = complex(math.cos(step), math.sin(step)), complex(1.0, 0.0)
    for lane in range(_LANES):
        cosines[lane], sines[lane] = turned.real, turned.imag
        turned *= turn


@numba.njit(cache=True, nogil=True, fastmath=True)
def steady_blocks(
    iq: NDArray[np.complex64],
    begin: int,
    hop: int,
    dc_offset: complex,
    frequency: float,
    origin: int,
    blocks: NDArray[np.complex64],
) -> None:
    """Write overlapping blocks of samples, a constant and a carrier taken off, to the last one.

    Args:
        iq: (num_samples,); what lies outside counts as zero.
        begin: First sample of the first block; may be negative.
        hop: From one block to the next [samples].
        dc_offset: The constant.
        frequency: Of the carrier [cycles per sample].
        origin: Sample at which its phase is 0.
        blocks: (num_blocks, size), size a multiple of 64.
    """
    num_blocks, size = blocks.shape
    cosines, sines = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    _turns(-2.0 * math.pi * frequency, cosines, sines)
    level_x, level_y = np.float32(dc_offset.real), np.float32(dc_offset.imag)
    for block in range(num_blocks):
        for chunk in range(0, size, _LANES):
            first = begin + block * hop + chunk
            low, high = max(-first, 0), min(len(iq) - first, _LANES)
            if low > 0 or high < _LANES:
                for lane in range(_LANES):
                    blocks[block, chunk + lane] = 0.0
            if low >= high:
                continue
            angle = -2.0 * math.pi * ((frequency * (first - origin)) % 1.0)
            cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
            for lane in range(low, high):
                zx = iq[first + lane].real - level_x
                zy = iq[first + lane].imag - level_y
                co = cosine * cosines[lane] - sine * sines[lane]
                si = sine * cosines[lane] + cosine * sines[lane]
                blocks[block, chunk + lane] = complex(zx * co - zy * si, zx * si + zy * co)


@numba.njit(cache=True, nogil=True, fastmath=True)
def equaliser_weights(
    channel: NDArray[np.complex128],
    pulse: NDArray[np.float64],
    noise: float,
    num_folds: int,
    weights: NDArray[np.complex64],
) -> tuple[float, float]:
    """Write the weights of `mmse_equaliser`, return the bias and the mean of the folded spectrum.

    Args:
        channel: FFT of the response, (size,).
        pulse: FFT of the pulse, which is real, (size,).
        noise: sigma^2 / E.
        num_folds: Samples per symbol.
        weights: (size,).
    """
    period = len(channel) // num_folds
    folded = np.zeros(period)
    for index in range(len(channel)):
        value = channel[index] * pulse[index]
        folded[index % period] += (value.real**2 + value.imag**2) / num_folds
    gain = mean = 0.0
    for index in range(period):
        gain += folded[index] / (folded[index] + noise)
        mean += folded[index]
    gain /= period
    for index in range(len(channel)):
        scale = pulse[index] / ((folded[index % period] + noise) * gain)
        weights[index] = complex(channel[index].real * scale, -channel[index].imag * scale)
    return gain, mean / period


@numba.njit(cache=True, nogil=True, fastmath=True)
def edge_correlations(
    spectra: NDArray[np.complex64],
    weights: NDArray[np.complex64],
    upper: int,
    lower: int,
    count: int,
) -> NDArray[np.complex128]:
    """Return each block's correlation of its upper with its lower band edge, (num_blocks,).

    Args:
        spectra: (num_blocks, size).
        weights: They are multiplied with, (size,).
        upper: First frequency of the upper edge.
        lower: First frequency of the lower edge.
        count: Frequencies of an edge.
    """
    product_x, product_y = np.empty(count, np.float32), np.empty(count, np.float32)
    for k in range(count):
        product = weights[upper + k] * np.conj(weights[lower + k])
        product_x[k], product_y[k] = product.real, product.imag
    correlations = np.empty(len(spectra), np.complex128)
    for block in range(len(spectra)):
        real = imaginary = np.float32(0.0)
        for k in range(count):
            ux, uy = spectra[block, upper + k].real, spectra[block, upper + k].imag
            vx, vy = spectra[block, lower + k].real, spectra[block, lower + k].imag
            x, y = ux * vx + uy * vy, uy * vx - ux * vy
            real += x * product_x[k] - y * product_y[k]
            imaginary += x * product_y[k] + y * product_x[k]
        correlations[block] = complex(real, imaginary)
    return correlations


@numba.njit(cache=True, nogil=True, fastmath=True)
def folded_blocks(
    spectra: NDArray[np.complex64],
    weights: NDArray[np.complex64],
    delays: NDArray[np.float64],
    folded: NDArray[np.complex64],
) -> None:
    """Write weighted spectra, each block's delay taken out, one sample a symbol, to the last one.

    Args:
        spectra: (num_blocks, size), size a multiple of 128.
        weights: (size,).
        delays: How much later than nominal the symbols of each block are, (num_blocks,) [samples].
        folded: (num_blocks, symbols), symbols a multiple of 64.
    """
    num_blocks, size = spectra.shape
    period = folded.shape[1]
    cosines, sines = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    scale = period / size
    for block in range(num_blocks):
        step = 2.0 * math.pi * delays[block] / size
        _turns(step, cosines, sines)
        for chunk in range(0, size, _LANES):
            frequency = chunk if chunk < size // 2 else chunk - size
            angle = step * frequency
            cosine, sine = np.float32(math.cos(angle) * scale), np.float32(math.sin(angle) * scale)
            into = chunk % period
            fresh = chunk < period
            for lane in range(_LANES):
                zx, zy = spectra[block, chunk + lane].real, spectra[block, chunk + lane].imag
                wx, wy = weights[chunk + lane].real, weights[chunk + lane].imag
                co = cosine * cosines[lane] - sine * sines[lane]
                si = sine * cosines[lane] + cosine * sines[lane]
                tx, ty = wx * co - wy * si, wx * si + wy * co
                x, y = zx * tx - zy * ty, zx * ty + zy * tx
                if fresh:
                    folded[block, into + lane] = complex(x, y)
                else:
                    folded[block, into + lane] += complex(x, y)
