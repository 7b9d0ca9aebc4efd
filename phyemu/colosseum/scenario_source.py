"""What a scenario is made from, as a user names it: links, and what the scenario says of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from phyemu.channel import load_channel
from phyemu.colosseum.limits import UPDATE_S
from phyemu.colosseum.link_paths import LinkPaths
from phyemu.colosseum.path_loss import PathLoss
from phyemu.colosseum.ray_tracing import read_ray_tracing
from phyemu.colosseum.sources import every_link, paths_of_model, paths_of_sounding
from phyemu.colosseum.trajectory import read_trajectory
from phyemu.colosseum.urban import UrbanStreet
from phyemu.errors import ConfigError
from phyemu.iq import open_recording
from phyemu.progress import ProgressCallback, no_progress

__all__ = [
    "ScenarioSource",
    "source_of_channel",
    "source_of_rays",
    "source_of_recording",
    "source_of_street",
    "source_of_trajectory",
]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ScenarioSource:
    """Physical paths of links, and what a scenario made from them is to say.

    Attributes:
        links: Paths of each (transmitter, receiver), nodes from 1.
        num_nodes: Number of nodes.
        description: A sentence on what it stands for.
        derivation: Where the paths come from.
        provenance: Seeds, sources, settings; JSON values.
        reciprocal: Whether a link given in one direction holds in both.
        repeats: Whether the scenario starts over at its end.
        coordinates: Positions, as in `Scenario`.
    """

    links: Mapping[tuple[int, int], LinkPaths]
    num_nodes: int
    description: str
    derivation: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reciprocal: bool = True
    repeats: bool = True
    coordinates: torch.Tensor | None = None


def source_of_channel(
    spec: str, *, path_loss_db: float, num_nodes: int, duration_s: float, seed: int
) -> ScenarioSource:
    """Return a realisation of a channel model for each two nodes.

    Args:
        spec: As `load_channel` takes it.
        path_loss_db: Mean path loss [dB].
        num_nodes: Nodes, >= 2.
        duration_s: Length [s].
        seed: Everything random comes from it and the nodes.

    Raises:
        ConfigError: No such channel, or a number out of range.
    """
    return ScenarioSource(
        links=_drawn(
            partial(paths_of_model, load_channel(spec)), path_loss_db, num_nodes, duration_s, seed
        ),
        num_nodes=num_nodes,
        description=f"The channel {spec}, {path_loss_db:g} dB path loss",
        derivation=f"A realisation of the channel {spec} for each link; mean path loss "
        f"{path_loss_db:g} dB.",
        provenance={"path_loss_db": path_loss_db, "seed": seed, "channel": spec},
    )


def source_of_street(
    *,
    line_of_sight: bool,
    frequency_hz: float,
    path_loss_db: float,
    num_nodes: int,
    duration_s: float,
    seed: int,
) -> ScenarioSource:
    """Return links of the urban street canyon (`UrbanStreet`); arguments as above.

    Args:
        line_of_sight: With or without.
        frequency_hz: Modelled carrier [Hz].
        path_loss_db: Mean path loss [dB].
        num_nodes: Nodes, >= 2.
        duration_s: Length [s].
        seed: Everything random comes from it and the nodes.

    Raises:
        ConfigError: A number out of range.
    """
    street = UrbanStreet(line_of_sight=line_of_sight, frequency_hz=frequency_hz)
    sight = "with" if line_of_sight else "without"
    return ScenarioSource(
        links=_drawn(street.draw, path_loss_db, num_nodes, duration_s, seed),
        num_nodes=num_nodes,
        description=f"Urban street canyon {sight} line of sight, {path_loss_db:g} dB path loss",
        derivation=f"3GPP TR 38.901 UMi street canyon {sight} line of sight at "
        f"{frequency_hz / 1e9:g} GHz, terminals at 3 km/h; clusters drawn by Sec. 7.5 steps 4 "
        f"and 5 with the parameters of Table 7.5-6, each fading with Jakes' spectrum; mean "
        f"path loss {path_loss_db:g} dB.",
        provenance={
            "path_loss_db": path_loss_db,
            "seed": seed,
            "urban": "los" if line_of_sight else "nlos",
            "model_frequency_hz": frequency_hz,
        },
    )


def _drawn(
    draw: Callable[..., LinkPaths],
    path_loss_db: float,
    num_nodes: int,
    duration_s: float,
    seed: int,
) -> dict[tuple[int, int], LinkPaths]:
    if not 0 <= path_loss_db <= 300:
        raise ConfigError(f"a path loss is a number of dB from 0 to 300, got {path_loss_db}")
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise ConfigError(f"duration_s must be positive, got {duration_s}")
    timed = partial(
        draw,
        path_loss_db=path_loss_db,
        num_steps=max(1, round(duration_s / UPDATE_S)),
        interval_s=UPDATE_S,
    )
    return every_link(num_nodes, lambda generator: timed(generator=generator), seed=seed)


def source_of_recording(
    path: Path, *, path_loss_db: float, progress: ProgressCallback = no_progress
) -> ScenarioSource:
    """Return the strongest link of a recording, sounded, between nodes 1 and 2.

    Args:
        path: The recording.
        path_loss_db: Mean path loss that it is given: recordings know none [dB].
        progress: Told of the sounding's stages.

    Raises:
        PhyemuError: As `sound_recording`.
    """
    # Whoever needs a scenario, or its twin, sounds nothing: it takes a second to import.
    from phyemu.sounding import sound_recording

    with open_recording(path) as recording:
        sounding = sound_recording(recording, progress=progress)[0]
    return ScenarioSource(
        links={(1, 2): paths_of_sounding(sounding, path_loss_db=path_loss_db)},
        num_nodes=2,
        description=f"As measured in {path.name}",
        derivation=f"Strongest link of {path.name}, {len(sounding.time_s)} soundings; its path "
        f"loss is set to {path_loss_db:g} dB.",
        provenance={"path_loss_db": path_loss_db, "recording": path.name},
    )


def source_of_rays(path: Path) -> ScenarioSource:
    """Return the paths of a ray tracer (`read_ray_tracing`).

    Raises:
        ScenarioError: The file is missing or damaged.
    """
    links, num_nodes = read_ray_tracing(path)
    return ScenarioSource(
        links=links,
        num_nodes=num_nodes,
        description=f"Ray-traced paths of {path.name}",
        derivation=f"Paths of {path.name}.",
        provenance={"paths": path.name},
        reciprocal=False,
    )


def source_of_trajectory(
    path: Path, *, path_loss: str, frequency_hz: float, duration_s: float | None = None
) -> ScenarioSource:
    """Return the direct paths between nodes that move (`read_trajectory`).

    Args:
        path: The positions.
        path_loss: A law, as `PathLoss.of_text` takes it.
        frequency_hz: Modelled carrier [Hz].
        duration_s: Length [s]; None: to the last position.

    Raises:
        ConfigError: No such law.
        ScenarioError: The file is missing or damaged.
    """
    law = PathLoss.of_text(path_loss)
    track = read_trajectory(path, interval_s=UPDATE_S, duration_s=duration_s)
    return ScenarioSource(
        links=track.links(law, frequency_hz=frequency_hz),
        num_nodes=track.num_nodes,
        description=f"Nodes that move as {path.name} says",
        derivation=f"Direct paths at {frequency_hz / 1e9:g} GHz with the path loss {path_loss}.",
        provenance={"trajectory": path.name, "model_frequency_hz": frequency_hz},
        repeats=False,
        coordinates=track.coordinates,
    )
