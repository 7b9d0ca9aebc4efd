"""What a probe reveals about the two front ends: values, each with its uncertainty."""

import math
from dataclasses import dataclass

__all__ = ["Estimate", "FrontEndEstimate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number and its standard error, in the unit of the field that holds it.

    Attributes:
        value: The estimate; NaN where the probe cannot tell.
        std: One standard error; NaN together with `value`, inf where the value is only a bound.
    """

    value: float = math.nan
    std: float = math.nan

    @property
    def is_known(self) -> bool:
        """Whether there is a value at all."""
        return math.isfinite(self.value)

    @property
    def is_significant(self) -> bool:
        """Whether the value lies more than three standard errors away from zero."""
        return self.is_known and math.isfinite(self.std) and abs(self.value) > 3.0 * self.std


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontEndEstimate:
    """Receiver-side hardware impairments of one link, as the probe saw them.

    Attributes:
        dc_offset_i: Real part of the mean of the samples between the frames [full scale].
        dc_offset_q: Imaginary part of it [full scale].
        iq_gain_db: Gain of the Q branch over the I branch [dB].
        iq_phase_rad: Departure of the two branches from quadrature [rad].
        linewidth_hz: Two-sided 3 dB linewidth of a Wiener phase-noise model [Hz].
    """

    dc_offset_i: Estimate = Estimate()
    dc_offset_q: Estimate = Estimate()
    iq_gain_db: Estimate = Estimate()
    iq_phase_rad: Estimate = Estimate()
    linewidth_hz: Estimate = Estimate()

    @property
    def dc_offset(self) -> complex:
        """The DC offset as one complex number [full scale]; NaN where unknown."""
        return complex(self.dc_offset_i.value, self.dc_offset_q.value)
