"""How one scalar of a channel (an SNR, a CFO) is distributed from draw to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = ["Distribution"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """A scalar random quantity: normal and cut at its ends, or given by empirical quantiles.

    Attributes:
        mean: Mean, in the unit of the quantity.
        std: Standard deviation, >= 0; 0 is a constant.
        minimum: No draw lies below.
        maximum: No draw lies above.
        quantiles: When not empty: values of the quantile function at equidistant probabilities
            0 ... 1 (at least two, ascending); draws then follow them, linearly interpolated, and
            `mean` and `std` only describe them.

    >>> Distribution.uniform(2.0, 4.0).mean
    3.0
    """

    mean: float
    std: float = 0.0
    minimum: float = -math.inf
    maximum: float = math.inf
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        if math.isnan(self.mean) or not (math.isfinite(self.std) and self.std >= 0):
            raise ConfigError(
                f"distribution needs a mean and std >= 0, got {self.mean}, {self.std}"
            )
        if self.std > 0 and math.isinf(self.mean):
            raise ConfigError(f"distribution with infinite mean needs std 0, got {self.std}")
        if not self.minimum <= self.maximum:
            raise ConfigError(f"distribution ends contradict: {self.minimum} > {self.maximum}")
        if self.quantiles:
            ascending = all(
                a <= b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)
            )
            finite = all(math.isfinite(value) for value in self.quantiles)
            if len(self.quantiles) < 2 or not ascending or not finite:
                raise ConfigError("quantiles must be at least two finite, ascending values")

    @classmethod
    def constant(cls, value: float) -> "Distribution":
        """Return the distribution that always draws `value`."""
        return cls(mean=value)

    @classmethod
    def normal(cls, mean: float, std: float) -> "Distribution":
        """Return a normal distribution."""
        return cls(mean=mean, std=std)

    @classmethod
    def uniform(cls, minimum: float, maximum: float) -> "Distribution":
        """Return the uniform distribution over [minimum, maximum]."""
        return cls(
            mean=(minimum + maximum) / 2,
            std=(maximum - minimum) / math.sqrt(12),
            minimum=minimum,
            maximum=maximum,
            quantiles=(minimum, maximum),
        )

    @classmethod
    def of(cls, samples: Sequence[float] | Tensor, *, num_quantiles: int = 33) -> "Distribution":
        """Return the empirical distribution of `samples` (NaN left out).

        Args:
            samples: Measured values, at least one of them finite.
            num_quantiles: Points kept of the quantile function, >= 2.

        Raises:
            ConfigError: No finite sample, or too few quantiles.
        """
        values = torch.as_tensor(samples, dtype=torch.float64).flatten().cpu()
        values = values[torch.isfinite(values)]
        if values.numel() == 0 or num_quantiles < 2:
            raise ConfigError(f"need finite samples and >= 2 quantiles, got {num_quantiles=}")
        levels = torch.linspace(0, 1, num_quantiles, dtype=torch.float64)
        quantiles = torch.quantile(values, levels).tolist()
        return cls(
            mean=float(values.mean()),
            std=float(values.std(correction=0)),
            minimum=quantiles[0],
            maximum=quantiles[-1],
            quantiles=() if quantiles[0] == quantiles[-1] else tuple(quantiles),
        )

    @property
    def is_constant(self) -> bool:
        """Return whether every draw is the same."""
        return self.std == 0 and not self.quantiles

    def draw(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Return `count` independent draws, (count,), float64, on the generator's device.

        The generator advances by the same amount whatever the parameters are, so that changing
        one quantity of a model leaves the draws of the others alone.
        """
        device = generator.device
        uniform = torch.rand(count, generator=generator, dtype=torch.float64, device=device)
        if self.quantiles:
            table = torch.tensor(self.quantiles, dtype=torch.float64, device=device)
            position = uniform * (len(self.quantiles) - 1)
            left = position.floor().long().clamp(max=len(self.quantiles) - 2)
            values = torch.lerp(table[left], table[left + 1], position - left)
        elif self.std > 0:
            # Phi^-1 of a uniform; clamped so that 0 does not become -infinity.
            values = self.mean + self.std * torch.special.ndtri(uniform.clamp(1e-16, 1 - 1e-16))
        else:
            values = torch.full_like(uniform, self.mean)
        return values.clamp(self.minimum, self.maximum)

    def shifted(self, offset: float) -> "Distribution":
        """Return the distribution of the quantity plus `offset`."""
        return Distribution(
            mean=self.mean + offset,
            std=self.std,
            minimum=self.minimum + offset,
            maximum=self.maximum + offset,
            quantiles=tuple(value + offset for value in self.quantiles),
        )

    def scaled(self, factor: float) -> "Distribution":
        """Return the distribution of `factor` (>= 0) times the quantity."""
        return Distribution(
            mean=factor * self.mean,
            std=factor * self.std,
            minimum=factor * self.minimum if math.isfinite(self.minimum) else self.minimum,
            maximum=factor * self.maximum if math.isfinite(self.maximum) else self.maximum,
            quantiles=tuple(factor * value for value in self.quantiles),
        )

    def widened(self, factor: float) -> "Distribution":
        """Return the distribution with deviations from the mean `factor` (>= 0) times as large."""
        if math.isinf(self.mean):
            return self
        return self.shifted(-self.mean).scaled(factor).shifted(self.mean)
