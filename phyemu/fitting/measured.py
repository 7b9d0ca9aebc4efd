"""The non-parametric alternative: the measured responses themselves, resampled."""

import numpy as np
import torch

from phyemu.channel import (
    Distribution,
    EmpiricalChannel,
    ImpulseResponse,
    MeasuredChannel,
    NoiseLevel,
    Playback,
)
from phyemu.errors import FitError
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.path_gains import PathGains

__all__ = ["measured_channel"]


def measured_channel(
    model: EmpiricalChannel, frames: LinkFrames, paths: PathGains, *, cn0_dbhz: float
) -> MeasuredChannel:
    """Return the channel that plays the measured path gains back.

    Estimation noise would add power that the link does not have, so each gain is shrunk by its
    path's share of signal, g = x sqrt(1 - c / mean |x|^2): the mean powers are then unbiased.
    A record whose time is to be trusted is played in order, another one resampled.

    Args:
        model: The parametric fit, whose front end and provenance are taken over.
        frames: Frames of the link.
        paths: Their path gains, on the delays of `model`, drift and all.
        cn0_dbhz: C/N0 of the mean power, for path powers that sum to one [dB Hz].

    Raises:
        FitError: Not one path above the noise.
    """
    power = np.square(np.abs(paths.gains)).mean(axis=0)
    share = np.maximum(1.0 - paths.error_variance.mean(axis=0) / np.maximum(power, 1e-300), 0.0)
    if not (share > 0).any():
        raise FitError("no path lies above the noise, so there is nothing to play back")
    responses = ImpulseResponse(
        gains=torch.from_numpy((paths.gains * np.sqrt(share)).astype(np.complex64)),
        delays_s=torch.tensor(model.delays_s, dtype=torch.float64),
        interval_s=frames.interval_s if model.block_s is None else model.block_s,
    )
    return MeasuredChannel(
        name=model.name,
        responses=responses,
        noise=NoiseLevel(cn0_dbhz=Distribution.constant(cn0_dbhz)),
        playback=Playback.RESAMPLED if model.block_s is not None else Playback.IN_ORDER,
        front_end=model.front_end,
        provenance=model.provenance,
    )
