"""A system that a comparison has a row for: what runs where, what is sent, how well it does."""

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.channel import ChannelModel
from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup, evaluating
from phyemu.errors import ConfigError
from phyemu.evaluation import EvaluationFidelity, ExportedPhyDnn, evaluate_phydnn
from phyemu.progress import ProgressCallback, no_progress
from phyemu.training import score_images
from phyemu.waveform import Constellation, FrameFormat

__all__ = ["System", "SystemName", "Transport", "network_system", "phy_system"]


class SystemName(StrEnum):
    """The systems of the paper, Sec. IV-B, named as there, and the two without a split."""

    SPLIT_COMPUTING = "SC"
    BOTTLEFIT_1 = "BF-1"
    BOTTLEFIT_2 = "BF-2"
    DT_JSCC = "DT-JSCC"
    EDGE_ONLY = "edge-only"
    DEVICE_ONLY = "device-only"
    PHYDNN = "PhyDNN"


class Transport(StrEnum):
    """How what the device computes reaches the server."""

    NONE = "none"
    """Nothing is sent."""

    FULL_STACK = "full-stack"
    """Bytes through a protocol stack that delivers them intact: late, never wrong."""

    PHY = "phy"
    """Symbols as frames, without repetition: in time, with errors."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class System:
    """One row of a comparison.

    Attributes:
        name: Which one.
        transport: How it sends.
        image_shape: (channels, height, width) of an image.
        head: On the device, uint8 images (batch, channels, height, width) to what is sent: float32
            features, symbols (PHY), or logits where nothing is sent; None: the images themselves
            are sent.
        tail: On the server, what arrives to logits (batch, num_classes): features, posteriors
            (PHY), or uint8 images; None: nothing runs there.
        payload_bytes_per_image: What is sent for an image without any overhead; a symbol counts
            log2(M) / 8 bytes.
        phydnn: Both sides as `phyemu.evaluation` takes them; PHY only, else None.
        lookup: How posteriors become embeddings; PHY only.
    """

    name: SystemName
    transport: Transport
    image_shape: tuple[int, int, int]
    head: nn.Module | None
    tail: nn.Module | None
    payload_bytes_per_image: float
    phydnn: ExportedPhyDnn | None = None
    lookup: Lookup = Lookup.HARD

    @property
    def symbols_per_image(self) -> int | None:
        """Channel symbols of an image; None where none are sent."""
        return None if self.phydnn is None else self.phydnn.symbols_per_image

    @property
    def constellation(self) -> Constellation | None:
        """Point m is sent for symbol m; None where no symbols are sent."""
        return None if self.phydnn is None else self.phydnn.constellation

    @property
    def frame_format(self) -> FrameFormat | None:
        """Frames on the air; None where no symbols are sent."""
        return None if self.phydnn is None else self.phydnn.frame_format

    def logits(self, images: Tensor) -> Tensor:
        """Return logits (batch, num_classes) where everything arrives as it was sent.

        Args:
            images: uint8, (batch, channels, height, width), on the device of the system.
        """
        sent = images if self.head is None else self.head(images)
        if self.phydnn is not None:
            sent = functional.one_hot(sent, self.phydnn.order).float()
            logits: Tensor = self.phydnn.tail(sent, self.lookup)
            return logits
        return sent if self.tail is None else self.tail(sent)

    def accuracy(
        self,
        images: ImageSet,
        channel: ChannelModel | None,
        seed: int,
        *,
        fidelity: EvaluationFidelity = EvaluationFidelity.FRAMES,
        repetitions: int = 1,
        progress: ProgressCallback = no_progress,
    ) -> float:
        """Return the share of images whose class is found, in percent.

        What goes through a protocol stack arrives intact or not at all, so a channel makes it
        late and changes nothing here. What is sent as symbols goes through the same frames,
        channel and receiver for every system (`phyemu.evaluation.evaluate_phydnn`, which also
        tells of symbol errors and lost frames).

        Args:
            images: What is classified, on the device of the system.
            channel: Between device and server; None: everything arrives as it was sent.
            seed: Of channel and noise; the same seed gives the same result.
            fidelity: What stands between head and tail; PHY only.
            repetitions: Passes over the images, each through new channels, >= 1; PHY only.
            progress: Told of the frames sent.

        Raises:
            DatasetError: There are no images.
        """
        if channel is None or self.phydnn is None:
            both = nn.ModuleList([part for part in (self.head, self.tail) if part is not None])
            return score_images(self.logits, both, images).accuracy
        return evaluate_phydnn(
            self.phydnn,
            channel,
            images,
            fidelity=fidelity,
            seed=seed,
            lookup=self.lookup,
            repetitions=repetitions,
            progress=progress,
        ).accuracy


def network_system(
    name: SystemName,
    head: nn.Module | None,
    tail: nn.Module | None,
    *,
    image_shape: tuple[int, int, int],
) -> System:
    """Return a system that sends bytes, or nothing where it has no tail.

    Args:
        name: Which one.
        head: uint8 images to features (to logits where there is no tail); None: the images are
            sent, one byte a pixel and channel.
        tail: What arrives to logits.
        image_shape: (channels, height, width).

    Raises:
        ConfigError: Neither head nor tail is given.
    """
    if head is None and tail is None:
        raise ConfigError(f"{name}: a system needs a head, a tail or both")
    if tail is None:
        transport, payload = Transport.NONE, 0
    else:
        transport, payload = Transport.FULL_STACK, _bytes_sent(head, tail, image_shape)
    return System(
        name=name,
        transport=transport,
        image_shape=image_shape,
        head=None if head is None else head.eval(),
        tail=None if tail is None else tail.eval(),
        payload_bytes_per_image=float(payload),
    )


def phy_system(name: SystemName, phydnn: ExportedPhyDnn, lookup: Lookup = Lookup.HARD) -> System:
    """Return a system that sends symbols.

    Args:
        name: Which one.
        phydnn: Head and tail as deployed.
        lookup: How posteriors become embeddings.
    """
    channels, height, width = phydnn.tail.card.image_shape
    return System(
        name=name,
        transport=Transport.PHY,
        image_shape=(channels, height, width),
        head=phydnn.head,
        tail=phydnn.tail,
        payload_bytes_per_image=phydnn.symbols_per_image * math.log2(phydnn.order) / 8,
        phydnn=phydnn,
        lookup=lookup,
    )


def _bytes_sent(head: nn.Module | None, tail: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return the bytes of what an image becomes: counted on one, not computed from shapes."""
    device = next(tail.parameters(), torch.empty(0)).device
    sent = torch.zeros((1, *image_shape), dtype=torch.uint8, device=device)
    if head is not None:
        with evaluating(head):
            sent = head(sent)
    return sent.numel() * sent.element_size()
