"""What changes in the course of training: learning rates, beta, temperature."""

import math

__all__ = ["beta_at", "cosine_ratio", "temperature_at", "warmup_cosine_ratio"]


def beta_at(beta: float, growth: float, progress: float) -> float:
    """Return the weight of the entropy: linear from `beta` to `growth * beta` (paper, Sec. IV-B).

    Args:
        beta: At the start.
        growth: Overall increase; 10 in the paper.
        progress: Share of all steps done, in [0, 1].

    >>> beta_at(1e-4, 10.0, 1.0)
    0.001
    """
    return beta * (1 + (growth - 1) * progress)


def temperature_at(start: float, final: float | None, progress: float) -> float:
    """Return the temperature of the gradient: geometric from `start` to `final`.

    Args:
        start: At the start, > 0.
        final: At the end, > 0; None: `start` all the time.
        progress: Share of all steps done, in [0, 1].

    >>> temperature_at(1.0, 0.25, 0.5)
    0.5
    """
    if final is None:
        return start
    return start * math.pow(final / start, progress)


def cosine_ratio(final_ratio: float, progress: float) -> float:
    """Return the learning rate over its start: a half cosine from 1 to `final_ratio`.

    >>> cosine_ratio(0.0, 0.5)
    0.5
    """
    return final_ratio + (1 - final_ratio) * (1 + math.cos(math.pi * progress)) / 2


def warmup_cosine_ratio(warmup_fraction: float, progress: float) -> float:
    """Return the learning rate over its peak: linear to 1, then a half cosine to 0.

    >>> warmup_cosine_ratio(0.25, 0.25)
    1.0
    """
    if progress < warmup_fraction:
        return progress / warmup_fraction
    return cosine_ratio(0.0, (progress - warmup_fraction) / (1 - warmup_fraction))
