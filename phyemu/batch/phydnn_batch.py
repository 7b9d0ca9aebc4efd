"""Batches that send a run's test images through scenarios: head on one node, tail on others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from phyemu.batch.drafting import (
    ImageChoice,
    JobDraft,
    MadeBatch,
    WriteContent,
    transmit_section,
)
from phyemu.batch.job_scenario import JobScenario, listeners
from phyemu.batch.plan import PlanKind
from phyemu.batch.writing import BatchSettings, write_batch
from phyemu.errors import ConfigError
from phyemu.evaluation import ExportedPhyDnn, load_exported, run_test_images
from phyemu.node.content import write_head_content, write_tail_content
from phyemu.node.radio_conf import PhyDnnSection, RadioConf, Role
from phyemu.waveform import split_payload

__all__ = ["PhyDnnChoice", "phydnn_batch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhyDnnChoice:
    """A PhyDNN and the nodes that it runs on.

    Attributes:
        run: Run folder with head and tail.
        transmitter: Node with the head.
        receivers: Nodes with the tail.
        head_image: On the transmitter.
        tail_image: On all other nodes.
        order: M, where the run holds several; None: the smallest.
        max_images: At most so many test images; None: all.

    Raises:
        ConfigError: The receivers are none, the transmitter, or one is there twice.
    """

    run: Path
    transmitter: int
    receivers: tuple[int, ...]
    head_image: str
    tail_image: str
    order: int | None = None
    max_images: int | None = None

    def __post_init__(self) -> None:
        """Check the nodes."""
        receivers = list(self.receivers)
        if not receivers or self.transmitter in receivers or len(set(receivers)) < len(receivers):
            raise ConfigError(
                f"receivers must be nodes other than the transmitter {self.transmitter}, each "
                f"once, got {receivers}"
            )

    def contents(self, folder: str) -> dict[str, WriteContent]:
        """Return what either image must hold.

        Args:
            folder: Of the PhyDNN, within the content.
        """
        found: dict[str, WriteContent] = {
            self.tail_image: partial(self._write, name=folder, head=False, tail=True)
        }
        found[self.head_image] = partial(
            self._write, name=folder, head=True, tail=self.head_image == self.tail_image
        )
        return found

    def _write(self, folder: Path, *, name: str, head: bool, tail: bool) -> None:
        place = folder / name
        if head:
            write_head_content(self.run, place, order=self.order, max_images=self.max_images)
        if tail:
            write_tail_content(self.run, place, order=self.order, max_images=self.max_images)


def phydnn_batch(
    folder: Path,
    places: Sequence[JobScenario],
    choice: PhyDnnChoice,
    settings: BatchSettings,
    *,
    force: bool = False,
) -> MadeBatch:
    """Write a batch with one job for each scenario; radios run at the rate of the run's frames.

    Args:
        folder: To make.
        places: The scenarios.
        choice: PhyDNN and nodes.
        settings: What the jobs share.
        force: Replace a batch that is there.

    Raises:
        ConfigError: A setting is out of range, a node or link is missing, or the folder is there.
        CheckpointError: The run holds no export.
        DatasetError: Its test images cannot be read.
    """
    phydnn = load_exported(choice.run, order=choice.order)
    rate_hz = phydnn.frame_format.sample_rate_hz
    settings = replace(settings, radio=replace(settings.radio, sample_rate_hz=rate_hz))
    drafts = [_draft(place, choice, settings.name or "phydnn") for place in places]
    num_images = len(run_test_images(choice.run, phydnn))
    num_images = min(num_images, choice.max_images or num_images)
    pass_s = _pass_s(phydnn, num_images)
    plan = write_batch(
        folder,
        PlanKind.PHYDNN,
        drafts,
        settings,
        choice.contents(PhyDnnSection().folder),
        num_images=num_images,
        order=phydnn.messages_per_position,
        pass_s=pass_s,
        force=force,
    )
    warnings: tuple[str, ...] = ()
    if settings.duration_s < pass_s:
        warnings = (
            f"a duration of {settings.duration_s} s is shorter than one pass of {num_images} "
            f"images ({pass_s:.3g} s): not all will be sent",
        )
    return MadeBatch(plan=plan, warnings=warnings)


def _draft(place: JobScenario, choice: PhyDnnChoice, name: str) -> JobDraft:
    place.check_nodes((choice.transmitter, *choice.receivers), "transmitter and receivers")
    heard_by = listeners(place.scenario, choice.transmitter)
    for node in choice.receivers:
        if node not in heard_by:
            raise ConfigError(f"{place.name} has no link {choice.transmitter}>{node}")
    receiving = RadioConf(role=Role.PHYDNN_RECEIVE)
    images = ImageChoice(default=choice.tail_image, by_node={choice.transmitter: choice.head_image})
    return JobDraft(
        name=f"{name}-{place.name}",
        place=place,
        settings={
            choice.transmitter: RadioConf(
                role=Role.PHYDNN_TRANSMIT,
                transmit=transmit_section(place.scenario, choice.transmitter, choice.receivers),
            ),
            **dict.fromkeys(choice.receivers, receiving),
        },
        images=images.of(place),
    )


def _pass_s(phydnn: ExportedPhyDnn, num_images: int) -> float:
    """Return the time that the frames of all images take, without the silence between them [s]."""
    frame_format = phydnn.frame_format
    payloads = split_payload(num_images * phydnn.symbols_per_image, frame_format)
    samples = sum(frame_format.frame_samples(payload) for payload in payloads)
    return samples / frame_format.sample_rate_hz
