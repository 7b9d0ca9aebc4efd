"""What the receiver says about a frame."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameStatus", "ReceivedFrame"]


class FrameStatus(StrEnum):
    """How the reception of a frame ended."""

    OK = "ok"
    """Header and payload were received."""

    PARTIAL = "partial"
    """Samples are missing inside the frame; the symbols before and behind them were received."""

    TRUNCATED = "truncated"
    """The stream ended inside the frame, or is interrupted until behind it; what was received of
    its payload, if any, is there."""

    HEADER_ERROR = "header-error"
    """A preamble was found, but the check of its header failed or its payload is too long."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReceivedFrame:
    """A frame as received.

    Attributes:
        sample_start: First sample of the frame in the stream (of its strongest path).
        sample_count: Samples from the first to the last one of the frame that the stream holds; of
            the preamble and the header where the header failed.
        status: How the reception ended.
        frame_index: Stated in the header, 0..4095; None where that failed or was cut off.
        erased: Which payload symbols were not received, (S,), bool: their samples are missing.
        points: Payload after equalisation, scaled as the constellation, (S,), complex64; 0 where
            erased, (0,) where the header failed.
        posteriors: Probability of each symbol, (S, M), float32; uniform where erased.
        disturbed_symbols: Symbols received whose noise stands out of the frame's (a burst of
            interference, a fade, clipping): their posteriors assume a variance of their own.
        noise_variance: Total complex variance of the error of `points`, noise and residual
            interference: what `posteriors` assume on average.
        snr_db: Peak symbol power over total complex noise variance at the output of a filter
            matched to the pulse and the channel [dB].
        cfo_hz: Carrier frequency offset, mean over the frame [Hz].
        cfo_drift_hz: How much the carrier offset grew from the first to the last quarter of the
            frame [Hz]: phase noise, a moving oscillator, Doppler.
        sfo_ppm: Sampling clock offset: positive if the frame is longer than it should be [ppm].
        evm_db: Mean |points - nearest constellation point|^2 over the peak power [dB].
        timing_samples: Where the first sample of the frame lies relative to `sample_start`
            [samples], within half a sample of 0 for a single path.
        amplitude: Amplitude of a symbol at the receiver, root of the power over all paths
            [full scale].
        response: Channel at `response_offset_samples` + 0, 1, 2, ... samples behind
            `sample_start`, (num_taps,), complex64: received = pulse shape * response.
        response_offset_samples: Delay of the first value of `response` [samples], <= 0.
    """

    sample_start: int
    sample_count: int
    status: FrameStatus
    frame_index: int | None
    erased: NDArray[np.bool_]
    points: NDArray[np.complex64]
    posteriors: NDArray[np.float32]
    disturbed_symbols: int
    noise_variance: float
    snr_db: float
    cfo_hz: float
    cfo_drift_hz: float
    sfo_ppm: float
    evm_db: float
    timing_samples: float
    amplitude: float
    response: NDArray[np.complex64]
    response_offset_samples: int

    @property
    def received_symbols(self) -> int:
        """Payload symbols that were received."""
        return int(np.count_nonzero(~self.erased))

    @property
    def erased_symbols(self) -> int:
        """Payload symbols that were not."""
        return int(np.count_nonzero(self.erased))
