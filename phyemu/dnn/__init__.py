"""Physical-layer DNNs: backbones, split, embedding, losses, compression, export."""

from .architecture import build_architecture, describe_architecture
from .artefact import (
    ArtefactInfo,
    PhyDnnHead,
    PhyDnnTail,
    export_head,
    export_tail,
    load_head,
    load_tail,
)
from .assignment import assign_to_constellation, assignment_cost
from .card import ArtefactCard, Part, read_card
from .clustering import start_embeddings
from .compression import Removal, carry_optimizer, least_used, remove_embeddings, usage_counts
from .demapper import Demapper
from .device_card import DeviceCard, DeviceFormat, read_device_card
from .device_export import DeviceArtefact, export_for_device, load_for_device
from .dt_jscc import DtJscc, DtJsccShape, dt_jscc
from .embedding import Embedding, Lookup, Score
from .learned_constellation import LearnedConstellation, start_constellation
from .link import Link, noiseless_link
from .losses import (
    LossTerms,
    LossWeights,
    binding_loss,
    commitment_loss,
    distillation_loss,
    entropy_loss,
    feature_distillation_loss,
    task_loss,
    total_loss,
    variational_loss,
)
from .modes import captured_output, evaluating, untracked_batch_norm
from .multi_hop import HopOutput, MultiHopOutput, MultiHopPhyDnn
from .multi_hop_loss import multi_hop_loss
from .normalise import Normalise
from .phydnn import PhyDnn, PhyDnnOutput
from .pretrained import load_pretrained, pretrained_resnet
from .relay import PhyDnnRelay, export_relay, load_relay
from .relay_card import RelayCard, read_relay_card
from .resnet import ResNet, ResNetConfig, resnet
from .sampling import (
    Estimator,
    choose_symbols,
    gumbel_softmax,
    one_hot_argmax,
    straight_through,
)
from .slices import SliceLayout, from_slices, to_slices
from .split import split_model
from .split_points import SplitPoint, split_points
from .symbol_tuples import (
    channel_order,
    codebook_size,
    joint_posteriors,
    messages_per_position,
    split_indices,
    split_probabilities,
)
from .user_model import UserModel, check_classifier

__all__ = [
    "ArtefactCard",
    "ArtefactInfo",
    "Demapper",
    "DeviceArtefact",
    "DeviceCard",
    "DeviceFormat",
    "DtJscc",
    "DtJsccShape",
    "Embedding",
    "Estimator",
    "HopOutput",
    "LearnedConstellation",
    "Link",
    "Lookup",
    "LossTerms",
    "LossWeights",
    "MultiHopOutput",
    "MultiHopPhyDnn",
    "Normalise",
    "Part",
    "PhyDnn",
    "PhyDnnHead",
    "PhyDnnOutput",
    "PhyDnnRelay",
    "PhyDnnTail",
    "RelayCard",
    "Removal",
    "ResNet",
    "ResNetConfig",
    "Score",
    "SliceLayout",
    "SplitPoint",
    "UserModel",
    "assign_to_constellation",
    "assignment_cost",
    "binding_loss",
    "build_architecture",
    "captured_output",
    "carry_optimizer",
    "channel_order",
    "check_classifier",
    "choose_symbols",
    "codebook_size",
    "commitment_loss",
    "describe_architecture",
    "distillation_loss",
    "dt_jscc",
    "entropy_loss",
    "evaluating",
    "export_for_device",
    "export_head",
    "export_relay",
    "export_tail",
    "feature_distillation_loss",
    "from_slices",
    "gumbel_softmax",
    "joint_posteriors",
    "least_used",
    "load_for_device",
    "load_head",
    "load_pretrained",
    "load_relay",
    "load_tail",
    "messages_per_position",
    "multi_hop_loss",
    "noiseless_link",
    "one_hot_argmax",
    "pretrained_resnet",
    "read_card",
    "read_device_card",
    "read_relay_card",
    "remove_embeddings",
    "resnet",
    "split_indices",
    "split_model",
    "split_points",
    "split_probabilities",
    "start_constellation",
    "start_embeddings",
    "straight_through",
    "task_loss",
    "to_slices",
    "total_loss",
    "untracked_batch_norm",
    "usage_counts",
    "variational_loss",
]
