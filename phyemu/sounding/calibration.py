"""The response of the radios alone, measured through a cable, and how to divide it out.

A recording through a cable shows what the filters of transmitter and receiver do, a radiated one
that times the room. The calibration R is the mean response of the cable's frames with its level,
phase and delay taken out: unit mean power over the band, power-weighted mean phase and group delay
zero. So dividing by R changes the shape of a response over frequency and nothing else: a flat
channel keeps its received power, its carrier phase and its delay.

Errors (first order): Var(H / R) = Var(H) / |R|^2 + |H / R|^2 Var(R) / |R|^2. The second part is one
error that all frames share; averaging over frames does not lessen it, and the search for paths has
to know that. Frequencies at which R is too weak to divide by are left out, not bent towards zero,
which would bias the paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phyemu.errors import SignalError
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.sounding import Sounding

__all__ = ["Calibration", "calibration_of"]

_MIN_SNR = 10.0  # |R|^2 over its variance; below it, first-order errors no longer hold
_MIN_LEVEL = 1e-3  # of the strongest frequency's power: 30 dB
_MIN_SHARE = 0.5  # of the frequencies that have to remain
_SAME_FREQUENCY_HZ = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Calibration:
    """The front ends' response, and the error with which it is known.

    Attributes:
        name: File that it came from.
        recording_sha512: Hash of the samples of the recording; None where it states none.
        probe: What the cable was sounded with.
        sample_rate_hz: Of the recording [Hz].
        frequencies_hz: (F,), float64, ascending [Hz].
        response: R, (F,), complex128; mean of |R|^2 is 1.
        variance: Total complex variance of the error of R, (F,), float64.
    """

    name: str
    recording_sha512: str | None
    probe: str
    sample_rate_hz: float
    frequencies_hz: NDArray[np.float64]
    response: NDArray[np.complex128]
    variance: NDArray[np.float64]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Where R is strong enough to divide by, (F,)."""
        power = np.square(np.abs(self.response))
        strong: NDArray[np.bool_] = (power >= _MIN_SNR * self.variance) & (
            power >= _MIN_LEVEL * power.max()
        )
        return strong

    def describe(self) -> dict[str, str | None]:
        """Return what the provenance of a calibrated sounding says of it."""
        return {"name": self.name, "recording_sha512": self.recording_sha512}

    def check(self, *, recording_name: str, sample_rate_hz: float, probe: str) -> None:
        """Refuse a recording that this calibration was not made for.

        Raises:
            SignalError: Another sample rate or probe.
        """
        if abs(self.sample_rate_hz / sample_rate_hz - 1.0) > 1e-3:
            raise SignalError(
                f"{recording_name}: recorded at {sample_rate_hz / 1e6:g} Msps, but the calibration "
                f"{self.name} at {self.sample_rate_hz / 1e6:g} Msps; record the cable with the "
                f"same settings"
            )
        if self.probe != probe:
            raise SignalError(
                f"{recording_name}: sounded with the probe {probe!r}, but the calibration "
                f"{self.name} with {self.probe!r}; send the same waveform through the cable"
            )

    def applied(
        self, frames: ProbeFrames, *, recording_name: str, false_path_rate: float
    ) -> tuple[ProbeFrames, NDArray[np.float64]]:
        """Return the frames with R divided out, and the noise that a search for paths must assume.

        Only frequencies that the calibration holds, strong enough to divide by, are kept; nothing
        is interpolated.

        Noise that differs from frame to frame adds up over N frames to Gamma(N), of which the
        search takes the quantile T that any of its delays passes with `false_path_rate`. An error
        common to all frames adds up to N times one exponential, which passes at N ln(D / rate) for
        D delays. So the common part counts N ln(D / rate) / T times in the search.

        Args:
            frames: Frames of one link.
            recording_name: For messages.
            false_path_rate: Probability that noise adds a path, as the search is told.

        Returns:
            The frames, `noise_variance` with the calibration's own error; that variance with the
            common part scaled for the search, (N, F).

        Raises:
            SignalError: Less than half of the frequencies can be calibrated.
        """
        position = np.searchsorted(self.frequencies_hz, frames.frequencies_hz - _SAME_FREQUENCY_HZ)
        position = np.minimum(position, len(self.frequencies_hz) - 1)
        known = np.abs(self.frequencies_hz[position] - frames.frequencies_hz) < _SAME_FREQUENCY_HZ
        kept = known & self.usable[position]
        if kept.mean() < _MIN_SHARE:
            reason = (
                "was measured at other frequencies; send the same waveform through the cable"
                if known.mean() < _MIN_SHARE
                else "is lost in its noise; record the cable longer or with more gain"
            )
            raise SignalError(
                f"{recording_name}: of its {len(kept)} frequencies {int(kept.sum())} can be "
                f"calibrated, the calibration {self.name} {reason}"
            )
        chosen = position[kept]
        inverse = 1.0 / self.response[chosen]
        gain = np.square(np.abs(inverse))
        transfer = frames.transfer[:, kept] * inverse
        own = frames.noise_variance[:, kept] * gain
        # |H|^2 of a noisy value is too large by the noise itself.
        power = np.maximum(np.square(np.abs(transfer)) - own, 0.0)
        common = power * self.variance[chosen] * gain
        delays = 4.0 * float(kept.sum())
        passed = float(stats.gamma.isf(false_path_rate / delays, frames.num_frames))
        factor = frames.num_frames * np.log(delays / false_path_rate) / passed
        calibrated = replace(
            frames,
            bandwidth_hz=frames.bandwidth_hz * float(kept.mean()),
            frequencies_hz=frames.frequencies_hz[kept],
            transfer=transfer.astype(np.complex64),
            noise_variance=own + common,
        )
        return calibrated, own + factor * common


def calibration_of(soundings: Sequence[Sounding], *, name: str) -> Calibration:
    """Return the calibration that a recording through a cable gives: its strongest link.

    The frames share one response R and differ in amplitude and phase a_n, so
    R = sum_n conj(a_n) H_n / sum_n |a_n|^2 with a_n = <R, H_n> / <R, R>, weighted by the noise of
    each frame and iterated from the strongest frame; Var(R) = 1 / sum_n (|a_n|^2 / Var(H_n)).

    Args:
        soundings: Links of the recording, strongest first; not calibrated themselves.
        name: File that they came from.

    Raises:
        SignalError: No sounding, one that is calibrated already, or too few frequencies.
    """
    if not soundings:
        raise SignalError(f"{name}: holds no sounding to calibrate with")
    link = soundings[0]
    if link.provenance.get("calibration") is not None:
        raise SignalError(
            f"{name}: is calibrated itself; give the recording through the cable, or its "
            f"soundings without --calibrate"
        )
    if len(link.frequencies_hz) < 2:
        raise SignalError(f"{name}: has a single frequency; a calibration needs a band")
    transfer = link.transfer.astype(np.complex128)
    precision = 1.0 / link.noise_variance
    response = transfer[int(np.square(np.abs(transfer)).mean(axis=1).argmax())]
    for _ in range(3):
        overlap = (transfer * response.conj() * precision).sum(axis=1)
        energy = (np.square(np.abs(response)) * precision).sum(axis=1)
        amplitude = overlap / energy
        weight = np.square(np.abs(amplitude))[:, None] * precision
        response = (transfer / amplitude[:, None] * weight).sum(axis=0) / weight.sum(axis=0)
    variance = 1.0 / weight.sum(axis=0)
    scale = max(float((np.square(np.abs(response)) - variance).mean()), 1e-300)
    response, variance = response / np.sqrt(scale), variance / scale
    return Calibration(
        name=name,
        recording_sha512=link.recording_sha512,
        probe=link.probe,
        sample_rate_hz=link.sample_rate_hz,
        frequencies_hz=link.frequencies_hz,
        response=_without_delay(response, link.frequencies_hz),
        variance=variance,
    )


def _without_delay(
    response: NDArray[np.complex128], frequencies_hz: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return the response with its power-weighted mean group delay and phase at zero."""
    steps = np.diff(frequencies_hz)
    spacing = float(steps.min())
    neighbours = steps < 1.5 * spacing
    product = (response[1:] * response[:-1].conj())[neighbours]
    delay_s = -float(np.angle(product.sum())) / (2.0 * np.pi * spacing)
    turned = response * np.exp(2j * np.pi * frequencies_hz * delay_s)
    mean = (turned * np.abs(turned)).sum()
    centred: NDArray[np.complex128] = turned * np.exp(-1j * np.angle(mean))
    return centred
