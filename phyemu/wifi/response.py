"""The response that a frame's training shows: of its L-LTF, and of its HT-LTF where it has one.

Both are sent with the same total power, so at unit mean power they measure the same response; the
L-LTF twice on 52 carriers, the HT-LTF once on 56. They differ where a transmitter with several
antennas shifts the antennas' signals cyclically (by up to 0.2 us in the L-LTF, 0.4 us in the
HT-LTF), or forms a beam for the HT part only. So they are compared before they are combined.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phyemu.wifi.detection import WifiFrame
from phyemu.wifi.modes import HT_CARRIERS
from phyemu.wifi.preamble import L_LTF_CARRIERS

__all__ = [
    "LEGACY_AMPLITUDE",
    "MAX_DRIFT_SAMPLES",
    "MAX_MISMATCH",
    "TrainingComparison",
    "WifiResponse",
    "compare_training",
]

LEGACY_AMPLITUDE: Final = 64.0 / math.sqrt(52.0)
"""Carrier amplitude in an unnormalised FFT of 64 samples of unit mean power, 52 carriers."""

MAX_DRIFT_SAMPLES: Final = 0.1
"""What is a drift and no cyclic shift: clocks 60 ppm apart drift by 0.026 samples from L to HT."""

MAX_MISMATCH: Final = 2.0
"""Up to here combining gains. With noise s^2 per sample the L-LTF has an error of 0.41 s^2 and the
HT-LTF of 0.88 s^2; both combined have 0.28 s^2, and a tenth of any difference of the channels,
(mismatch - 1) 1.28 s^2: at 2, what is gained here is lost there."""

_COMMON = slice(2, -2)  # the carriers of the L-LTF among those of the HT-LTF


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WifiResponse:
    """LS estimate of the response on a frame's carriers.

    Attributes:
        carriers: Their indices, ascending: 52, or the 56 of HT.
        transfer: Received [full scale] over sent at unit mean power, complex64; delays count from
            the frame's `ltf_start`.
        noise_variance: Total complex variance of each value's error, float64.
    """

    carriers: tuple[int, ...]
    transfer: NDArray[np.complex64]
    noise_variance: NDArray[np.float64]

    @classmethod
    def of_legacy(cls, frame: WifiFrame) -> "WifiResponse":
        """Return what the L-LTF alone shows."""
        noise = np.full(len(L_LTF_CARRIERS), frame.noise_variance)
        return cls(carriers=L_LTF_CARRIERS, transfer=frame.transfer, noise_variance=noise)

    def inner(self) -> "WifiResponse":
        """Return an HT response on the 52 carriers that the L-LTF has too."""
        return WifiResponse(
            carriers=L_LTF_CARRIERS,
            transfer=self.transfer[_COMMON],
            noise_variance=self.noise_variance[_COMMON],
        )

    def on_bins(self) -> NDArray[np.complex128]:
        """Return the response on the 64 bins of an FFT, 0 where it was not measured."""
        bins = np.zeros(64, np.complex128)
        bins[np.array(self.carriers)] = self.transfer
        return bins


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TrainingComparison:
    """The HT-LTF of a frame beside its L-LTF.

    Attributes:
        gain_db: Power of the HT-LTF over that of the L-LTF, both at unit mean power sent [dB].
        drift_samples: By how much the HT-LTF came late.
        mismatch: Mean square of what differs beyond a common phase and that delay, over what the
            noise explains: 1 where nothing else does.
        combined: The response from both, weighted by their noise, on 56 carriers.
        ht_only: The response from the HT-LTF alone, as it came.
    """

    gain_db: float
    drift_samples: float
    mismatch: float
    combined: WifiResponse
    ht_only: WifiResponse

    @property
    def same_channel(self) -> bool:
        """Whether both saw one channel, so that `combined` is better than the L-LTF alone."""
        return self.mismatch < MAX_MISMATCH and abs(self.drift_samples) < MAX_DRIFT_SAMPLES


def compare_training(frame: WifiFrame, ht_ltf: NDArray[np.complex128]) -> TrainingComparison:
    """Return the HT-LTF beside the L-LTF, with the estimate that combines them.

    Args:
        frame: The preamble, with what its L-LTF showed.
        ht_ltf: LS estimate from one HT-LTF on the 56 carriers, at unit mean power sent, (56,).
    """
    legacy = frame.transfer.astype(np.complex128)
    own = ht_ltf[_COMMON]
    carriers = np.array(L_LTF_CARRIERS)
    product = own * legacy.conj()
    product = product * np.exp(-1j * np.angle(product.sum()))
    # A small delay d turns carrier k by -2 pi k d / 64: weighted least squares of the phase.
    slope = float(carriers @ product.imag) / max(
        float(np.square(carriers) @ np.abs(product)), 1e-30
    )
    drift = -slope * 64.0 / (2.0 * math.pi)
    undone = ht_ltf * np.exp(-1j * slope * np.array(HT_CARRIERS))
    factor = complex(np.vdot(legacy, undone[_COMMON]))
    factor /= max(float(np.vdot(legacy, legacy).real), 1e-30)
    turned = undone * np.exp(-1j * np.angle(factor))
    # Noise s^2 per sample: an FFT bin holds 64 s^2 over carriers of power 64^2 / n.
    sample_noise = frame.noise_variance * 2.0 * 64.0 / 52.0
    ht_noise = sample_noise * 56.0 / 64.0
    difference = float(np.square(np.abs(turned[_COMMON] - legacy)).sum())
    # Of 2 x 52 real numbers the phase and the delay have taken two.
    mismatch = difference / (len(carriers) - 1) / (ht_noise + frame.noise_variance)
    share = ht_noise / (ht_noise + frame.noise_variance)
    transfer = turned.copy()
    transfer[_COMMON] = share * legacy + (1.0 - share) * turned[_COMMON]
    noise = np.full(len(HT_CARRIERS), ht_noise)
    noise[_COMMON] = share * frame.noise_variance
    return TrainingComparison(
        gain_db=10.0 * math.log10(max(_power(own) - ht_noise, 1e-30) / _power(legacy)),
        drift_samples=drift,
        mismatch=mismatch,
        combined=WifiResponse(
            carriers=HT_CARRIERS, transfer=transfer.astype(np.complex64), noise_variance=noise
        ),
        ht_only=WifiResponse(
            carriers=HT_CARRIERS,
            transfer=ht_ltf.astype(np.complex64),
            noise_variance=np.full(len(HT_CARRIERS), ht_noise),
        ),
    )


def _power(values: NDArray[np.complex128]) -> float:
    return max(float(np.square(np.abs(values)).mean()), 1e-30)
