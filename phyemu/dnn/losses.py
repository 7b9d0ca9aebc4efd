"""The terms of the loss, each by its equation (paper, Sec. III-C)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from phyemu.errors import ConfigError

from .embedding import Embedding
from .phydnn import PhyDnnOutput

__all__ = [
    "LossTerms",
    "LossWeights",
    "binding_loss",
    "commitment_loss",
    "distillation_loss",
    "entropy_loss",
    "feature_distillation_loss",
    "task_loss",
    "total_loss",
    "variational_loss",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossWeights:
    """Weights of the terms; the paper has beta, binding 1, and no more.

    Attributes:
        beta: Weight of the entropy in Eq. (7), in [0, 1]; grown during training.
        binding: Weight of Eq. (9) in Eq. (8), >= 0; 1 in the paper.
        distillation: Weight of the divergence from the frozen backbone, >= 0; not in the paper.
        distillation_temperature: Softness of that divergence, > 0.
        feature_distillation: Weight of the distance of features from those of the frozen backbone,
            >= 0; not in the paper.
        commitment: Weight of the distance from slices to their embeddings, >= 0; not in the paper.
    """

    beta: float
    binding: float = 1.0
    distillation: float = 0.0
    distillation_temperature: float = 2.0
    feature_distillation: float = 0.0
    commitment: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise ConfigError(f"beta must lie in [0, 1], got {self.beta}")
        for name in ("binding", "distillation", "feature_distillation", "commitment"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"the weight of {name} must be >= 0, got {getattr(self, name)}")
        if not self.distillation_temperature > 0:
            raise ConfigError(
                f"distillation_temperature must be positive, got {self.distillation_temperature}"
            )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LossTerms:
    """The total of Eq. (8) and its unweighted terms, each a scalar; None where not computed."""

    total: Tensor
    task: Tensor
    entropy: Tensor | None
    binding: Tensor | None
    distillation: Tensor | None
    feature_distillation: Tensor | None
    commitment: Tensor | None

    def detached(self) -> dict[str, Tensor]:
        """Return the terms that were computed, without their graphs, for logs."""
        return {name: term.detach() for name, term in self.computed().items()}

    def computed(self) -> dict[str, Tensor]:
        """Return the terms that were computed, by name."""
        terms = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: term for name, term in terms.items() if term is not None}


def task_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the first term of Eq. (7): the mean of -log q(y_k | z_kj) over samples and images.

    Args:
        logits: (num_samples, batch, num_classes).
        labels: (batch,) int64.
    """
    num_samples = len(logits)
    return functional.cross_entropy(logits.flatten(0, 1), labels.repeat(num_samples))


def entropy_loss(log_probabilities: Tensor) -> Tensor:
    """Return the second term of Eq. (7) without beta: mean over images of sum_i H(z_i | x) [nat].

    Gradients flow to the embeddings and to the head.

    Args:
        log_probabilities: log p(z_i = m | x), (batch, num_slices, M).
    """
    entropy = -(log_probabilities.exp() * log_probabilities).sum(-1)
    return entropy.sum(-1).mean()


def variational_loss(
    logits: Tensor, log_probabilities: Tensor, labels: Tensor, *, beta: float
) -> Tensor:
    """Return Eq. (7): task loss plus beta times entropy.

    Args:
        logits: (num_samples, batch, num_classes).
        log_probabilities: (batch, num_slices, M).
        labels: (batch,) int64.
        beta: Weight of the entropy.
    """
    return task_loss(logits, labels) + beta * entropy_loss(log_probabilities)


def binding_loss(binding_logits: Tensor, labels: Tensor) -> Tensor:
    """Return Eq. (9): cross-entropy of the path without embedding and link.

    Args:
        binding_logits: (batch, num_classes).
        labels: (batch,) int64.
    """
    return functional.cross_entropy(binding_logits, labels)


def distillation_loss(logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student), both softened by T (Hinton et al., arXiv:1503.02531).

    Args:
        logits: Through the link, (num_samples, batch, num_classes).
        teacher_logits: Of the frozen backbone, (batch, num_classes); no gradient flows to them.
        temperature: T > 0.
    """
    student = (logits / temperature).log_softmax(-1).flatten(0, 1)
    teacher = (teacher_logits.detach() / temperature).log_softmax(-1).repeat(len(logits), 1)
    divergence = functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def feature_distillation_loss(
    features: Sequence[Tensor], teacher_features: Sequence[Tensor]
) -> Tensor:
    """Return the mean over layers of E|f - t|^2 / Var(t): 0 at the teacher, 1 at its mean.

    With the features at the cut it is the relative error of what the tail is given, quantiser and
    channel together (FitNets, arXiv:1412.6550, without a regressor: both have one shape).

    Args:
        features: Through the link, (num_samples * batch, ...) each, as `PhyDnnOutput.features`.
        teacher_features: Of the frozen backbone at the same layers, (batch, ...) each; no gradient
            flows to them.

    Raises:
        ConfigError: There are not as many layers.
    """
    if len(features) != len(teacher_features) or not features:
        raise ConfigError(
            f"there are features of {len(features)} layers and {len(teacher_features)} of the "
            "teacher"
        )
    errors = []
    for ours, theirs in zip(features, teacher_features, strict=True):
        target = theirs.detach().float()
        channel = 1 if target.ndim == 4 else target.ndim - 1  # of maps, of tokens
        axes = [axis for axis in range(target.ndim) if axis != channel]
        variance = target.var(axes, correction=0).mean()
        rows = ours.float().reshape(-1, *target.shape)
        errors.append((rows - target).square().mean() / variance.clamp_min(1e-12))
    return torch.stack(errors).mean()


def commitment_loss(slices: Tensor, choices: Tensor, embedding: Embedding) -> Tensor:
    """Return the mean squared distance of each slice to what its likeliest embeddings stand for.

    Gradients flow to the slices and to the embeddings (van den Oord et al., arXiv:1711.00937, with
    both halves at one weight).

    Args:
        slices: (batch, num_slices, D).
        choices: The likeliest embeddings, as `Embedding.likeliest` returns them.
        embedding: The dictionary.
    """
    nearest = embedding.slices_of(choices)
    return (slices.float() - nearest).square().sum(-1).mean()


def total_loss(
    output: PhyDnnOutput,
    labels: Tensor,
    weights: LossWeights,
    *,
    embedding: Embedding,
    teacher_logits: Tensor | None = None,
    teacher_features: Sequence[Tensor] = (),
) -> LossTerms:
    """Return Eq. (8) and its terms: Eq. (7) plus the binding loss plus the optional terms.

    Args:
        output: Of `PhyDnn.forward`.
        labels: (batch,) int64.
        weights: Weight of each term; a term of weight 0 is not computed, but for the entropy, which
            is where its probabilities are there.
        embedding: The dictionary, for the commitment term.
        teacher_logits: Of the frozen backbone on the same images, (batch, num_classes); needed
            when the weight of distillation is not 0.
        teacher_features: Of the frozen backbone, one for each of `output.features`; needed when
            the weight of feature distillation is not 0.

    Raises:
        ConfigError: A term has weight, but what it needs was not computed.
    """
    task = task_loss(output.logits, labels)
    total, entropy = task, None
    if output.log_probabilities is not None:
        entropy = entropy_loss(output.log_probabilities)
        total = total + weights.beta * entropy
    elif weights.beta:
        raise ConfigError("the entropy needs probabilities; ask forward for them")
    binding = distillation = feature_distillation = commitment = None
    if weights.binding:
        if output.binding_logits is None:
            raise ConfigError("the binding loss needs binding_logits; give forward a binding_share")
        binding = binding_loss(output.binding_logits, labels[: len(output.binding_logits)])
        total = total + weights.binding * binding
    if weights.distillation:
        if teacher_logits is None:
            raise ConfigError("distillation needs teacher_logits of the frozen backbone")
        distillation = distillation_loss(
            output.logits, teacher_logits, temperature=weights.distillation_temperature
        )
        total = total + weights.distillation * distillation
    if weights.feature_distillation:
        if not teacher_features:
            raise ConfigError("feature distillation needs teacher_features of the frozen backbone")
        feature_distillation = feature_distillation_loss(output.features, teacher_features)
        total = total + weights.feature_distillation * feature_distillation
    if weights.commitment:
        commitment = commitment_loss(output.slices, output.likeliest(), embedding)
        total = total + weights.commitment * commitment
    return LossTerms(
        total=total,
        task=task,
        entropy=entropy,
        binding=binding,
        distillation=distillation,
        feature_distillation=feature_distillation,
        commitment=commitment,
    )
