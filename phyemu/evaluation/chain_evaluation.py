"""Accuracy and symbol errors of a network on several devices, over one channel a hop."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.channel import ChannelModel
from phyemu.datasets import ImageSet, ordered_batches
from phyemu.dnn import Link, Lookup, evaluating
from phyemu.errors import ConfigError
from phyemu.link import Fidelity, build_link
from phyemu.progress import ProgressCallback, no_progress
from phyemu.receiver import assemble
from phyemu.waveform import split_payload
from phyemu.waveform.sent_frames import SentFrames

from .air_bytes import bytes_on_air
from .exported_chain import ExportedChain
from .frame_channel import frames_through, mean_snr_db
from .link_evaluation import EvaluationFidelity

__all__ = ["ChainEvaluation", "HopEvaluation", "evaluate_chain"]

_BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class HopEvaluation:
    """What became of the symbols of one hop.

    Attributes:
        channel: Name of the channel.
        symbols_per_image: Sent for each image.
        ser: Share received wrongly, in [0, 1]; erased ones count as wrong.
        frames_sent: Frames on the air; 0 where the fidelity has none.
        frames_lost: Frames of which nothing was received.
        bytes_on_air_per_batch_of_64: Payload and overhead of 64 images.
        snr_db: Mean SNR of the channel [dB]; with frames, as the receiver estimated it.
    """

    channel: str
    symbols_per_image: int
    ser: float
    frames_sent: int
    frames_lost: int
    bytes_on_air_per_batch_of_64: float
    snr_db: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainEvaluation:
    """How a network on several devices did.

    Attributes:
        fidelity: As in `EvaluationFidelity`.
        num_images: Images scored.
        accuracy: Share whose class was found, in percent.
        hops: From the device to the server.
    """

    fidelity: str
    num_images: int
    accuracy: float
    hops: tuple[HopEvaluation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def evaluate_chain(
    chain: ExportedChain,
    channels: Sequence[ChannelModel],
    images: ImageSet,
    *,
    fidelity: EvaluationFidelity,
    seed: int,
    lookup: Lookup | None = None,
    repetitions: int = 1,
    progress: ProgressCallback = no_progress,
) -> ChainEvaluation:
    """Return how exported parts do, each hop over a channel of its own.

    A relay is given nothing but what it received; frames that are lost on one hop reach the next
    device as mean embeddings, and it sends on what it makes of them.

    Args:
        chain: Head, relays and tail as deployed.
        channels: One a hop, from the device to the server.
        images: What is classified.
        fidelity: What stands between the parts.
        seed: Of channels and noise; the same seed gives the same result.
        lookup: Hard or soft; None: as in training.
        repetitions: Passes over the images, each through new channels, >= 1.
        progress: Told of the images done.

    Raises:
        ConfigError: There are no images, `repetitions` is below 1, or not one channel a hop.
    """
    if not len(images) or repetitions < 1:
        raise ConfigError(f"there is nothing to evaluate: {len(images)} images, {repetitions=}")
    if len(channels) != chain.num_hops:
        raise ConfigError(f"{chain.num_hops} hops need as many channels, got {len(channels)}")
    generator = torch.Generator().manual_seed(seed)
    hops = [
        _Hop(channel, waveform, sender.symbols_per_image, fidelity)
        for channel, waveform, sender in zip(
            channels, chain.waveforms, chain.senders(), strict=True
        )
    ]
    correct, done, total = 0, 0, len(images) * repetitions
    with evaluating(nn.ModuleList([chain.head, *chain.relays, chain.tail])):
        for _ in range(repetitions):
            for batch in ordered_batches(images, _BATCH):
                symbols = chain.head(batch.images)
                for hop, relay in zip(hops, (*chain.relays, None), strict=True):
                    posteriors = hop.carry(symbols, generator)
                    if relay is not None:
                        symbols = relay(posteriors, lookup)
                logits = chain.tail(posteriors, lookup)
                correct += int((logits.argmax(-1) == batch.labels).sum())
                done += len(batch.labels)
                progress("evaluate", done, total, "//".join(model.name for model in channels))
    return ChainEvaluation(
        fidelity=fidelity,
        num_images=total,
        accuracy=100 * correct / total,
        hops=tuple(hop.result(seed) for hop in hops),
    )


@dataclass(slots=True)
class _Hop:
    """One link, and what it has carried so far."""

    channel: ChannelModel
    waveform: SentFrames
    symbols_per_image: int
    fidelity: EvaluationFidelity
    num_symbols: int = 0
    num_right: int = 0
    frames_sent: int = 0
    frames_lost: int = 0
    levels_db: list[float] = field(default_factory=list)
    link: Link | None = None

    def __post_init__(self) -> None:
        if self.fidelity is not EvaluationFidelity.FRAMES:
            self.link = build_link(
                self.channel,
                self.waveform.constellation,
                self.waveform.frame_format,
                fidelity=Fidelity(self.fidelity),
            )

    def carry(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """Return the posteriors of symbols (batch, symbols_per_image)."""
        if self.link is None:
            return self._carry_frames(symbols, generator)
        order = self.waveform.constellation.order
        posteriors = self.link(functional.one_hot(symbols, order).float(), generator)
        self.num_symbols += symbols.numel()
        self.num_right += int((posteriors.argmax(-1) == symbols).sum())
        return posteriors

    def _carry_frames(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        waveform = self.waveform
        plan = split_payload(symbols.numel(), waveform.frame_format)
        frames = frames_through(
            symbols.flatten(),
            plan,
            self.channel,
            constellation=waveform.constellation,
            frame_format=waveform.frame_format,
            generator=generator,
        )
        reception = assemble(frames, tuple(plan), order=waveform.constellation.order)
        posteriors = torch.from_numpy(reception.posteriors).view(*symbols.shape, -1)
        right = (posteriors.argmax(-1) == symbols).flatten().numpy() & reception.received
        self.num_symbols += symbols.numel()
        self.num_right += int(right.sum())
        self.frames_sent += reception.frames_sent
        self.frames_lost += reception.frames_lost
        self.levels_db += [frame.snr_db for frame in frames if frame.frame_index is not None]
        return posteriors

    def result(self, seed: int) -> HopEvaluation:
        """Return what the hop came to."""
        if self.link is not None:
            snr_db = mean_snr_db(self.channel, self.waveform.frame_format, seed)
        else:
            levels = self.levels_db
            snr_db = sum(levels) / len(levels) if levels else float("nan")
        on_air = bytes_on_air(
            num_images=64,
            symbols_per_image=self.symbols_per_image,
            order=self.waveform.constellation.order,
            frame_format=self.waveform.frame_format,
        )
        return HopEvaluation(
            channel=self.channel.name,
            symbols_per_image=self.symbols_per_image,
            ser=1 - self.num_right / self.num_symbols,
            frames_sent=self.frames_sent,
            frames_lost=self.frames_lost,
            bytes_on_air_per_batch_of_64=on_air.total,
            snr_db=snr_db,
        )
