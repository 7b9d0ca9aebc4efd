"""Links of a scenario from what phyemu has: channel models, measured responses, soundings."""

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ChannelModel, ImpulseResponse, draw_of
from phyemu.colosseum.limits import UPDATE_S
from phyemu.colosseum.link_paths import LinkPaths
from phyemu.errors import ScenarioError
from phyemu.units import db_to_amplitude

if TYPE_CHECKING:
    from phyemu.sounding import Sounding

__all__ = [
    "every_link",
    "paths_of_model",
    "paths_of_response",
    "paths_of_sounding",
]

# Only the draw of the SNR hangs on it, which a scenario does not hold.
_ANY_SYMBOL_RATE_HZ = 1e6


def every_link(
    num_nodes: int, draw: Callable[[np.random.Generator], LinkPaths], *, seed: int
) -> dict[tuple[int, int], LinkPaths]:
    """Return an independent draw for each two nodes, from the lower number to the higher.

    A link's draw hangs on the seed and its two nodes only, not on the number of nodes.
    """
    if num_nodes < 2:
        raise ScenarioError(f"a scenario needs at least 2 nodes, got {num_nodes}")
    return {
        pair: draw(np.random.default_rng([seed, *pair]))
        for pair in itertools.combinations(range(1, num_nodes + 1), 2)
    }


def paths_of_model(
    model: ChannelModel,
    *,
    path_loss_db: float,
    num_steps: int,
    interval_s: float,
    generator: np.random.Generator,
) -> LinkPaths:
    """Return a realisation of a channel model; its earliest path has delay 0.

    Args:
        model: Mean path powers sum to one; its noise and its front end are not the emulator's.
        path_loss_db: Mean path loss [dB].
        num_steps: Steps.
        interval_s: Time between two steps [s].
        generator: Source of the realisation; it advances.
    """
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**62)))
    realisation = model.realise(symbol_rate_hz=_ANY_SYMBOL_RATE_HZ, generator=torch_generator)
    drawn = draw_of(realisation, num_steps=num_steps, interval_s=interval_s).response
    response = ImpulseResponse(drawn.gains[0], drawn.delays_s, interval_s)
    return LinkPaths.of_response(response, gain=db_to_amplitude(-path_loss_db)).from_delay(0.0)


def paths_of_response(response: ImpulseResponse, *, path_loss_db: float) -> LinkPaths:
    """Return measured responses with a mean path loss of `path_loss_db`, the earliest path at 0.

    Their interval becomes the nearest multiple of 1 ms that is not shorter; between two steps the
    last response is held, because independent oscillators leave nothing to interpolate.
    """
    times_s = np.arange(response.num_steps, dtype=np.float64) * response.interval_s
    return _held(response, times_s, response.interval_s, path_loss_db)


def paths_of_sounding(sounding: "Sounding", *, path_loss_db: float) -> LinkPaths:
    """Return a sounded link as `paths_of_response`, its frames at the times of their reception."""
    times_s = sounding.time_s - sounding.time_s[0]
    spacing_s = float(np.median(np.diff(times_s))) if times_s.size > 1 else UPDATE_S
    return _held(sounding.paths, times_s, spacing_s, path_loss_db)


def _held(
    response: ImpulseResponse,
    times_s: NDArray[np.float64],
    spacing_s: float,
    path_loss_db: float,
) -> LinkPaths:
    interval_s = UPDATE_S * max(1, math.ceil(spacing_s / UPDATE_S - 1e-9))
    num_steps = math.floor(float(times_s[-1]) / interval_s + 1e-9) + 1
    steps_s = np.arange(num_steps) * interval_s
    latest = np.searchsorted(times_s, steps_s + 1e-9, side="right") - 1
    power = float(response.powers().sum())
    if not power > 0:
        raise ScenarioError("the measured responses have no power")
    gain = db_to_amplitude(-path_loss_db) / math.sqrt(power)
    held = ImpulseResponse(response.gains[latest], response.delays_s, interval_s)
    return LinkPaths.of_response(held, gain=gain).from_delay(0.0)
