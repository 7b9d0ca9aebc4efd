"""Wiener phase noise: what its two implementations must have in common."""

import math

from phyemu.errors import ConfigError

__all__ = ["PHASE_KNOT_SAMPLES", "PHASE_STREAM", "phase_step_turns"]

# Samples between two knots of the carrier phase; the phase moves on a straight line between them.
PHASE_KNOT_SAMPLES = 16
# The stream of the counter-based generator that its normals come from.
PHASE_STREAM = 102


def phase_step_turns(linewidth_hz: float, sample_rate_hz: float) -> float:
    """Return the standard deviation of the phase walk over one knot interval [turns].

    Wiener phase noise of linewidth L has var(phi(t + T) - phi(t)) = 2 pi L T rad^2.
    """
    if not (math.isfinite(linewidth_hz) and linewidth_hz >= 0):
        raise ConfigError(f"linewidth_hz must be >= 0, got {linewidth_hz}")
    seconds = PHASE_KNOT_SAMPLES / sample_rate_hz
    return math.sqrt(2 * math.pi * linewidth_hz * seconds) / (2 * math.pi)
