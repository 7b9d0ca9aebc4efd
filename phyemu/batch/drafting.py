"""Jobs before they have files: which node has which task and which image."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from phyemu.batch.job_scenario import JobScenario, listeners, sounding_transmitters
from phyemu.batch.plan import Plan
from phyemu.colosseum import Scenario
from phyemu.errors import ConfigError
from phyemu.node.radio_conf import RadioConf, Role, TransmitSection

__all__ = [
    "ImageChoice",
    "JobDraft",
    "MadeBatch",
    "WriteContent",
    "contents_by_role",
    "transmit_section",
    "transmitter_drafts",
]

WriteContent = Callable[[Path], object]
"""Writes what an image must hold under /root/phyemu into a folder that is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageChoice:
    """Which image runs on which node.

    Attributes:
        default: On nodes that are not named; None: every node must be.
        by_node: On those that are.
    """

    default: str | None = None
    by_node: Mapping[int, str] = field(default_factory=dict)

    def of(self, place: JobScenario) -> dict[int, str]:
        """Return the image of every node of a scenario.

        Raises:
            ConfigError: A node has none, or the scenario lacks one that is named.
        """
        place.check_nodes(self.by_node, "images")
        images = {}
        for node in range(1, place.scenario.num_nodes + 1):
            image = self.by_node.get(node, self.default)
            if image is None:
                raise ConfigError(
                    f"node {node} of {place.name} has no image; give --image NAME for all nodes "
                    f"without one, or --image {node}=NAME"
                )
            images[node] = image
        return images


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JobDraft:
    """A job before it has files.

    Attributes:
        name: BatchName, also of its files.
        place: The scenario.
        settings: Settings by node, for those with a task; the others are idle. Job and radio are
            filled in when they are written.
        images: Image of every node.
    """

    name: str
    place: JobScenario
    settings: Mapping[int, RadioConf]
    images: Mapping[int, str]

    @property
    def transmitters(self) -> tuple[int, ...]:
        """Return the nodes that transmit."""
        return tuple(n for n, conf in sorted(self.settings.items()) if conf.role.transmits)

    @property
    def receivers(self) -> tuple[int, ...]:
        """Return the nodes that listen."""
        return tuple(n for n, conf in sorted(self.settings.items()) if not conf.role.transmits)


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeBatch:
    """A batch that was written.

    Attributes:
        plan: What is in it.
        warnings: What will probably not give what was meant, a line each.
    """

    plan: Plan
    warnings: tuple[str, ...]


def transmitter_drafts(
    name: str,
    places: Sequence[JobScenario],
    images: ImageChoice,
    transmitters: Sequence[int],
    listening: RadioConf,
) -> list[JobDraft]:
    """Return a job for each node that transmits in each scenario, heard by all that can.

    Args:
        name: Begins the names of the jobs.
        places: The scenarios.
        images: Of the nodes.
        transmitters: One in each job; none: those that `sounding_transmitters` finds.
        listening: Settings of the nodes that hear it.

    Raises:
        ConfigError: A node is missing, is there twice, or nobody hears it.
    """
    if len(set(transmitters)) < len(transmitters):
        raise ConfigError(f"a transmitter is there twice: {list(transmitters)}")
    drafts = []
    for place in places:
        place.check_nodes(transmitters, "transmitters")
        for node in transmitters or sounding_transmitters(place.scenario):
            heard_by = listeners(place.scenario, node)
            if not heard_by:
                raise ConfigError(f"{place.name} has no link from node {node}; nobody hears it")
            drafts.append(
                JobDraft(
                    name=f"{name}-{place.name}-tx{node}",
                    place=place,
                    settings={
                        node: RadioConf(
                            role=Role.TRANSMIT,
                            transmit=transmit_section(place.scenario, node, heard_by),
                        ),
                        **dict.fromkeys(heard_by, listening),
                    },
                    images=images.of(place),
                )
            )
    return drafts


def transmit_section(
    scenario: Scenario, transmitter: int, receivers: Sequence[int]
) -> TransmitSection:
    """Return how strongly the only transmitter of a job sends.

    The taps of a link may sum to more than 0 dB; by as much as the strongest ever does, the peak is
    below the usual one, which leaves a receiver the 3 dB that turned I and Q may need.
    """
    section = TransmitSection()
    sums = [float(scenario.links[transmitter, rx].gains.abs().sum(-1).max()) for rx in receivers]
    largest = max(sums, default=0.0)
    if not largest > 1.0:
        return section
    excess_db = math.ceil(2000 * math.log10(largest)) / 100
    return replace(section, peak_dbfs=round(section.peak_dbfs - excess_db, 2))


def contents_by_role(
    drafts: Sequence[JobDraft], roles: Sequence[Role], write: WriteContent
) -> dict[str, WriteContent]:
    """Return the same content for every image that runs on a node with one of the roles."""
    return {
        draft.images[node]: write
        for draft in drafts
        for node, conf in draft.settings.items()
        if conf.role in roles
    }
