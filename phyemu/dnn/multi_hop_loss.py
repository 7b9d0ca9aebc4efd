"""Eq. (8) for several hops: the terms of each embedding added up."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from phyemu.errors import ConfigError

from .categories import argmax_symbol
from .losses import (
    LossTerms,
    LossWeights,
    commitment_loss,
    entropy_loss,
    feature_distillation_loss,
    total_loss,
)
from .multi_hop import MultiHopOutput, MultiHopPhyDnn
from .phydnn import PhyDnnOutput

__all__ = ["multi_hop_loss"]


def multi_hop_loss(
    output: MultiHopOutput,
    labels: Tensor,
    weights: LossWeights,
    *,
    model: MultiHopPhyDnn,
    teacher_logits: Tensor | None = None,
    teacher_features: Sequence[Tensor] = (),
) -> LossTerms:
    """Return Eq. (8) and its terms; with one hop, those of `total_loss`.

    Task, binding and distillation are of the whole chain. What all hops send is independent given
    what each embeds, so that the entropy of Eq. (7) is the sum over the hops; commitment and the
    distillation of features are summed, too.

    Args:
        output: Of `MultiHopPhyDnn.forward`.
        labels: (batch,) int64.
        weights: Weight of each term.
        model: Whose output it is, for its dictionaries.
        teacher_logits: Of the frozen backbone, (batch, num_classes), where distillation has weight.
        teacher_features: Of the frozen backbone at each cut, where feature distillation has weight.

    Raises:
        ConfigError: A term has weight, but what it needs was not computed.
    """
    if weights.feature_distillation and len(teacher_features) != len(output.hops):
        raise ConfigError(
            f"feature distillation of {len(output.hops)} hops needs the teacher's features at as "
            f"many cuts, got {len(teacher_features)}"
        )
    first = PhyDnnOutput(
        logits=output.logits,
        binding_logits=output.binding_logits,
        log_probabilities=output.hops[0].log_probabilities,
        choices=None,
        slices=output.hops[0].slices,
        features=(output.hops[0].arrived,),
    )
    terms = total_loss(
        first,
        labels,
        weights,
        embedding=model.embedding_of(0),
        teacher_logits=teacher_logits,
        teacher_features=teacher_features[:1],
    )
    for index, hop in enumerate(output.hops[1:], start=1):
        entropy = entropy_loss(hop.log_probabilities)
        added = weights.beta * entropy
        before = terms.entropy
        terms = replace(terms, entropy=entropy if before is None else before + entropy)
        if terms.commitment is not None:
            commitment = commitment_loss(
                hop.slices, argmax_symbol(hop.log_probabilities), model.embedding_of(index)
            )
            added = added + weights.commitment * commitment
            terms = replace(terms, commitment=terms.commitment + commitment)
        if terms.feature_distillation is not None:
            features = feature_distillation_loss((hop.arrived,), (teacher_features[index],))
            added = added + weights.feature_distillation * features
            terms = replace(terms, feature_distillation=terms.feature_distillation + features)
        terms = replace(terms, total=terms.total + added)
    return terms
