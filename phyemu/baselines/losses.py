"""The losses of the baselines, each by its equation."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from phyemu.dnn import distillation_loss, entropy_loss
from phyemu.errors import ConfigError

__all__ = ["distilled_task_loss", "mimic_loss", "robust_bottleneck_loss"]


def mimic_loss(features: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Return the squared distance to the trained network's features, summed over its stages.

    L = 1/B sum_k sum_j |f_j(x_k) - t_j(x_k)|^2, the first stage of BottleFit (generalised head
    network distillation, Matsubara and Levorato, ICPR 2020). Gradients flow to `features` alone.

    Args:
        features: Of each stage, (batch, ...), of the network with the bottleneck.
        teacher: Of the same shapes, of the trained network.

    Raises:
        ConfigError: There are not as many of one as of the other.
    """
    if len(features) != len(teacher) or not features:
        raise ConfigError(f"{len(features)} features cannot mimic {len(teacher)}")
    terms = [
        (own.float() - other.detach().float()).square().flatten(1).sum(-1).mean()
        for own, other in zip(features, teacher, strict=True)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def distilled_task_loss(
    logits: Tensor,
    labels: Tensor,
    teacher_logits: Tensor,
    *,
    hard_label_share: float,
    temperature: float,
) -> Tensor:
    """Return alpha CE(labels) + (1 - alpha) T^2 KL(teacher || student), both softened by T.

    The second stage of BottleFit (Hinton et al., arXiv:1503.02531).

    Args:
        logits: (batch, num_classes).
        labels: (batch,) int64.
        teacher_logits: Of the trained network, (batch, num_classes); no gradient flows to them.
        hard_label_share: alpha, in [0, 1].
        temperature: T > 0.
    """
    hard = functional.cross_entropy(logits, labels)
    soft = distillation_loss(logits[None], teacher_logits, temperature=temperature)
    return hard_label_share * hard + (1 - hard_label_share) * soft


def robust_bottleneck_loss(
    logits: Tensor, log_probabilities: Tensor, labels: Tensor, *, redundancy: float
) -> dict[str, Tensor]:
    """Return the robust information bottleneck's loss and its terms: total, task, entropy.

    DT-JSCC maximises I(Y; Z') + lambda (I(Z; Z') - I(X; Z')): what the received symbols Z' tell
    of the class Y, and the redundancy of the code, which is what they tell of the symbols Z beyond
    the image X. As X - Z - Z' is a Markov chain, the redundancy is H(Z'|X) - H(Z'|Z). The second
    entropy is the channel's alone; the first is at least H(Z|X), as a channel that treats all
    points alike, PSK in noise, cannot lessen entropy. Cross-entropy bounds H(Y) - I(Y; Z') from
    above. So, up to constants, what is minimised is bounded by

        L = E[-log q(y | z')] - lambda / N_s sum_i H(z_i | x),

    with the mean over the N_s slices that the authors' experiments take. The sign of the entropy is
    the opposite of a PhyDNN's (Eq. (7) of the paper): PhyDNNs are made to say more with each
    symbol, DT-JSCC to survive the loss of it.

    Args:
        logits: Through the link, (num_samples, batch, num_classes).
        log_probabilities: log p(z_i = m | x), (batch, num_slices, M).
        labels: (batch,) int64.
        redundancy: lambda, >= 0.
    """
    task = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)))
    entropy = entropy_loss(log_probabilities) / log_probabilities.shape[1]
    return {"total": task - redundancy * entropy, "task": task, "entropy": entropy}
