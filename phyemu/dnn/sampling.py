"""Gradients through decisions: Gumbel-softmax samples, hard choices."""

from enum import StrEnum
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from phyemu.errors import ConfigError

from .categories import argmax_symbol, one_hot_like, softmax, uniform_like

__all__ = [
    "Estimator",
    "choose_symbols",
    "gumbel_softmax",
    "one_hot_argmax",
    "straight_through",
    "with_gradient_of",
]


class Estimator(StrEnum):
    """How the gradient comes through the choice of a symbol, and whether training samples it."""

    GUMBEL = "gumbel"
    """An exact sample of Eq. (2), as Algorithm 1 has it; what is deployed sends the likeliest."""

    STRAIGHT_THROUGH = "straight-through"
    """The likeliest symbol, as deployed: no noise of sampling, but a bias of the gradient."""

    COPY = "copy"
    """The likeliest symbol; what arrives hands its gradient to the slice that was sent, as if it
    were that slice (van den Oord et al., arXiv:1711.00937). Nothing of it passes through the link,
    and no softmax over M is needed."""


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
    if estimator is Estimator.COPY:
        with torch.no_grad():
            return one_hot_argmax(logits)
    if estimator is Estimator.STRAIGHT_THROUGH:
        return straight_through(logits, temperature=temperature)
    return gumbel_softmax(logits, temperature=temperature, generator=generator)


def with_gradient_of(received: Tensor, sent: Tensor) -> Tensor:
    """Return `received`, which backward counts as `sent` as well (`Estimator.COPY`).

    Args:
        received: Slices as the tail is given them.
        sent: Slices as the head made them, of the same shape.
    """
    copied: Tensor = _Copied.apply(received, sent)  # type: ignore[no-untyped-call]
    return copied


def straight_through(logits: Tensor, *, temperature: float) -> Tensor:
    """Return one_hot(argmax(l)), taken backward for softmax(l / temperature).

    Args:
        logits: Unnormalised log probabilities, (..., M), floating point.
        temperature: Softness of the gradient, > 0; it does not change the choice.

    Raises:
        ConfigError: `temperature` is not positive.
    """
    _check_temperature(temperature)
    rows: Tensor = _SoftChoice.apply(logits, None, temperature)  # type: ignore[no-untyped-call]
    return rows


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
    noise = uniform_like(logits, generator)
    # -log(-log(u)) of a uniform draw is a Gumbel draw (here without its minus); the clamp keeps a
    # draw of 0 finite.
    noise.clamp_min_(torch.finfo(logits.dtype).tiny).log_().neg_().log_()
    rows: Tensor = _SoftChoice.apply(logits, noise, temperature)  # type: ignore[no-untyped-call]
    return rows


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ConfigError(f"the temperature of the gradient must be positive, got {temperature}")


def one_hot_argmax(weights: Tensor) -> Tensor:
    """Return one-hot rows at the largest weight; backward, the identity (straight-through).

    Args:
        weights: (..., M), floating point.
    """
    if not torch.is_grad_enabled():
        return one_hot_like(
            weights, argmax_symbol(weights)
        )  # an exported graph cannot hold a function of Python
    # As an exact sum 1 + w - w the forward value could miss one by a rounding error.
    rows: Tensor = _StraightThrough.apply(weights)  # type: ignore[no-untyped-call]
    return rows


class _SoftChoice(torch.autograd.Function):
    """one_hot(argmax(l + g)), backward softmax((l + g) / temperature), which is only made there."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, logits: Tensor, noise: Tensor | None, temperature: float
    ) -> Tensor:
        """Return the one-hot rows of l - noise; its memory is taken over."""
        noisy = logits if noise is None else torch.sub(logits, noise, out=noise)
        ctx.save_for_backward(noisy)
        ctx.temperature = temperature  # type: ignore[attr-defined]
        return one_hot_like(noisy, argmax_symbol(noisy))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return s (g - sum s g) / temperature."""
        (noisy,) = ctx.saved_tensors
        soft = softmax(noisy if ctx.temperature == 1 else noisy / ctx.temperature)
        weighted = soft * gradients[0]
        gradient = weighted.addcmul_(soft, weighted.sum(-1, keepdim=True), value=-1)
        return gradient.div_(ctx.temperature) if ctx.temperature != 1 else gradient, None, None


class _Copied(torch.autograd.Function):
    """The first of two, exactly (r + s - s could miss it by a rounding error)."""

    @staticmethod
    def forward(ctx: Any, received: Tensor, sent: Tensor) -> Tensor:
        """Return what was received."""
        ctx.dtype = sent.dtype
        return received.view_as(received)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient twice."""
        return gradients[0], gradients[0].to(ctx.dtype)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, weights: Tensor) -> Tensor:
        """Return the one-hot rows."""
        del ctx
        return one_hot_like(weights, argmax_symbol(weights))

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        """Return the gradient as it comes."""
        del ctx
        return gradients[0]
