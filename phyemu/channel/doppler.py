"""Doppler spectra: how fast a diffuse path fades, given by its power spectrum."""

import math
from enum import StrEnum

import torch
from torch import Tensor

__all__ = ["DopplerSpectrum", "doppler_autocorrelation", "doppler_quantile"]

# IEEE 802.11-03/940r4, Sec. 4.7.1: S(f) = 1 / (1 + A (f/fd)^2) with A = 9, cut at |f| <= 5 fd.
_BELL_A = 9.0
_BELL_CUT = 5.0


class DopplerSpectrum(StrEnum):
    """Shape of a path's Doppler power spectrum; `doppler_hz` scales it."""

    JAKES = "jakes"
    """Isotropic scattering, S(f) ~ 1 / sqrt(1 - (f/fd)^2), |f| < fd (Clarke; TR 38.901)."""
    BELL = "bell"
    """Fixed ends, moving people, S(f) ~ 1 / (1 + 9 (f/fd)^2), |f| < 5 fd (TGn, Sec. 4.7.1)."""
    FLAT = "flat"
    """Isotropic in three dimensions, S(f) constant for |f| < fd."""


def doppler_quantile(spectrum: DopplerSpectrum, levels: Tensor) -> Tensor:
    """Return the frequency below which a share `levels` of the power lies, in units of fd.

    Args:
        spectrum: Shape of the spectrum.
        levels: Shares in (0, 1), any shape, float64.
    """
    match spectrum:
        case DopplerSpectrum.JAKES:
            return -torch.cos(torch.pi * levels)
        case DopplerSpectrum.BELL:
            edge = math.atan(math.sqrt(_BELL_A) * _BELL_CUT)
            return torch.tan(edge * (2 * levels - 1)) / math.sqrt(_BELL_A)
        case DopplerSpectrum.FLAT:
            return 2 * levels - 1


def doppler_autocorrelation(spectrum: DopplerSpectrum, doppler_hz: float, lags_s: Tensor) -> Tensor:
    """Return the normalised autocorrelation of the diffuse gain at `lags_s` [s], real, float64.

    J0(2 pi fd tau) for JAKES, sinc(2 fd tau) for FLAT, the integral over the cut Lorentzian
    (about exp(-2 pi fd |tau| / 3)) for BELL.
    """
    if spectrum is DopplerSpectrum.JAKES:
        correlation: Tensor = torch.special.bessel_j0(2 * torch.pi * doppler_hz * lags_s.double())
        return correlation
    if spectrum is DopplerSpectrum.FLAT:
        return torch.sinc(2 * doppler_hz * lags_s.double())
    levels = (torch.arange(8192, dtype=torch.float64) + 0.5) / 8192
    frequencies_hz = doppler_hz * doppler_quantile(spectrum, levels)
    phases = 2 * torch.pi * lags_s.double()[..., None] * frequencies_hz
    return torch.cos(phases).mean(dim=-1)
