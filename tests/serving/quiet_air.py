"""Frames as the receiver makes them of an air without noise."""

import numpy as np
import torch

from phyemu.receiver import FrameStatus, ReceivedFrame


def frame_of(
    symbols: torch.Tensor, index: int | None, *, order: int = 4, start: int = 0
) -> ReceivedFrame:
    """Return the frame of these symbols."""
    count = len(symbols)
    posteriors = np.full((count, order), 1e-3, np.float32)
    posteriors[np.arange(count), symbols.numpy()] = 1 - (order - 1) * 1e-3
    return ReceivedFrame(
        sample_start=start,
        sample_count=count,
        status=FrameStatus.OK,
        frame_index=index,
        erased=np.zeros(count, bool),
        points=np.zeros(count, np.complex64),
        posteriors=posteriors,
        disturbed_symbols=0,
        noise_variance=0.01,
        snr_db=20.0,
        cfo_hz=0.0,
        cfo_drift_hz=0.0,
        sfo_ppm=0.0,
        evm_db=-20.0,
        timing_samples=0.0,
        amplitude=1.0,
        response=np.ones(1, np.complex64),
        response_offset_samples=0,
    )
