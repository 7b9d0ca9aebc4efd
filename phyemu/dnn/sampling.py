"""Gradients through decisions: Gumbel-softmax samples, hard choices."""

from enum import StrEnum

import torch
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = ["Estimator", "choose_symbols", "gumbel_softmax", "one_hot_argmax", "straight_through"]


class Estimator(StrEnum):
    """How the gradient comes through the choice of a symbol, and whether training samples it."""

    GUMBEL = "gumbel"
    """An exact sample of Eq. (2), as Algorithm 1 has it; what is deployed sends the likeliest."""

    STRAIGHT_THROUGH = "straight-through"
    """The likeliest symbol, as deployed: no noise of sampling, but a bias of the gradient."""


def choose_symbols(
    logits: Tensor, estimator: Estimator, *, temperature: float, generator: torch.Generator
) -> Tensor:
    """Return one-hot rows with a gradient, by the estimator.

    Args:
        logits: Unnormalised log probabilities, (..., M), floating point.
        estimator: Which.
        temperature: Softness of the gradient, > 0.
        generator: On the device of `logits`; advanced where the estimator samples.

    Raises:
        ConfigError: `temperature` is not positive.
    """
    if estimator is Estimator.STRAIGHT_THROUGH:
        return straight_through(logits, temperature=temperature)
    return gumbel_softmax(logits, temperature=temperature, generator=generator)


def straight_through(logits: Tensor, *, temperature: float) -> Tensor:
    """Return one_hot(argmax(l)), taken backward for softmax(l / temperature).

    Args:
        logits: Unnormalised log probabilities, (..., M), floating point.
        temperature: Softness of the gradient, > 0; it does not change the choice.

    Raises:
        ConfigError: `temperature` is not positive.
    """
    _check_temperature(temperature)
    return one_hot_argmax((logits / temperature).softmax(-1))


def gumbel_softmax(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """Return samples of a categorical distribution as one-hot rows with a useful gradient.

    z = one_hot(argmax(l + g)), g ~ Gumbel(0, 1), is an exact sample of softmax(l); backward, z is
    taken for softmax((l + g) / temperature), the straight-through estimator (paper reference [35],
    Jang et al., arXiv:1611.01144).

    Args:
        logits: Unnormalised log probabilities, (..., M), floating point.
        temperature: Softness of the gradient, > 0; it does not change the samples.
        generator: Source of g, on the device of `logits`; it is advanced.

    Returns:
        One-hot rows with the shape and dtype of `logits`; gradients flow to `logits`.

    Raises:
        ConfigError: `temperature` is not positive.
    """
    _check_temperature(temperature)
    uniform = torch.rand(
        logits.shape, generator=generator, dtype=logits.dtype, device=logits.device
    )
    # -log(-log(u)) of a uniform draw is a Gumbel draw; the clamp keeps a draw of 0 finite.
    noisy = logits - (-uniform.clamp_min(torch.finfo(logits.dtype).tiny).log()).log()
    soft = (noisy / temperature).softmax(-1)
    return one_hot_argmax(soft)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ConfigError(f"the temperature of the gradient must be positive, got {temperature}")


def one_hot_argmax(weights: Tensor) -> Tensor:
    """Return one-hot rows at the largest weight; backward, the identity (straight-through).

    Args:
        weights: (..., M), floating point.
    """
    if not torch.is_grad_enabled():
        return _one_hot(weights)  # an exported graph cannot hold a function of Python
    # As an exact sum 1 + w - w the forward value could miss one by a rounding error.
    rows: Tensor = _StraightThrough.apply(weights)  # type: ignore[no-untyped-call]
    return rows


def _one_hot(weights: Tensor) -> Tensor:
    classes = torch.arange(weights.shape[-1], device=weights.device)
    return (classes == weights.argmax(-1, keepdim=True)).to(weights.dtype)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, weights: Tensor) -> Tensor:
        """Return the one-hot rows."""
        del ctx
        return _one_hot(weights)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        """Return the gradient as it comes."""
        del ctx
        return gradients[0]
