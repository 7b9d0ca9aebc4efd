"""Every 802.11 frame as a probe: its legacy preamble measures 52 carriers."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.wifi.detection import WifiFrame, detect_wifi_frames
from phyemu.wifi.preamble import L_LTF_CARRIERS, WIFI_CARRIER_SPACING_HZ

__all__ = ["find_wifi_frames"]

_CARRIERS = len(L_LTF_CARRIERS)
_MIN_FRAMES_FOR_PROFILE = 30


def find_wifi_frames(
    blocks: Iterable[NDArray[np.complex64]], *, sample_rate_hz: float
) -> ProbeFrames | None:
    """Return all legacy preambles of a stream as frames of a probe; None when there is none.

    Args:
        blocks: Consecutive samples, each (num_samples,), complex64.
        sample_rate_hz: Must be 20 MHz [Hz].

    Raises:
        SignalError: Another sample rate, NaN or infinite samples.
    """
    frames = detect_wifi_frames(blocks, sample_rate_hz=sample_rate_hz)
    if not frames:
        return None
    noise = np.array([frame.noise_variance for frame in frames])
    # One L-LTF symbol: FFT noise 64 s^2 over carriers of power 64^2 / 52; `noise` is of two.
    sample_noise = noise * 2.0 * 64.0 / _CARRIERS
    snr = 10.0 ** (np.array([frame.snr_db for frame in frames]) / 10.0)
    return ProbeFrames(
        probe="wifi",
        bandwidth_hz=_CARRIERS * WIFI_CARRIER_SPACING_HZ,
        frequencies_hz=np.array(L_LTF_CARRIERS) * WIFI_CARRIER_SPACING_HZ,
        period_s=1.0 / WIFI_CARRIER_SPACING_HZ,
        sample_start=np.array([frame.sample_start for frame in frames], np.int64),
        reference_start=np.array([frame.ltf_start for frame in frames], np.float64),
        interval_samples=None,
        transfer=np.stack([frame.transfer for frame in frames]),
        noise_variance=noise[:, None] * _noise_profile(frames),
        noise_density=sample_noise / sample_rate_hz,
        noise_floor=sample_noise,
        cfo_hz=np.array([frame.cfo_hz for frame in frames]),
        # Phase of a sum of 64 products over a lag of 64 samples (Moose 1994, high SNR).
        cfo_std_hz=WIFI_CARRIER_SPACING_HZ / (2.0 * np.pi * np.sqrt(_CARRIERS * snr)),
        confidence=np.array([frame.confidence for frame in frames]),
    )


def _noise_profile(frames: list[WifiFrame]) -> NDArray[np.float64]:
    """Return the noise of each carrier relative to the mean, (52,); flat for few frames.

    A receiver's channel filter colours the noise as it does the signal.
    """
    if len(frames) < _MIN_FRAMES_FOR_PROFILE:
        return np.ones(_CARRIERS)
    each = np.stack([frame.carrier_noise / frame.carrier_noise.mean() for frame in frames])
    profile = each.mean(axis=0)
    # Neighbouring carriers see nearly the same filter: three of them steady the estimate.
    smooth = np.convolve(np.pad(profile, 1, mode="edge"), np.ones(3) / 3.0, mode="valid")
    normalised: NDArray[np.float64] = smooth / smooth.mean()
    return normalised
