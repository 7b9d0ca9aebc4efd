"""The steps of fine synchronisation between its FFTs and the pursuit of taps, compiled.

The matrix of the known waveform, S[i, j] = w[i - j + num_taps - 1], is never looked at: its columns
are stretches of one sequence w, a few kilobytes that stay in the nearest cache.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["advance_to_peak", "follow_channel", "follow_strongest", "gathered", "remaining_level"]

_PIECES = 8


@numba.njit(cache=True, nogil=True)
def gathered(
    iq: NDArray[np.complex64],
    begins: NDArray[np.int64],
    count: int,
    frequency: NDArray[np.float64],
    first_instant: int,
) -> NDArray[np.complex128]:
    """Return samples of each row, a carrier taken off them, (frames, count).

    Args:
        iq: (frames, num_samples); what lies outside counts as zero.
        begins: First sample taken of each row, (frames,); may be negative.
        count: Samples taken.
        frequency: Of the carrier of each row, (frames,) [cycles per sample].
        first_instant: Of the first sample, for the phase of the carrier.
    """
    taken = np.zeros((len(iq), count), np.complex128)
    for row in range(len(iq)):
        low = max(-begins[row], 0)
        high = min(iq.shape[1] - begins[row], count)
        for index in range(low, high):
            taken[row, index] = iq[row, begins[row] + index]
        _turn(taken[row], frequency[row], first_instant)
    return taken


@numba.njit(cache=True, nogil=True)
def _turn(values: NDArray[np.complex128], frequency: float, first_instant: int) -> None:
    """Multiply consecutive values with exp(-2 pi j frequency n), n from the first instant on."""
    angle = -2.0 * math.pi * frequency
    turn = complex(math.cos(angle * first_instant), math.sin(angle * first_instant))
    step = complex(math.cos(angle), math.sin(angle))
    for index in range(len(values)):
        values[index] *= turn
        turn *= step


@numba.njit(cache=True, nogil=True)
def _tone(frequency: float, first_instant: int, count: int) -> NDArray[np.complex128]:
    """Return what DC becomes when the carrier offset is undone, with unit energy."""
    tone = np.full(count, complex(1.0 / math.sqrt(count), 0.0))
    _turn(tone, frequency, first_instant)
    return tone


@numba.njit(cache=True, nogil=True)
def _inner(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> complex:
    """Return left^H right."""
    total = complex(0.0, 0.0)
    for index in range(len(left)):
        total += np.conj(left[index]) * right[index]
    return total


@numba.njit(cache=True, nogil=True, fastmath=True)
def advance_to_peak(
    spectra: NDArray[np.complex128],
    waveform: NDArray[np.complex128],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    delays: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the delay at which a waveform correlates best, (frames,); take it off the spectra.

    Args:
        spectra: FFTs of what was received, (frames, size).
        waveform: FFT of the waveform, (size,).
        cosines: cos(2 pi f d) of frequencies f and delays d, (size, delays).
        sines: sin(2 pi f d).
        delays: Uniform and ascending, (delays,) [samples].
    """
    frames, size = spectra.shape
    count = len(delays)
    found = np.empty(frames)
    real, imaginary, powers = np.empty(count), np.empty(count), np.empty(count)
    for frame in range(frames):
        real[:] = 0.0
        imaginary[:] = 0.0
        for k in range(size):
            product = spectra[frame, k] * np.conj(waveform[k])
            a, b = product.real, product.imag
            for d in range(count):
                real[d] += a * cosines[k, d] - b * sines[k, d]
                imaginary[d] += a * sines[k, d] + b * cosines[k, d]
        best = 1
        for d in range(count):
            powers[d] = math.sqrt(real[d] * real[d] + imaginary[d] * imaginary[d])
            if 0 < d < count - 1 and powers[d] > powers[best]:
                best = d
        left, middle, right = powers[best - 1], powers[best], powers[best + 1]
        curvature = left - 2.0 * middle + right
        fraction = 0.5 * (left - right) / curvature if curvature < 0.0 else 0.0
        fraction = min(max(fraction, -0.5), 0.5)
        delay = delays[best] + fraction * (delays[1] - delays[0])
        found[frame] = delay
        # Frequencies in order: 0 .. upwards, then the negative ones.
        upper = size - size // 2
        _turn(spectra[frame, :upper], -delay / size, 0)
        _turn(spectra[frame, upper:], -delay / size, upper - size)
    return found


@numba.njit(cache=True, nogil=True)
def _residual_frequency(
    received: NDArray[np.complex128],
    model: NDArray[np.complex128],
    level: complex,
    tone: NDArray[np.complex128],
    first_instant: int,
) -> float:
    """Return the frequency left against the model [cycles per sample]; level x tone is no part."""
    count = len(received)
    sums = np.zeros(_PIECES, np.complex128)
    centres = np.empty(_PIECES)
    for piece in range(_PIECES):
        begin, end = piece * count // _PIECES, (piece + 1) * count // _PIECES
        centres[piece] = 0.5 * (begin + end) + first_instant
        for index in range(begin, end):
            sums[piece] += (received[index] - level * tone[index]) * np.conj(model[index])
    weights, angles = np.abs(sums), np.empty(_PIECES)
    total = max(weights.sum(), 2.2250738585072014e-308)
    offsets = centres - (weights * centres).sum() / total
    spread = (weights * offsets * offsets).sum()
    if spread <= 0.0:  # where all weights are zero, nothing can be said
        return 0.0
    # Phase against the mean phase: no unwrapping, as half a turn over the known part is the bound.
    slope = 0.0
    for _ in range(3):
        turned = sums * np.exp(-1j * slope * centres)
        mean = np.conj(turned.sum())
        for piece in range(_PIECES):
            value = turned[piece] * mean
            angles[piece] = math.atan2(value.imag, value.real)
        slope += (weights * offsets * angles).sum() / spread
    return slope / (2.0 * math.pi)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _project(
    received: NDArray[np.complex128],
    tone: NDArray[np.complex128],
    sequence: NDArray[np.complex128],
    projected: NDArray[np.complex128],
    part: NDArray[np.complex128],
) -> float:
    """Write S^H r and S^H tone, the tone taken out of r, and return |r|^2 of what is left."""
    count, num_taps = len(received), len(projected)
    level = _inner(tone, received)
    real, imaginary = np.empty(count), np.empty(count)
    tone_real, tone_imaginary = np.empty(count), np.empty(count)
    energy = 0.0
    for index in range(count):
        value = received[index] - level * tone[index]
        real[index], imaginary[index] = value.real, value.imag
        tone_real[index], tone_imaginary[index] = tone[index].real, tone[index].imag
        energy += value.real * value.real + value.imag * value.imag
    w, v = np.ascontiguousarray(sequence.real), np.ascontiguousarray(sequence.imag)
    for tap in range(num_taps):
        first = num_taps - 1 - tap
        a = b = c = d = 0.0
        for index in range(count):
            a += real[index] * w[first + index] + imaginary[index] * v[first + index]
            b += imaginary[index] * w[first + index] - real[index] * v[first + index]
            c += tone_real[index] * w[first + index] + tone_imaginary[index] * v[first + index]
            d += tone_imaginary[index] * w[first + index] - tone_real[index] * v[first + index]
        projected[tap] = complex(a, b)
        part[tap] = complex(c, d)
    return energy


@numba.njit(cache=True, nogil=True)
def follow_strongest(
    received: NDArray[np.complex128],
    sequence: NDArray[np.complex128],
    num_taps: int,
    strongest: int,
    frequency: NDArray[np.float64],
    first_instant: int,
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.float64]]:
    """Take off the carrier that is left by one tap; return what the pursuit of all needs.

    Args:
        received: (frames, rows); its carrier is taken off in place.
        sequence: w, (rows + num_taps - 1,).
        num_taps: Of the channel.
        strongest: The tap.
        frequency: Of the carrier taken off so far, (frames,) [cycles per sample]; brought up to
            date in place.
        first_instant: Of the first row.

    Returns:
        S^H r, (frames, num_taps), S^H tone and the energy of r, (frames,), without the tone that
        DC becomes.
    """
    frames, rows = received.shape
    first = num_taps - 1 - strongest
    column = sequence[first : first + rows].copy()
    projected, part = (
        np.empty((frames, num_taps), np.complex128),
        np.empty((frames, num_taps), np.complex128),
    )
    energy = np.empty(frames)
    for frame in range(frames):
        row = received[frame]
        tone = _tone(frequency[frame], first_instant, rows)
        free = column - tone * _inner(tone, column)
        model = column * (_inner(free, row) / _inner(free, free))
        level = _inner(tone, row - model)
        step = _residual_frequency(row, model, level, tone, first_instant)
        frequency[frame] += step
        _turn(row, step, first_instant)
        tone = _tone(frequency[frame], first_instant, rows)
        energy[frame] = _project(row, tone, sequence, projected[frame], part[frame])
    return projected, part, energy


@numba.njit(cache=True, nogil=True)
def _convolved(
    sequence: NDArray[np.complex128], response: NDArray[np.complex128], rows: int
) -> NDArray[np.complex128]:
    """Return S h; taps that are zero cost nothing."""
    num_taps = len(response)
    model = np.zeros(rows, np.complex128)
    for tap in range(num_taps):
        value = response[tap]
        if value != 0.0:
            first = num_taps - 1 - tap
            for index in range(rows):
                model[index] += value * sequence[first + index]
    return model


@numba.njit(cache=True, nogil=True)
def follow_channel(
    received: NDArray[np.complex128],
    sequence: NDArray[np.complex128],
    response: NDArray[np.complex128],
    frequency: NDArray[np.float64],
    first_instant: int,
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.float64]]:
    """Take off the carrier that is left by all taps; otherwise as `follow_strongest`.

    Args:
        received: (frames, rows); its carrier is taken off in place.
        sequence: w, (rows + num_taps - 1,).
        response: h, (frames, num_taps).
        frequency: (frames,) [cycles per sample]; brought up to date in place.
        first_instant: Of the first row.
    """
    frames, rows = received.shape
    num_taps = response.shape[1]
    projected, part = (
        np.empty((frames, num_taps), np.complex128),
        np.empty((frames, num_taps), np.complex128),
    )
    energy = np.empty(frames)
    for frame in range(frames):
        row = received[frame]
        tone = _tone(frequency[frame], first_instant, rows)
        model = _convolved(sequence, response[frame], rows)
        level = _inner(tone, row - model)
        step = _residual_frequency(row, model, level, tone, first_instant)
        frequency[frame] += step
        _turn(row, step, first_instant)
        tone = _tone(frequency[frame], first_instant, rows)
        energy[frame] = _project(row, tone, sequence, projected[frame], part[frame])
    return projected, part, energy


@numba.njit(cache=True, nogil=True)
def remaining_level(
    received: NDArray[np.complex128],
    sequence: NDArray[np.complex128],
    response: NDArray[np.complex128],
    frequency: NDArray[np.float64],
    first_instant: int,
) -> NDArray[np.complex128]:
    """Return the amplitude of the tone that DC becomes beside the channel, (frames,)."""
    frames, rows = received.shape
    levels = np.empty(frames, np.complex128)
    for frame in range(frames):
        tone = _tone(frequency[frame], first_instant, rows)
        model = _convolved(sequence, response[frame], rows)
        levels[frame] = _inner(tone, received[frame] - model)
    return levels
