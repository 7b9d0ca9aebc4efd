"""Least-squares responses from known samples of any waveform."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg

from phyemu.errors import SignalError

__all__ = ["ReferenceEstimator", "ReferenceResponse"]

_RIDGE = 1e-4  # of the mean power of the template: bounds what empty parts of the band may do
_OCCUPIED_DB = -15.0  # frequencies with less power than this below the strongest are not measured


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReferenceResponse:
    """The response that one stretch of known samples shows.

    Attributes:
        transfer: On the estimator's frequencies, (F,), complex128.
        noise_variance: Total complex variance of the error of each value, (F,), float64.
        sample_noise: Power of what the response leaves unexplained [full scale^2].
    """

    transfer: NDArray[np.complex128]
    noise_variance: NDArray[np.float64]
    sample_noise: float


class ReferenceEstimator:
    """Solves y = X h + n for taps h, where X holds shifted copies of known samples.

    Only samples all of whose past lies in the known stretch are used (the covariance method), so
    what was sent before and after it does no harm. Where the waveform leaves parts of the band
    empty, h is not unique; a small ridge picks the smallest, and only occupied frequencies are
    reported.
    """

    def __init__(self, template: NDArray[np.complex64], *, num_early: int, num_late: int) -> None:
        """Factor the normal equations once for all frames with this template.

        Args:
            template: Known samples, (M,), complex, M at least four times the number of taps.
            num_early: Taps before delay 0, >= 0.
            num_late: Taps at delay 0 and later, >= 1.

        Raises:
            SignalError: The template is too short for the taps, or silent.
        """
        self.num_taps = num_early + num_late
        self._num_early = num_early
        if len(template) < 4 * self.num_taps:
            raise SignalError(
                f"a reference of {len(template)} samples is too short for {self.num_taps} taps, "
                f"at least {4 * self.num_taps} are needed"
            )
        known = template.astype(np.complex128)
        power = float(np.mean(np.square(np.abs(known))))
        if power <= 0.0:
            raise SignalError("the reference holds only zeros")
        # Row i: known[i + L - 1], ..., known[i]; it explains received sample i + num_late - 1.
        rows = np.lib.stride_tricks.sliding_window_view(known, self.num_taps)[:, ::-1]
        self._known = known
        self._num_rows = len(rows)
        self._normal = normal = rows.conj().T @ rows
        ridge = _RIDGE * power * len(rows) * np.eye(self.num_taps)
        self._factor = linalg.cho_factor(normal + ridge)
        index = np.arange(self.num_taps) - self.num_taps // 2
        spectrum = np.square(np.abs(fft.fft(rows[:: self.num_taps], axis=1))).mean(axis=0)
        strength = spectrum[(-index) % self.num_taps][: self.num_taps]
        occupied = strength > strength.max() * 10.0 ** (_OCCUPIED_DB / 10.0)
        self.index = index[occupied]
        """Occupied multiples of sample rate / taps, (F,), int64, ascending."""
        taps = np.arange(self.num_taps) - num_early
        self._to_transfer = np.exp(-2j * np.pi * np.outer(self.index, taps) / self.num_taps)
        spread = linalg.cho_solve(self._factor, self._to_transfer.conj().T)
        # Var H(f) = s^2 a (R + ridge)^-1 R (R + ridge)^-1 a^H.
        self._gain = np.einsum("lf,lk,kf->f", spread.conj(), normal, spread).real
        self._scale = np.sqrt(power)

    @property
    def first_sample(self) -> int:
        """First received sample that is used, counted from the start of the template."""
        return self.num_taps - 1 - self._num_early

    @property
    def num_rows(self) -> int:
        """Number of received samples that are used."""
        return self._num_rows

    def estimate(self, received: NDArray[np.complex128]) -> ReferenceResponse:
        """Return the response for `num_rows` received samples from `first_sample` on.

        The transfer is relative to a template of unit mean power, as for every probe.
        """
        # X^H y: row i holds known[i + L - 1], ..., known[i], so tap l sees known from L - 1 - l on.
        match = np.correlate(self._known, received, mode="valid").conj()[::-1]
        taps = linalg.cho_solve(self._factor, match)
        # |y - X h|^2 without forming X h.
        energy = float(np.vdot(received, received).real) - 2.0 * float(np.vdot(taps, match).real)
        residue = energy + float(np.vdot(taps, self._normal @ taps).real)
        freedom = max(len(received) - self.num_taps, 1)
        noise = max(residue / freedom, 1e-30)
        return ReferenceResponse(
            transfer=self._to_transfer @ taps * self._scale,
            noise_variance=np.maximum(noise * self._gain, 1e-30) * self._scale**2,
            sample_noise=noise,
        )
