"""The equaliser of a stream of frames: samples of one frame in, symbols out, without gradients.

What `phyemu.waveform.equalisation` computes on tensors, in few passes over memory.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import fft

from phyemu.waveform import FrameFormat
from phyemu.waveform.equalisation import (
    BLOCK_HOP_SYMBOLS,
    BLOCK_MARGIN_SYMBOLS,
    BLOCK_SYMBOLS,
    pulse_spectrum,
)
from phyemu.waveform.equalisation_kernel import equaliser_weights, folded_blocks, steady_blocks
from phyemu.waveform.synchronisation import Synchronisation

__all__ = ["StreamEqualiser", "equalised_symbols", "frame_spectra", "stream_equaliser"]


@dataclass(frozen=True, eq=False, slots=True)
class StreamEqualiser:
    """An equaliser, scaled so that a symbol comes out with the gain 1 (unbiased).

    Attributes:
        weights: At the frequencies of a block, (BLOCK_SYMBOLS x samples_per_symbol,), complex64.
        error_variance: Variance of the error of a symbol that theory predicts, relative to peak
            power 1: noise and interference that is left.
        matched_snr: Energy of a symbol at peak over the noise variance: the SNR behind a filter
            matched to pulse and channel.
    """

    weights: NDArray[np.complex64]
    error_variance: float
    matched_snr: float

    def symbols(
        self, spectra: NDArray[np.complex64], *, delays: NDArray[np.float64], num_symbols: int
    ) -> NDArray[np.complex64]:
        """Return the symbols in the spectra of a frame's blocks, (num_symbols,).

        Args:
            spectra: Of `frame_spectra`, (num_blocks, BLOCK_SYMBOLS x samples_per_symbol).
            delays: How much later than nominal the symbols of each block are, (num_blocks,)
                [samples].
            num_symbols: Symbols wanted.
        """
        folded = _aligned(len(spectra), BLOCK_SYMBOLS)
        folded_blocks(spectra, self.weights, delays, folded)
        blocks = torch.fft.ifft(torch.from_numpy(folded)).numpy()
        inner = blocks[:, BLOCK_MARGIN_SYMBOLS : BLOCK_MARGIN_SYMBOLS + BLOCK_HOP_SYMBOLS]
        symbols: NDArray[np.complex64] = inner.reshape(-1)[:num_symbols]
        return symbols


def stream_equaliser(
    found: Synchronisation, *, symbol_power: float, frame_format: FrameFormat
) -> StreamEqualiser:
    """Return the equaliser of the channel that the preamble showed.

    Args:
        found: The synchronisation.
        symbol_power: E, mean power of the symbols, 0..1 for peak power 1.
        frame_format: Pulse and rate.
    """
    sps = frame_format.samples_per_symbol
    size = BLOCK_SYMBOLS * sps
    response = found.channel.response.numpy()
    early = -found.first_delay
    padded = np.zeros(size, np.complex128)
    padded[: len(response) - early] = response[early:]
    padded[size - early :] = response[:early]
    noise_variance = float(found.channel.noise_variance)
    weights = np.empty(size, np.complex64)
    gain, folded = equaliser_weights(
        fft(padded, overwrite_x=True),
        _pulse(frame_format),
        noise_variance / symbol_power,
        sps,
        weights,
    )
    return StreamEqualiser(
        weights=weights,
        error_variance=symbol_power * (1.0 - gain) / gain,
        matched_snr=folded / noise_variance,
    )


@lru_cache(maxsize=8)
def _pulse(frame_format: FrameFormat) -> NDArray[np.float64]:
    """Return the FFT of the pulse, which is real."""
    size = BLOCK_SYMBOLS * frame_format.samples_per_symbol
    return pulse_spectrum(frame_format, size).real.contiguous().numpy()


def frame_spectra(
    iq: NDArray[np.complex64],
    found: Synchronisation,
    *,
    sample_start: int,
    num_symbols: int,
    frame_format: FrameFormat,
) -> NDArray[np.complex64]:
    """Return the block spectra of a frame's first symbols, DC and carrier undone.

    Args:
        iq: Samples around the frame, (num_samples,), complex64; outside they count as zero.
        found: The synchronisation.
        sample_start: First sample of the frame in `iq`.
        num_symbols: Symbols wanted.
        frame_format: Pulse and rate.

    Returns:
        (num_blocks, BLOCK_SYMBOLS x samples_per_symbol), complex64.
    """
    sps = frame_format.samples_per_symbol
    num_blocks = -(-num_symbols // BLOCK_HOP_SYMBOLS)
    blocks = _aligned(num_blocks, BLOCK_SYMBOLS * sps)
    steady_blocks(
        iq,
        sample_start + frame_format.pulse_delay_samples - BLOCK_MARGIN_SYMBOLS * sps,
        BLOCK_HOP_SYMBOLS * sps,
        found.dc_offset,
        found.cfo_hz / frame_format.sample_rate_hz,
        sample_start,
        blocks,
    )
    spectra: NDArray[np.complex64] = torch.fft.fft(torch.from_numpy(blocks)).numpy()
    return spectra


def equalised_symbols(
    spectra: NDArray[np.complex64],
    found: Synchronisation,
    equaliser: StreamEqualiser,
    *,
    sfo_ppm: float,
    num_symbols: int,
    frame_format: FrameFormat,
) -> NDArray[np.complex64]:
    """Return the first symbols in block spectra, timing and clock offset taken out.

    Args:
        spectra: What `frame_spectra` returned.
        found: The synchronisation.
        equaliser: Of the channel.
        sfo_ppm: Sampling clock offset [ppm].
        num_symbols: Symbols wanted.
        frame_format: Pulse and rate.
    """
    hop = BLOCK_HOP_SYMBOLS * frame_format.samples_per_symbol
    middles = (np.arange(len(spectra)) + 0.5) * hop
    delays = (found.timing_samples + sfo_ppm * 1e-6 * middles).astype(np.float64, copy=False)
    return equaliser.symbols(spectra, delays=delays, num_symbols=num_symbols)


def _aligned(num_rows: int, num_columns: int) -> NDArray[np.complex64]:
    """Return memory to be written, complex64: by torch, which aligns all of it alike.

    The bits of an FFT by MKL depend on where in memory it is, and frames must not.
    """
    memory: NDArray[np.complex64] = torch.empty(
        num_rows, num_columns, dtype=torch.complex64
    ).numpy()
    return memory
