"""The impulse response: what models draw, sounding measures, the store keeps, executors apply."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import SignalError

__all__ = ["ImpulseResponse"]


@dataclass(frozen=True, eq=False, slots=True)
class ImpulseResponse:
    """A time-varying multipath response h(t, tau) = sum over p of gains[t, p] delta(tau - tau_p).

    The delays are common to all time steps; a path that is absent at a step has gain 0 there.

    Attributes:
        gains: Complex path gains, (..., time, path), complex64 (complex128 in gradient checks).
        delays_s: Path delays tau_p [s], (path,), float64; any order, finite, may be negative
            relative to a measured reference (executors shift the smallest to be causal).
        interval_s: Time between two steps [s], > 0; steps lie at 0, interval_s, 2 interval_s...

    Raises:
        SignalError: A shape, dtype or value contradicts the above.
    """

    gains: Tensor
    delays_s: Tensor
    interval_s: float

    def __post_init__(self) -> None:
        """Refuse what no executor could apply."""
        if not self.gains.is_complex() or self.gains.ndim < 2:
            raise SignalError(
                f"gains must be complex (..., time, path), got {self.gains.dtype} "
                f"{tuple(self.gains.shape)}"
            )
        if self.delays_s.shape != self.gains.shape[-1:] or self.delays_s.dtype != torch.float64:
            raise SignalError(
                f"delays_s must be float64 ({self.gains.shape[-1]},) like the paths of gains, got "
                f"{self.delays_s.dtype} {tuple(self.delays_s.shape)}"
            )
        if self.num_paths == 0 or self.num_steps == 0:
            raise SignalError("a response needs at least one time step and one path")
        # Elsewhere the answer would be waited for in each step of a training.
        on_host = self.delays_s.device.type == "cpu"
        if on_host and not bool(torch.isfinite(self.delays_s).all()):
            raise SignalError("delays_s holds NaN or infinity")
        if not (math.isfinite(self.interval_s) and self.interval_s > 0):
            raise SignalError(f"interval_s must be finite and positive, got {self.interval_s}")

    @property
    def num_paths(self) -> int:
        """Return the number of paths."""
        return int(self.gains.shape[-1])

    @property
    def num_steps(self) -> int:
        """Return the number of time steps."""
        return int(self.gains.shape[-2])

    @property
    def duration_s(self) -> float:
        """Return the time that the steps cover [s]."""
        return self.num_steps * self.interval_s

    def powers(self) -> Tensor:
        """Return the mean power of each path over all steps (and batch), (path,), float64."""
        power = self.gains.abs().double().square()
        return power.reshape(-1, self.num_paths).mean(dim=0)

    def power_delay_profile(self) -> tuple[Tensor, Tensor]:
        """Return (delays_s, powers), both (path,) float64, sorted by delay."""
        order = torch.argsort(self.delays_s, stable=True)
        return self.delays_s[order], self.powers()[order]

    def mean_delay_s(self) -> float:
        """Return the power-weighted mean delay [s]; NaN when there is no power."""
        powers = self.powers()
        return float((powers * self.delays_s).sum() / powers.sum())

    def rms_delay_spread_s(self) -> float:
        """Return the power-weighted standard deviation of the delay [s]; NaN without power."""
        powers = self.powers()
        weights = powers / powers.sum()
        mean = (weights * self.delays_s).sum()
        return float((weights * (self.delays_s - mean).square()).sum().sqrt())

    def frequency_response(self, frequencies_hz: Tensor) -> Tensor:
        """Return H(t, f) = sum_p gains[t, p] exp(-j 2 pi f tau_p), (..., time, frequency).

        Args:
            frequencies_hz: Baseband frequencies [Hz], (frequency,), on the device of the gains.

        Returns:
            The response, in the dtype of the gains; differentiable to them.
        """
        turns = frequencies_hz.double()[None, :] * self.delays_s[:, None].to(frequencies_hz.device)
        steering = torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)
        return self.gains @ steering.to(self.gains.dtype)

    def to(self, device: torch.device | str) -> "ImpulseResponse":
        """Return the response on `device`."""
        return ImpulseResponse(self.gains.to(device), self.delays_s.to(device), self.interval_s)
