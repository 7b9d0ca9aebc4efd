"""Every 802.11 frame as a probe: its preamble measures 52 carriers, an HT frame's 56."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.progress import ProgressCallback, no_progress
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.wifi import (
    WifiFrame,
    WifiReception,
    WifiResponse,
    WifiTable,
    detect_wifi_frames,
    implied_senders,
    receive_wifi_frame,
)
from phyemu.wifi.modes import HT_CARRIERS
from phyemu.wifi.preamble import L_LTF_CARRIERS, WIFI_CARRIER_SPACING_HZ
from phyemu.wifi.response import MAX_DRIFT_SAMPLES, MAX_MISMATCH

__all__ = ["WifiMeasurement", "find_wifi_frames"]

_CARRIERS = len(L_LTF_CARRIERS)
_OUTER = (len(HT_CARRIERS) - _CARRIERS) // 2
_MIN_FRAMES_FOR_PROFILE = 30
_PILOT_TURN = 42 * 2.0 * np.pi / 64  # of the outer pilots against one another [rad / sample]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WifiMeasurement:
    """All frames of a recording; which carriers they measure depends on the link.

    Attributes:
        sample_rate_hz: Of the recording [Hz].
        frames: The preambles, in order.
        receptions: What else each frame holds.
        table: What the frames say of themselves.
        noise_profile: Noise of each carrier of the L-LTF relative to the mean, (52,).
    """

    sample_rate_hz: float
    frames: tuple[WifiFrame, ...]
    receptions: tuple[WifiReception, ...]
    table: WifiTable
    noise_profile: NDArray[np.float64]

    @property
    def legacy_frames(self) -> ProbeFrames:
        """What every frame measures: the 52 carriers of its L-LTF, by the L-LTF alone."""
        index = np.arange(len(self.frames))
        return self._probe_frames(index, [WifiResponse.of_legacy(frame) for frame in self.frames])

    def link_frames(self, index: NDArray[np.int64]) -> ProbeFrames:
        """Return the frames of one link with all that their training says.

        Where every frame has an HT-LTF, the link is measured on its 56 carriers, else on the 52
        that all share. HT-LTF and L-LTF are combined where the link's frames show that they see
        one channel (median mismatch); where they do not, the HT-LTF alone stands for a link of HT
        frames, as it is the channel of their data, and the L-LTF alone for a mixed one.

        Args:
            index: Frames of the link.
        """
        chosen = index.tolist()
        trainings = [self.receptions[position].training for position in chosen]
        known = [training for training in trainings if training is not None]
        same = bool(
            known
            and np.median([training.mismatch for training in known]) < MAX_MISMATCH
            and np.median([abs(training.drift_samples) for training in known]) < MAX_DRIFT_SAMPLES
        )
        all_ht = len(known) == len(chosen)
        responses: list[WifiResponse] = []
        for position, training in zip(chosen, trainings, strict=True):
            legacy = WifiResponse.of_legacy(self.frames[position])
            if training is None or not (same or all_ht):
                responses.append(legacy)
            elif same:
                responses.append(training.combined if all_ht else training.combined.inner())
            else:
                responses.append(training.ht_only)
        return self._probe_frames(index, responses)

    def link_clock(self, index: NDArray[np.int64]) -> tuple[float, float]:
        """Return the clock offset of a link's transmitter and its standard error [ppm].

        A line through the phase differences of the outer pilots, 42 carriers apart, in N symbols
        over T samples has a slope with an error of sqrt(12 / (N S)) / T, S being the SNR on a
        carrier; a sample of drift turns them by 42 x 2 pi / 64. (The inner pilots help a little.)

        Args:
            index: Frames of the link.

        Returns:
            NaN, NaN where no frame with a matching check sequence was long enough to tell.
        """
        clocks, errors = [], []
        for position in index.tolist():
            frame, reception = self.frames[position], self.receptions[position]
            count = reception.content.sample_count
            if not reception.content.fcs_ok or np.isnan(reception.clock_ppm) or count is None:
                continue
            duration = count - (frame.ltf_start + 208 - frame.sample_start)
            snr = 10.0 ** (frame.snr_db / 10.0)
            clocks.append(reception.clock_ppm)
            errors.append(1e6 * np.sqrt(12.0 / (duration / 80.0 * snr)) / duration / _PILOT_TURN)
        if not clocks:
            return float("nan"), float("nan")
        weight = 1.0 / np.square(errors)
        return float(np.average(clocks, weights=weight)), float(1.0 / np.sqrt(weight.sum()))

    def _probe_frames(self, index: NDArray[np.int64], responses: list[WifiResponse]) -> ProbeFrames:
        frames = [self.frames[position] for position in index.tolist()]
        carriers = responses[0].carriers
        noise = np.array([frame.noise_variance for frame in frames])
        # One L-LTF symbol: FFT noise 64 s^2 over carriers of power 64^2 / 52; `noise` is of two.
        sample_noise = noise * 2.0 * 64.0 / _CARRIERS
        snr = 10.0 ** (np.array([frame.snr_db for frame in frames]) / 10.0)
        profile = self.noise_profile
        if len(carriers) > _CARRIERS:
            profile = np.pad(profile, _OUTER, mode="edge")
        return ProbeFrames(
            probe="wifi",
            bandwidth_hz=len(carriers) * WIFI_CARRIER_SPACING_HZ,
            frequencies_hz=np.array(carriers) * WIFI_CARRIER_SPACING_HZ,
            period_s=1.0 / WIFI_CARRIER_SPACING_HZ,
            sample_start=np.array([frame.sample_start for frame in frames], np.int64),
            reference_start=np.array([frame.ltf_start for frame in frames], np.float64),
            interval_samples=None,
            transfer=np.stack([response.transfer for response in responses]),
            noise_variance=np.stack([response.noise_variance for response in responses]) * profile,
            noise_density=sample_noise / self.sample_rate_hz,
            noise_floor=sample_noise,
            cfo_hz=np.array([frame.cfo_hz for frame in frames]),
            # Phase of a sum of 64 products over a lag of 64 samples (Moose 1994, high SNR).
            cfo_std_hz=WIFI_CARRIER_SPACING_HZ / (2.0 * np.pi * np.sqrt(_CARRIERS * snr)),
            confidence=np.array([frame.confidence for frame in frames]),
            wifi=self.table.select(index),
        )


def find_wifi_frames(
    blocks: Iterable[NDArray[np.complex64]],
    read: Callable[[int, int], NDArray[np.complex64]],
    *,
    sample_rate_hz: float,
    progress: ProgressCallback = no_progress,
) -> WifiMeasurement | None:
    """Return all 802.11 frames of a stream, decoded; None when there is none.

    Args:
        blocks: Consecutive samples, each (num_samples,), complex64.
        read: Called with (first sample, count), returns these samples once more, or fewer at the
            end of the stream; only stretches that hold a frame are asked for.
        sample_rate_hz: Must be 20 MHz [Hz].
        progress: Told of each frame that was decoded.

    Raises:
        SignalError: Another sample rate, NaN or infinite samples.
    """
    frames = detect_wifi_frames(blocks, sample_rate_hz=sample_rate_hz)
    if not frames:
        return None
    receptions: list[WifiReception] = []
    for frame in frames:
        receptions.append(receive_wifi_frame(frame, read))
        progress("decode Wi-Fi frames", len(receptions), len(frames))
    contents = [reception.content for reception in receptions]
    return WifiMeasurement(
        sample_rate_hz=sample_rate_hz,
        frames=tuple(frames),
        receptions=tuple(receptions),
        table=WifiTable.of_contents(
            contents, implied_senders([frame.sample_start for frame in frames], contents)
        ),
        noise_profile=_noise_profile(frames),
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
