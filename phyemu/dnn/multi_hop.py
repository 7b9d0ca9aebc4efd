"""A network on more than two devices: several cuts, a link behind each (paper, Sec. III-C).

    head -> embedding 1 -> link 1 -> segment 1 -> embedding 2 -> link 2 -> ... -> tail

Each pair of embedding layers is a variational encoder and decoder with a channel between them. The
binding path leaves all of them out at once: head, segments and tail are the original network.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from phyemu.errors import ConfigError

from .embedding import Embedding, Lookup, Score
from .link import Link
from .modes import evaluating, untracked_batch_norm
from .normalise import Normalise
from .phydnn import PhyDnn, memory_format
from .sampling import Estimator, choose_symbols, one_hot_argmax, with_gradient_of
from .slices import SliceLayout, from_slices, to_slices
from .split import cut, keep_input

__all__ = ["HopOutput", "MultiHopOutput", "MultiHopPhyDnn"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class HopOutput:
    """What one training step computes at one hop.

    Attributes:
        log_probabilities: log p(z_i = m | what arrived here), (rows, num_slices, M), float32; rows
            are the images at the first hop, and each sample of each image behind it.
        slices: What was embedded, (rows, num_slices, D).
        arrived: What the next segment was given, (num_samples * batch, ...), as the features there.
    """

    log_probabilities: Tensor
    slices: Tensor
    arrived: Tensor


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MultiHopOutput:
    """What one training step computes.

    Attributes:
        logits: Through all links, (num_samples, batch, num_classes), float32.
        binding_logits: Through none, of the first images, (num_binding, num_classes), float32; None
            when not asked for.
        hops: In the order of the data.
    """

    logits: Tensor
    binding_logits: Tensor | None
    hops: tuple[HopOutput, ...]


class MultiHopPhyDnn(nn.Module):
    """Normalisation, segments, and an embedding for each link; the links are given at each call.

    Args:
        normalise: From pixels to what the first segment expects.
        segments: Head, relays, tail: one more than there are links.
        embeddings: Dictionary of each hop.
        layouts: Shape of the features of one image at each cut.

    Raises:
        ConfigError: The numbers do not fit, or embeddings and features differ in length.
    """

    def __init__(
        self,
        *,
        normalise: Normalise,
        segments: Sequence[nn.Module],
        embeddings: Sequence[Embedding],
        layouts: Sequence[SliceLayout],
    ) -> None:
        super().__init__()
        if not len(segments) - 1 == len(embeddings) == len(layouts) > 0:
            raise ConfigError(
                f"{len(segments)} segments need one embedding and layout less, got "
                f"{len(embeddings)} and {len(layouts)}"
            )
        for embedding, layout in zip(embeddings, layouts, strict=True):
            if embedding.dim != layout.dim:
                raise ConfigError(
                    f"embeddings have length {embedding.dim}, but slices of {layout.shape} "
                    f"features have length {layout.dim}"
                )
        self.normalise = normalise
        self.segments = nn.ModuleList(segments)
        self.embeddings = nn.ModuleList(embeddings)
        self.layouts = tuple(layouts)

    @classmethod
    def from_backbone(
        cls,
        backbone: nn.Module,
        *,
        splits: Sequence[str],
        image_shape: tuple[int, int, int],
        normalise: Normalise,
        num_embeddings: int,
        generator: torch.Generator,
        score: Score = Score.DISTANCE,
        symbols_per_slice: int = 1,
        slice_size: tuple[int, int] = (1, 1),
        num_codebooks: int = 1,
    ) -> "MultiHopPhyDnn":
        """Return a PhyDNN around a copy of a trained network, with random embeddings.

        Args:
            backbone: Normalised images to logits; left untouched.
            splits: Last submodule of each part but the tail, from the device to the server.
            image_shape: (channels, height, width) of the images.
            normalise: The normalisation that the backbone was trained with.
            num_embeddings: M of every hop, >= 2.
            generator: CPU source of the embeddings; it is advanced.
            score: Likeness of slice and embedding.
            symbols_per_slice: u, channel symbols for each slice.
            slice_size: Positions that a slice covers, at every hop.
            num_codebooks: Codebooks of M embeddings, of every hop.

        Raises:
            ConfigError: The backbone cannot be cut there, or an argument is out of range.
        """
        if num_embeddings < 2:
            raise ConfigError(f"num_embeddings must be at least 2, got {num_embeddings}")
        device = next(backbone.parameters(), torch.empty(0)).device
        normalise = copy.deepcopy(normalise).to(device)
        segments = cut(copy.deepcopy(backbone), splits)
        embeddings, layouts = [], []
        with torch.no_grad():
            features = normalise(torch.zeros((1, *image_shape), device=device))
        for index, segment in enumerate(segments):
            before = features._version
            with evaluating(segment):
                result = segment(features)
            if index and isinstance(segment, fx.GraphModule) and features._version != before:
                keep_input(segment)
            features = result
            if index == len(segments) - 1:
                break
            if not isinstance(features, Tensor):
                kind = type(features).__name__
                raise ConfigError(f"split point {splits[index]!r} gives {kind}, no tensor")
            layouts.append(SliceLayout(tuple(features.shape[1:]), slice_size))
            rows = num_codebooks * num_embeddings
            vectors = torch.randn((rows, layouts[-1].dim), generator=generator)
            embeddings.append(
                Embedding(
                    vectors.to(device),
                    score=score,
                    symbols_per_slice=symbols_per_slice,
                    num_codebooks=num_codebooks,
                )
            )
        return cls(normalise=normalise, segments=segments, embeddings=embeddings, layouts=layouts)

    @property
    def num_hops(self) -> int:
        """Links between the parts."""
        return len(self.layouts)

    @property
    def head(self) -> nn.Module:
        """The first segment, on the device."""
        return self.segments[0]

    @property
    def tail(self) -> nn.Module:
        """The last segment, on the server."""
        return self.segments[-1]

    def embedding_of(self, hop: int) -> Embedding:
        """Return the dictionary of a hop, from 0."""
        embedding: Embedding = self.embeddings[hop]  # type: ignore[assignment]
        return embedding

    @property
    def messages_per_position(self) -> int:
        """M, of every hop; see `PhyDnn.messages_per_position`."""
        return self.hop(0).messages_per_position

    def symbols_of(self, hop: int) -> int:
        """Return the channel symbols that an image takes on a hop."""
        return self.layouts[hop].num_slices * self.embedding_of(hop).symbols_per_slice

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights of all segments: the lower learning rate, frozen at first."""
        yield from self.segments.parameters()

    def hop(self, index: int) -> PhyDnn:
        """Return one hop as a PhyDNN that shares all modules with this one.

        Its head is everything before the hop's link, earlier links taken for ones that make no
        error; its tail is the next segment alone, so that it gives no logits unless it is the last
        hop. `start_embeddings`, `usage_counts` and `remove_embeddings` take it.
        """
        before: list[nn.Module] = []
        for hop in range(index):
            before += [self.segments[hop], _Quantised(self.embedding_of(hop), self.layouts[hop])]
        view = PhyDnn(
            normalise=self.normalise,
            head=nn.Sequential(*before, self.segments[index]) if before else self.segments[index],
            embedding=self.embedding_of(index),
            tail=self.segments[index + 1],
            layout=self.layouts[index],
        )
        view.training = self.training
        return view

    def with_embedding(self, hop: int, embedding: Embedding) -> "MultiHopPhyDnn":
        """Return a PhyDNN that shares all with this one but the dictionary of a hop."""
        embeddings = [self.embedding_of(index) for index in range(self.num_hops)]
        embeddings[hop] = embedding
        model = MultiHopPhyDnn(
            normalise=self.normalise,
            segments=list(self.segments),
            embeddings=embeddings,
            layouts=self.layouts,
        )
        model.training = self.training
        embedding.train(self.training)
        return model

    def forward(
        self,
        images: Tensor,
        links: Sequence[Link],
        generator: torch.Generator,
        *,
        num_samples: int = 1,
        estimator: Estimator = Estimator.GUMBEL,
        temperature: float = 1.0,
        lookup: Lookup = Lookup.HARD,
        binding_share: float = 1.0,
    ) -> MultiHopOutput:
        """Return the quantities of Algorithm 1 for a mini-batch; see `PhyDnn.forward`.

        Args:
            images: (batch, channels, height, width), uint8 or float in [0, 1].
            links: Modulator, channel, demodulator of each hop.
            generator: Source of samples, noise and channels, on the device of the model; advanced.
            num_samples: N_mc: samples of the whole chain for each image.
            estimator: How symbols are chosen, and how the gradient comes through the choice.
            temperature: Of that gradient.
            lookup: Hard or soft.
            binding_share: Share of the images that also take the unmodified path, whose batch-norm
                statistics stay as they are; 0: none.

        Raises:
            ConfigError: A number is out of range, or there is not one link a hop.
        """
        if num_samples < 1:
            raise ConfigError(f"num_samples (N_mc) must be at least 1, got {num_samples}")
        if not 0 <= binding_share <= 1:
            raise ConfigError(f"binding_share must lie in [0, 1], got {binding_share}")
        self._check_links(links)
        features = self.head(self.normalise(images))
        first_format = memory_format(features)
        hops: list[HopOutput] = []
        for index, link in enumerate(links):
            embedding = self.embedding_of(index)
            slices = to_slices(features, self.layouts[index].slice_size)
            log_probabilities = embedding.log_probabilities(slices)
            # Sample j of image k is row j * batch + k, from the first hop to the last.
            repeated = log_probabilities
            if index == 0:
                repeated = log_probabilities.mT.repeat(num_samples, 1, 1).mT
            sent = choose_symbols(repeated, estimator, temperature=temperature, generator=generator)
            received = embedding.lookup(link(embedding.on_air(sent), generator), lookup)
            if estimator is Estimator.COPY:
                received = with_gradient_of(received, slices.repeat(len(sent) // len(slices), 1, 1))
            # In the precision of the segment's output, as in a PhyDNN of one hop.
            received = received.to(features.dtype)
            arrived = from_slices(received, self.layouts[index], memory_format(features))
            hops.append(
                HopOutput(
                    log_probabilities=log_probabilities,
                    slices=slices,
                    arrived=arrived,
                )
            )
            features = self.segments[index + 1](arrived)
        binding_logits = None
        if binding_share > 0:
            bound = hops[0].slices[: max(2, math.ceil(binding_share * len(images)))]
            unmodified = from_slices(bound, self.layouts[0], first_format)
            with untracked_batch_norm(self.segments):
                for segment in self.segments[1:]:
                    unmodified = segment(unmodified)
            binding_logits = unmodified.float()
        return MultiHopOutput(
            logits=features.float().unflatten(0, (num_samples, len(images))),
            binding_logits=binding_logits,
            hops=tuple(hops),
        )

    def encode(self, images: Tensor) -> Tensor:
        """Return the symbols the device sends, (batch, symbols_of(0)) int64: the likeliest."""
        return self.embedding_of(0).encode(
            to_slices(self.head(self.normalise(images)), self.layouts[0].slice_size)
        )

    def relay(self, hop: int, posteriors: Tensor, lookup: Lookup = Lookup.HARD) -> Tensor:
        """Return the symbols that relay `hop` (from 0) sends on, (batch, symbols_of(hop + 1)).

        Args:
            hop: The hop that arrives there.
            posteriors: Of its symbols, (batch, symbols_of(hop), M_c).
            lookup: Hard or soft.
        """
        features = self.segments[hop + 1](self._received(hop, posteriors, lookup))
        return self.embedding_of(hop + 1).encode(
            to_slices(features, self.layouts[hop + 1].slice_size)
        )

    def decode(self, posteriors: Tensor, lookup: Lookup = Lookup.HARD) -> Tensor:
        """Return the logits (batch, num_classes) of the last hop's posteriors."""
        logits: Tensor = self.tail(self._received(self.num_hops - 1, posteriors, lookup))
        return logits.float()

    def infer(
        self,
        images: Tensor,
        links: Sequence[Link],
        generator: torch.Generator,
        *,
        lookup: Lookup = Lookup.HARD,
    ) -> Tensor:
        """Return the logits (batch, num_classes) of inference through all links: no sampling."""
        self._check_links(links)
        features = self.head(self.normalise(images))
        for index, link in enumerate(links):
            embedding = self.embedding_of(index)
            slices = to_slices(features, self.layouts[index].slice_size)
            sent = one_hot_argmax(embedding.log_probabilities(slices))
            posteriors = link(embedding.on_air(sent), generator)
            features = self.segments[index + 1](self._received(index, posteriors, lookup))
        logits: Tensor = features.float()
        return logits

    def infer_unmodified(self, images: Tensor) -> Tensor:
        """Return the logits (batch, num_classes) of all segments without links."""
        features = self.normalise(images)
        for segment in self.segments:
            features = segment(features)
        logits: Tensor = features.float()
        return logits

    def _received(self, hop: int, posteriors: Tensor, lookup: Lookup) -> Tensor:
        return from_slices(self.embedding_of(hop).lookup(posteriors, lookup), self.layouts[hop])

    def _check_links(self, links: Sequence[Link]) -> None:
        if len(links) != self.num_hops:
            raise ConfigError(f"{self.num_hops} hops need as many links, got {len(links)}")


class _Quantised(nn.Module):
    """Features as the next device gets them when every symbol arrives rightly."""

    def __init__(self, embedding: Embedding, layout: SliceLayout) -> None:
        super().__init__()
        self.embedding = embedding
        self._layout = layout

    def forward(self, features: Tensor) -> Tensor:
        """Return the embeddings of the features' slices, in their shape."""
        chosen = self.embedding.likeliest(to_slices(features, self._layout.slice_size))
        return from_slices(self.embedding.slices_of(chosen), self._layout)
