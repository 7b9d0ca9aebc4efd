"""Path loss over distance."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError

__all__ = ["PathLoss", "PathLossLaw", "received_cn0_dbhz"]

_LIGHT_M_PER_S = 299_792_458.0
_LEAST_DISTANCE_M = 1.0
# 10 log10(k T) at 290 K.
_THERMAL_NOISE_DBM_HZ = -173.975


class PathLossLaw(StrEnum):
    """A law; distances below 1 m count as 1 m."""

    FREE_SPACE = "free-space"
    """20 log10(4 pi d / lambda)."""
    UMI_LOS = "umi-los"
    """3GPP TR 38.901 Table 7.4.1-1, UMi street canyon, line of sight, before the breakpoint:
    32.4 + 21 log10(d) + 20 log10(f in GHz)."""
    UMI_NLOS = "umi-nlos"
    """The same without line of sight: 22.4 + 35.3 log10(d) + 21.3 log10(f in GHz), at least that of
    line of sight (terminals at 1.5 m)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PathLoss:
    """A law of path loss, or a power of the distance beyond 1 m of free space.

    Attributes:
        law: Named law; with `exponent`, what holds up to 1 m.
        exponent: Path loss exponent n: free space at 1 m plus 10 n log10(d); None: the law alone.
    """

    law: PathLossLaw = PathLossLaw.FREE_SPACE
    exponent: float | None = None

    @classmethod
    def of_text(cls, text: str) -> "PathLoss":
        """Return the loss written as a law's name, or as "exponent:N".

        Raises:
            ConfigError: Neither of them.

        >>> PathLoss.of_text("exponent:3.2").exponent
        3.2
        """
        if text in list(PathLossLaw):
            return cls(law=PathLossLaw(text))
        kind, _, number = text.partition(":")
        try:
            exponent = float(number)
        except ValueError:
            exponent = math.nan
        if kind != "exponent" or not 0 < exponent <= 10:
            known = ", ".join(PathLossLaw)
            raise ConfigError(f"{text!r}: a path loss is {known}, or exponent:N with 0 < N <= 10")
        return cls(exponent=exponent)

    def loss_db(self, distance_m: NDArray[np.float64], frequency_hz: float) -> NDArray[np.float64]:
        """Return the loss at distances of any shape [dB]."""
        distance = np.maximum(np.asarray(distance_m, np.float64), _LEAST_DISTANCE_M)
        decades = np.log10(distance)
        at_one_metre = 20 * math.log10(4 * math.pi * frequency_hz / _LIGHT_M_PER_S)
        if self.exponent is not None:
            return at_one_metre + 10 * self.exponent * decades
        if self.law is PathLossLaw.FREE_SPACE:
            return at_one_metre + 20 * decades
        frequency_decades = math.log10(frequency_hz / 1e9)
        line_of_sight = 32.4 + 21 * decades + 20 * frequency_decades
        if self.law is PathLossLaw.UMI_LOS:
            return line_of_sight
        return np.maximum(line_of_sight, 22.4 + 35.3 * decades + 21.3 * frequency_decades)


def received_cn0_dbhz(
    transmit_power_dbm: float, path_gain_db: float, *, noise_figure_db: float
) -> float:
    """Return the carrier-to-noise density of a link budget [dB Hz], at 290 K.

    >>> round(received_cn0_dbhz(0.0, -80.0, noise_figure_db=7.0), 2)
    86.97
    """
    return transmit_power_dbm + path_gain_db - _THERMAL_NOISE_DBM_HZ - noise_figure_db
