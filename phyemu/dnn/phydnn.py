"""A network whose two halves talk in symbols (paper, Sec. III, Fig. 2)."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phyemu.errors import ConfigError

from .categories import argmax_symbol
from .demapper import Demapper
from .embedding import Embedding, Lookup, Score
from .learned_constellation import LearnedConstellation
from .link import Link
from .modes import captured_output, evaluating, untracked_batch_norm
from .normalise import Normalise
from .sampling import Estimator, choose_symbols, with_gradient_of
from .slices import SliceLayout, from_slices, to_slices
from .split import keep_input, split_model
from .symbol_tuples import channel_order, messages_per_position

__all__ = ["PhyDnn", "PhyDnnOutput", "memory_format"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PhyDnnOutput:
    """What one training step computes.

    Attributes:
        logits: Through the link, (num_samples, batch, num_classes), float32.
        binding_logits: Head to tail without embedding and link, of the first images of the batch,
            (num_binding, num_classes), float32; None when they were not asked for.
        log_probabilities: log p(z_i = m | x) of Eq. (2), (batch, num_slices, M), float32;
            of several codebooks (batch, num_codebooks * num_slices, M).
        choices: The likeliest embeddings, (batch, num_slices) int64, or book after book; None
            where they are to be had from `log_probabilities`, by `likeliest`.
        slices: Output of the head, (batch, num_slices, D).
        features: What the tail was given, in the shape of the head's output, then the outputs of
            those of its layers that were asked for; (num_samples * batch, ...) each, sample j of
            image k in row j * batch + k.
    """

    logits: Tensor
    binding_logits: Tensor | None
    log_probabilities: Tensor | None
    choices: Tensor | None
    slices: Tensor
    features: tuple[Tensor, ...]

    def likeliest(self) -> Tensor:
        """Return the likeliest embeddings, as `Embedding.likeliest` does."""
        return argmax_symbol(self.probabilities) if self.choices is None else self.choices

    @property
    def probabilities(self) -> Tensor:
        """p(z_i = m | x), as `log_probabilities`.

        Raises:
            ConfigError: They were not asked for.
        """
        if self.log_probabilities is None:
            raise ConfigError("probabilities were not computed; call with probabilities = True")
        return self.log_probabilities.exp()


class PhyDnn(nn.Module):
    """Normalisation, head, embedding and tail; the link between them is given at each call.

    Args:
        normalise: From pixels to what the head expects.
        head: Normalised images to features, on the device.
        embedding: The dictionary both sides share.
        tail: Features to logits, on the edge server.
        layout: Shape of the features of one image.
        constellation: Points that are trained with the rest; None: they are not. The caller gives
            the link the points of each step: `link.constellation = model.constellation()`.

    Raises:
        ConfigError: Embeddings and features differ in length.
    """

    def __init__(
        self,
        *,
        normalise: Normalise,
        head: nn.Module,
        embedding: Embedding,
        tail: nn.Module,
        layout: SliceLayout,
        constellation: LearnedConstellation | None = None,
    ) -> None:
        super().__init__()
        if embedding.dim != layout.dim:
            raise ConfigError(
                f"embeddings have length {embedding.dim}, but slices of {layout.shape} features "
                f"have length {layout.dim}"
            )
        self.normalise = normalise
        self.head = head
        self.embedding = embedding
        self.tail = tail
        self.layout = layout
        self.constellation = constellation

    @classmethod
    def from_backbone(
        cls,
        backbone: nn.Module,
        *,
        split: str,
        image_shape: tuple[int, int, int],
        normalise: Normalise,
        num_embeddings: int,
        generator: torch.Generator,
        score: Score = Score.DISTANCE,
        symbols_per_slice: int = 1,
        slice_size: tuple[int, int] = (1, 1),
        num_codebooks: int = 1,
        lookup: Lookup = Lookup.HARD,
        constellation: LearnedConstellation | None = None,
    ) -> "PhyDnn":
        """Return a PhyDNN around a copy of a trained network, with random embeddings.

        Follow with `start_embeddings` (k-means over the training set), or load a state dict.

        Args:
            backbone: Normalised images to logits; left untouched.
            split: Name of the last submodule of the head.
            image_shape: (channels, height, width) of the images.
            normalise: The normalisation that the backbone was trained with.
            num_embeddings: M, >= 2.
            generator: CPU source of the embeddings; it is advanced.
            score: Likeness of slice and embedding.
            symbols_per_slice: u, channel symbols for each slice, of order M^(1/u).
            slice_size: Positions that a slice covers, (height, width).
            num_codebooks: Codebooks of M embeddings; their choices share the u symbols.
            lookup: `Lookup.LEARNED` gives the model a demapper; it can then do all three.
            constellation: Points that are trained with the rest.

        Raises:
            ConfigError: The backbone cannot be cut there, or an argument is out of range.
        """
        if num_embeddings < 2:
            raise ConfigError(f"num_embeddings must be at least 2, got {num_embeddings}")
        head, tail = split_model(copy.deepcopy(backbone), split)
        device = next(backbone.parameters(), torch.empty(0)).device
        normalise = copy.deepcopy(normalise).to(device)
        with evaluating(head):
            features = head(normalise(torch.zeros((1, *image_shape), device=device)))
        if not isinstance(features, Tensor):
            raise ConfigError(f"split point {split!r} gives {type(features).__name__}, no tensor")
        layout = SliceLayout(tuple(features.shape[1:]), slice_size)
        before = features._version
        with evaluating(tail):
            tail(features)
        if features._version != before:
            keep_input(tail)
        vectors = torch.randn((num_codebooks * num_embeddings, layout.dim), generator=generator)
        demapper = None
        if lookup is Lookup.LEARNED:
            order = channel_order(num_embeddings, symbols_per_slice, num_codebooks)
            share = symbols_per_slice // num_codebooks
            demapper = Demapper(order, share, generator=generator).to(device)
        embedding = Embedding(
            vectors.to(device),
            score=score,
            symbols_per_slice=symbols_per_slice,
            num_codebooks=num_codebooks,
            demapper=demapper,
        )
        return cls(
            normalise=normalise,
            head=head,
            embedding=embedding,
            tail=tail,
            layout=layout,
            constellation=None if constellation is None else constellation.to(device),
        )

    def with_embedding(
        self, embedding: Embedding, constellation: LearnedConstellation | None = None
    ) -> "PhyDnn":
        """Return a PhyDNN that shares head and tail with this one and has another dictionary."""
        model = PhyDnn(
            normalise=self.normalise,
            head=self.head,
            embedding=embedding,
            tail=self.tail,
            layout=self.layout,
            constellation=constellation,
        )
        model.training = self.training
        model.embedding.train(self.training)
        if constellation is not None:
            constellation.train(self.training)
        return model

    @property
    def messages_per_position(self) -> int:
        """M: what each position at the cut may say; the embeddings, where it is a slice.

        Raises:
            ConfigError: It is no integer.
        """
        return messages_per_position(
            self.embedding.num_embeddings,
            self.layout.positions_per_slice,
            self.embedding.num_codebooks,
        )

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols that an image takes: u for each of its N_s slices."""
        return self.layout.num_slices * self.embedding.symbols_per_slice

    def dictionary_parameters(self) -> Iterator[nn.Parameter]:
        """Yield what both sides of the link share: embeddings, then demapper and points if learned.

        They have the higher learning rate, and are never frozen.
        """
        yield from self.embedding.parameters()
        if self.constellation is not None:
            yield from self.constellation.parameters()

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights of head and tail: the lower learning rate, frozen at first."""
        yield from self.head.parameters()
        yield from self.tail.parameters()

    def slices(self, images: Tensor) -> Tensor:
        """Return the head's output as slices, (batch, num_slices, D)."""
        return to_slices(self.head(self.normalise(images)), self.layout.slice_size)

    def forward(
        self,
        images: Tensor,
        link: Link,
        generator: torch.Generator,
        *,
        num_samples: int = 1,
        estimator: Estimator = Estimator.GUMBEL,
        temperature: float = 1.0,
        lookup: Lookup = Lookup.HARD,
        binding_share: float = 1.0,
        probabilities: bool = True,
        layers: Sequence[str] = (),
    ) -> PhyDnnOutput:
        """Return the quantities of Algorithm 1, lines 4 to 12, for a mini-batch.

        Symbols may be sampled, so use `infer` for results.

        Args:
            images: (batch, channels, height, width), uint8 or float in [0, 1].
            link: Modulator, channel, demodulator.
            generator: Source of samples, noise and channel, on the device of the model; advanced.
            num_samples: N_mc, realisations of symbols and of the channel for each image.
            estimator: How symbols are chosen, and how the gradient comes through the choice.
            temperature: Of that gradient.
            lookup: Hard, soft or learned.
            binding_share: Share of the images, the first of the batch, that also take the
                unmodified path (one more pass through the tail, whose batch-norm statistics it
                does not move), in [0, 1]; 0: none. Rounded up, two images at least for the batch
                norms. In batches of random order their mean estimates that of all without bias.
            probabilities: Whether log p(z | x) is wanted though nothing is chosen by it
                (`Estimator.COPY`): the entropy needs it.
            layers: Submodules of the tail whose outputs are wanted.

        Raises:
            ConfigError: `num_samples` is below 1, the share is out of range, or the tail has no
                such layer.
        """
        if num_samples < 1:
            raise ConfigError(f"num_samples (N_mc) must be at least 1, got {num_samples}")
        if not 0 <= binding_share <= 1:
            raise ConfigError(f"binding_share must lie in [0, 1], got {binding_share}")
        features = self.head(self.normalise(images))
        layout = memory_format(features)
        slices = to_slices(features, self.layout.slice_size)
        # Sample j of image k is row j * batch + k.
        log_probabilities = None
        if probabilities or estimator is not Estimator.COPY:
            log_probabilities = self.embedding.log_probabilities(slices)
        choices = None
        if estimator is Estimator.COPY or log_probabilities is None:
            choices = self.embedding.likeliest(slices)
            symbols = self.embedding.symbols_of(choices).repeat(num_samples, 1)
            posteriors = link(self.embedding.as_sent(symbols), generator)
            received = self.embedding.lookup(posteriors, lookup)
            received = with_gradient_of(received, slices.repeat(num_samples, 1, 1))
        else:
            # `repeat` itself would move symbols out of rows.
            repeated = log_probabilities.mT.repeat(num_samples, 1, 1).mT
            sent = choose_symbols(repeated, estimator, temperature=temperature, generator=generator)
            received = self.embedding.lookup(link(self.embedding.on_air(sent), generator), lookup)
        # In the precision of the head's output: under autocast a residual stream in the tail would
        # stay in float32 else, which it is not in the backbone.
        arrived = from_slices(received.to(features.dtype), self.layout, layout)
        with ExitStack() as hooks:
            outputs = [hooks.enter_context(captured_output(self.tail, name)) for name in layers]
            logits = self.tail(arrived).float()
        binding_logits = None
        if binding_share > 0:
            bound = slices[: max(2, math.ceil(binding_share * len(slices)))]
            with untracked_batch_norm(self.tail):
                binding_logits = self.tail(from_slices(bound, self.layout, layout)).float()
        return PhyDnnOutput(
            logits=logits.unflatten(0, (num_samples, len(images))),
            binding_logits=binding_logits,
            log_probabilities=log_probabilities,
            choices=choices,
            slices=slices,
            features=(arrived, *(output for (output,) in outputs)),
        )

    def encode(self, images: Tensor) -> Tensor:
        """Return the symbols the device sends, (batch, symbols_per_image) int64: the likeliest."""
        return self.embedding.encode(self.slices(images))

    def decode(self, posteriors: Tensor, lookup: Lookup = Lookup.HARD) -> Tensor:
        """Return the logits (batch, num_classes) the server finds.

        Args:
            posteriors: Of the received symbols, (batch, symbols_per_image, M_c); equal entries mark
                a lost symbol.
            lookup: Hard, soft or learned.
        """
        logits: Tensor = self.tail(
            from_slices(self.embedding.lookup(posteriors, lookup), self.layout)
        )
        return logits.float()

    def infer(
        self,
        images: Tensor,
        link: Link,
        generator: torch.Generator,
        *,
        lookup: Lookup = Lookup.HARD,
    ) -> Tensor:
        """Return the logits (batch, num_classes) of inference through a link: no sampling.

        The caller sets the mode; see `evaluating`.
        """
        sent = self.embedding.as_sent(self.encode(images))
        return self.decode(link(sent, generator), lookup)

    def infer_unmodified(self, images: Tensor) -> Tensor:
        """Return the logits (batch, num_classes) of head and tail alone, as on one machine."""
        logits: Tensor = self.tail(self.head(self.normalise(images)))
        return logits.float()


def memory_format(features: Tensor) -> torch.memory_format:
    """Return `channels_last` where feature maps lie so, as slices do: they need no copy then."""
    channels_last = features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format
